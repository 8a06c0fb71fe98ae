/* Who reads and writes observed bytes: a record of each access, made where it is granted.
 *
 * The CPU makes an unaligned load as the two aligned ones that hold it, and an unaligned store as bytes: what belongs
 * together is put together, and cut to the bytes that the instruction asks for.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

enum { FIRST_CAPACITY = 256, LOOK_BACK = 16 };

/* The first span that ends behind an address; null: none does. */
static const struct span *span_from(const struct accesses *a, uint32_t address)
{
    uint32_t low = 0, high = a->span_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (a->spans[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->span_count ? &a->spans[low] : 0;
}

int accesses_has(const struct accesses *a, uint32_t first, uint32_t last)
{
    const struct span *s = span_from(a, first);
    return s && s->start <= last;
}

static struct record *append(struct accesses *a)
{
    if (a->count == a->capacity) {
        uint32_t capacity = a->capacity ? 2 * a->capacity : FIRST_CAPACITY;
        struct record *records = realloc(a->records, capacity * sizeof *records);
        if (!records) {
            a->lost = 1;
            return 0;
        }
        a->records = records;
        a->capacity = capacity;
    }
    return &a->records[a->count++];
}

/* The same read with the same result as one before, with no write in between: nothing new. */
static struct record *poll_of(struct accesses *a, uint32_t pc, uint32_t address, uint32_t size, uint64_t value)
{
    uint32_t from = a->count > a->open + LOOK_BACK ? a->count - LOOK_BACK : a->open;
    for (uint32_t i = a->count; i > from; i--) {
        struct record *r = &a->records[i - 1];
        if (r->address == address && r->size == size && r->value == value && r->pc == pc && r->flags == ACCESS_VALUE)
            return r;
    }
    return 0;
}

/* A range in the same span that touches this one. */
static struct record *neighbour_of(struct accesses *a, const struct span *s, uint32_t address, uint32_t size, uint32_t flags)
{
    uint32_t from = a->count > a->open_merged + LOOK_BACK ? a->count - LOOK_BACK : a->open_merged;
    for (uint32_t i = a->count; i > from; i--) {
        struct record *r = &a->records[i - 1];
        if (!((r->flags ^ flags) & ~(uint32_t)ACCESS_VALUE) && address <= r->address + r->size &&
            r->address <= address + size && r->address >= s->start && r->address < s->end)
            return r;
    }
    return 0;
}

static void widen(struct record *r, uint32_t address, uint32_t size, uint64_t value, uint64_t before)
{
    uint32_t end = address + size > r->address + r->size ? address + size : r->address + r->size;
    if (r->address == address && r->size == size && r->value == value && r->before == before)
        return;
    r->flags &= ~(uint32_t)ACCESS_VALUE;
    r->value = r->before = 0;
    r->address = address < r->address ? address : r->address;
    r->size = end - r->address;
}

static void note(struct accesses *a, uint64_t slot, uint32_t pc, uint32_t address, uint32_t size, uint32_t flags,
                 uint64_t value, uint64_t before)
{
    const struct span *s = span_from(a, address);
    struct record *r = 0;
    uint32_t kept = flags & ACCESS_FRAME ? flags : flags | ACCESS_VALUE;

    if (!s || s->start >= address + size)
        return;
    if (s->merge && !(flags & ACCESS_FRAME))
        r = neighbour_of(a, s, address, size, kept);
    else if (!flags)
        r = poll_of(a, pc, address, size, value);
    if (r) {
        if (s->merge)
            widen(r, address, size, value, before);
        r->last = slot;
        r->count++;
        return;
    }
    if (!s->merge)
        a->open_merged = a->count + 1;
    if (!s->merge && flags)
        a->open = a->count + 1;
    r = append(a);
    if (r)
        *r = (struct record){slot, slot, value, before, pc, address, size, 1, kept, 0};
}

static uint64_t mask_of(uint32_t size)
{
    return size >= 8 ? ~0ull : (1ull << 8 * size) - 1;
}

static void note_part(struct accesses *a)
{
    const struct record *p = &a->part;
    if (p->count)
        note(a, p->first, p->pc, p->address, p->size, p->flags, p->value, p->before);
    a->part.count = 0;
}

/* Whether this piece of a load may be the second half of an unaligned one. */
static int may_be_second_half(const struct accesses *a, uint64_t slot, uint32_t address, uint32_t size)
{
    const struct record *p = &a->part;
    return p->count && p->first == slot && !p->flags && p->size <= size && p->address + p->size == address;
}

/* Of the piece before, if it is of the same instruction, only these bytes were asked for. */
static void clip(struct accesses *a, uint64_t slot, uint32_t start, uint32_t end)
{
    struct record *p = &a->part;
    uint32_t last = p->address + p->size;

    if (!p->count || p->first != slot)
        return;
    if (start >= last || end <= p->address) {
        p->count = 0;
        return;
    }
    last = end < last ? end : last;
    if (start > p->address) {
        p->value >>= 8 * (start - p->address);
        p->address = start;
    }
    p->size = last - p->address;
    p->value &= mask_of(p->size);
}

/* A piece of an access, of at most 8 bytes; `joins`: it belongs to the piece before, where it goes on there. */
static void touch(struct accesses *a, uint64_t slot, uint32_t pc, uint32_t address, uint32_t size, uint32_t flags,
                  uint64_t value, uint64_t before, int joins)
{
    struct record *p = &a->part;

    if (a->off)
        return;
    value &= mask_of(size);
    if (joins && p->count && p->first == slot && p->flags == flags && p->address + p->size == address && p->size + size <= 8) {
        p->value |= value << 8 * p->size;
        p->before |= before << 8 * p->size;
        p->size += size;
        return;
    }
    note_part(a);
    a->any = 1;
    *p = (struct record){slot, slot, value, before, pc, address, size, 1, flags, 0};
}

static void note_frame(struct accesses *a, uint64_t slot, uint32_t pc, uint32_t address, uint32_t size, int writes)
{
    note_part(a);
    a->any = 1;
    if (!a->off)
        note(a, slot, pc, address, size, ACCESS_FRAME | (writes ? ACCESS_WRITES : 0), 0, 0);
}

/* A store-exclusive, which the CPU makes as a load and a store, even where it fails (DDI0403E A7.7.167 ff, DDI0553B). */
int is_exclusive_store(uint32_t first, uint32_t second)
{
    uint32_t kind = second >> 4 & 0xF;
    if ((first & 0xFFF0) == 0xE840)
        return (second & 0xF000) != 0xF000; /* TT (DDI0553B) */
    return (first & 0xFFF0) == 0xE8C0 && (second & 0x0F00) == 0x0F00 && (kind == 4 || kind == 5 || (kind >= 0xC && kind <= 0xE));
}

int is_no_access(const struct core *c, int reads, uint32_t size, uint64_t value)
{
    uint16_t code[2] = {0, 0};
    uint32_t source;
    if (!c->exclusive || c->guard.mem_read(c->uc, c->address, code, sizeof code) != 0 || !is_exclusive_store(code[0], code[1]))
        return 0;
    source = register_of(c, code[1] >> 12);
    return reads || memcmp(&source, &value, size) != 0; /* it failed: what is there is stored again */
}



/* The bytes that the load which runs asks for, where the CPU may load more of them. */
int bytes_asked_for(const struct core *c, uint32_t *start, uint32_t *end)
{
    uint16_t code[2] = {0, 0};
    uint32_t size, words;
    if (c->guard.mem_read(c->uc, c->address, code, sizeof code) != 0)
        return AS_MADE;
    if (is_single_access(code[0])) {
        *start = address_of(c, code[0], code[1], &size);
        *end = *start + size;
        return size ? ONE_ACCESS : AS_MADE;
    }
    if ((code[0] & 0xFE00) != 0xEC00 || (code[1] & 0x0F00) != 0x0B00)
        return AS_MADE;
    words = code[1] & 0xFF; /* VLDR (A7.7.236), or VLDM, which may move its base first (A7.7.235) */
    *start = register_of(c, code[0] & 0xF);
    if ((code[0] & 0x0120) == 0x0100) {
        *start += code[0] & 0x80 ? 4 * words : 0u - 4 * words;
        words = 2;
    } else if (code[0] & 0x0100)
        *start -= 4 * words;
    *end = *start + 4 * words;
    return DOUBLES;
}

/* An instruction whose effect is undone runs again. */
void note_access(struct core *c, const struct window *w, int reads, uint32_t address, uint32_t size, uint64_t value)
{
    struct accesses *a = c->accesses;
    /* `executed` counts an instruction that runs; behind a stop, in an IT block, only the next look does. */
    uint64_t slot = c->executed + c->stopping, before = 0;
    uint32_t end = address + size;
    int kind;

    if (c->undo || (!reads && !w->code) || is_no_access(c, reads, size, value))
        return;
    if (!reads) {
        memcpy(&before, w->bytes + (address - w->start), size);
        touch(a, slot, c->address, address, size, ACCESS_WRITES, value, before, size == 1);
        return;
    }
    /* The other half may lie on a page beside this one that is not observed. */
    if (may_be_second_half(a, slot, address, size) || !(address & PAGE_MASK) || !(end & PAGE_MASK)) {
        uint32_t from, to;
        kind = bytes_asked_for(c, &from, &to);
        if (kind != AS_MADE) {
            clip(a, slot, from, to);
            if (from >= end || to <= address)
                return;
            end = to < end ? to : end;
            if (from > address) {
                value >>= 8 * (from - address);
                address = from;
            }
        }
    } else
        kind = AS_MADE;
    touch(a, slot, c->address, address, end - address, 0, value, 0, kind == ONE_ACCESS);
}

/* An exception's frame was stored, or loaded; `pc` is where the exception came in, or returned. */
void core_note_frame(struct core *c, uint32_t frame, uint32_t size, uint32_t pc, int writes)
{
    if (c->accesses)
        note_frame(c->accesses, c->executed, pc, frame, size, writes);
}

/* Closes what is recorded, with times in nanoseconds, and gives the number of records; they stay until the next access. */
uint32_t accesses_take(struct accesses *a, uint32_t mips)
{
    uint32_t count;
    note_part(a);
    count = a->count;
    for (uint32_t i = 0; i < count; i++) {
        a->records[i].first = a->records[i].first * 1000 / mips;
        a->records[i].last = a->records[i].last * 1000 / mips;
    }
    a->any = a->count = a->open = a->open_merged = 0;
    return count;
}

void accesses_free(struct accesses *a)
{
    free(a->records);
    a->records = 0;
    a->count = a->capacity = 0;
}
