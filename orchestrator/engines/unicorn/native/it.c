/* IT blocks (DDI0403E A7.3.2): inside one Unicorn does not obey a stop, so the rest of it is kept from running. */
#include "native.h"

uint32_t it_advance(uint32_t state)
{
    return state & 7 ? (state & 0xE0) | (state << 1 & 0x1F) : 0;
}

enum { IT_LOOK_BACK = 16 }; /* halfwords */

/* ITSTATE of the last of `count` halfwords' successor if the one at `first` is IT; 0: it lies behind the block. */
static uint32_t it_after(const uint16_t *code, int count, int first)
{
    uint32_t state = code[first] & 0xFF;
    int at = first + 1;
    for (; at < count && state; state = it_advance(state))
        at += is_wide(code[at]) ? 2 : 1;
    return at == count ? state : 0;
}

/* ITSTATE of the instruction at an address that straight-line code reached; 0: no IT block holds it. Where data stands
 * before the code, what is the first half of an instruction and what the second is not certain: then it is 0, or if the
 * caller `tries` what comes of it, the state that it may be. */
uint32_t it_state_at(const struct core *c, uint32_t address, int tries)
{
    uint16_t code[IT_LOOK_BACK];
    uint32_t likely = 0;
    int count = IT_LOOK_BACK, first, at;
    while (count && c->guard.mem_read(c->uc, address - 2u * (uint32_t)count, code, 2u * (uint32_t)count) != 0)
        count /= 2;
    /* An IT instruction can be at most the four instructions before. */
    for (first = count - 1; first >= 0 && first >= count - 8; first--) {
        int start = first;
        if ((code[first] & 0xFF00) != 0xBF00 || !(code[first] & 0xF))
            continue;
        while (start > 0 && is_wide(code[start - 1]))
            start--;
        for (at = start; at < first;)
            at += is_wide(code[at]) ? 2 : 1;
        if (at == first)
            return it_after(code, count, first);
        if (tries && !likely)
            likely = it_after(code, count, first);
    }
    return likely;
}

uint32_t core_it_state(const struct core *c, uint32_t address)
{
    return it_state_at(c, address, 0);
}

enum { N = 8, Z = 4, C = 2, V = 1 };

uint32_t read_flags(const struct core *c)
{
    uint32_t flags = 0;
    c->reg_read(c->uc, c->flags_id, &flags);
    return flags >> 28;
}

int passes(uint32_t condition, uint32_t flags)
{
    int n = !!(flags & N), z = !!(flags & Z), carry = !!(flags & C), v = !!(flags & V), result = 1;
    switch (condition >> 1) {
    case 0: result = z; break;
    case 1: result = carry; break;
    case 2: result = n; break;
    case 3: result = v; break;
    case 4: result = carry && !z; break;
    case 5: result = n == v; break;
    case 6: result = n == v && !z; break;
    case 7: return 1;
    }
    return condition & 1 ? !result : result;
}

/* Flags with which a condition fails; AL never does. */
static void make_fail(const struct core *c, uint32_t condition)
{
    uint32_t flags = 0, value;
    while (flags < 15 && passes(condition, flags))
        flags++;
    value = flags << 28;
    c->reg_write(c->uc, c->flags_id, &value);
}

static uint32_t size_at(const struct core *c, uint32_t address)
{
    uint16_t first = 0;
    c->guard.mem_read(c->uc, address, &first, sizeof first);
    return is_wide(first) ? 4 : 2;
}

/* Keeps from running what follows the present instruction, at `it`, in its IT block. Not where both a condition and
 * its opposite follow: no flags fail both, and such a block runs to its end. */
void skip_rest(struct core *c)
{
    uint32_t rest = it_advance(c->it), each;
    if (!rest || c->skipping)
        return;
    for (each = rest; each; each = it_advance(each))
        if (each >> 4 != rest >> 4 || each >> 5 == 7)
            return;
    c->skipping = 1;
    c->skip_next = c->address + size_at(c, c->address);
    c->flags = read_flags(c);
    make_fail(c, rest >> 4);
}

void put_flags_back(struct core *c)
{
    uint32_t value = c->flags << 28;
    c->skipping = 0;
    c->reg_write(c->uc, c->flags_id, &value);
}

/* Whether the instruction at an address is the one behind the block. */
int skip_ends(struct core *c, uint32_t address)
{
    if (address == c->skip_next) { /* what looked like an IT block was none */
        put_flags_back(c);
        c->it = 0;
        return 0;
    }
    return 1;
}

void set_it(const struct core *c, uint32_t it)
{
    uint32_t value = 0, number = 0;
    c->reg_read(c->uc, c->guard.ipsr_id, &number);
    c->reg_read(c->uc, c->xpsr_id, &value);
    value = (value & ~IT_BITS) | (it & 3) << 25 | (it >> 2) << 10;
    c->reg_write(c->uc, c->xpsr_write_id, &value);
    if (number)
        c->reg_write(c->uc, c->guard.ipsr_id, &number);
}

/* An access has changed what may interrupt: stop behind the instruction that makes it. */
void core_stop_behind(struct core *c)
{
    c->limit = c->executed;
    if (c->skipping || c->undo || c->denied)
        return;
    c->it = it_state_at(c, c->address, 1);
    skip_rest(c);
    if (!c->skipping)
        c->it = 0;
    else if (c->stopping)
        c->limit = ++c->executed; /* the budget was gone inside the block: nobody else counts this one */
}
