/* The MPU of a core, enforced by the TLB where a page decides and access by access where it does not. */
#include <string.h>

#include "native.h"

enum { READ = 1, WRITE = 2, EXECUTE = 4, UNPRIVILEGED = 3 };

struct tlb_entry { /* uc_tlb_entry */
    uint64_t paddr;
    uint32_t perms;
};

/* What is granted on all (and on any) bytes from first to last. */
static uint32_t granted(const struct guard *g, uint64_t first, uint64_t last, uint32_t *any)
{
    uint32_t low = 0, high = g->count, all;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (g->starts[middle] <= first)
            low = middle;
        else
            high = middle;
    }
    all = *any = g->granted[low];
    while (++low < g->count && g->starts[low] <= last) {
        all &= g->granted[low];
        *any |= g->granted[low];
    }
    return all;
}

/* LDRT, STRT and their narrow forms (DDI0403E A7.7.43 ff): 1111100x 0xx0 nnnn tttt 1110 .... */
int is_unprivileged_access(uint32_t first, uint32_t second)
{
    if ((second & 0x0F00) != 0x0E00 || (first & 0xF) == 0xF)
        return 0;
    return ((first & 0xFF80) == 0xF800 && (first & 0x0060) != 0x0060) || (first & 0xFFD0) == 0xF910;
}

int is_unprivileged_mode(const struct core *c)
{
    uint32_t control = 0, ipsr = 0;
    c->reg_read(c->uc, c->guard.control_id, &control);
    if (!(control & 1))
        return 0;
    c->reg_read(c->uc, c->guard.ipsr_id, &ipsr);
    return ipsr == 0;
}

/* Whether the data access of the instruction that runs is unprivileged. */
uint32_t core_is_unprivileged(struct core *c)
{
    uint16_t code[2] = {0, 0};
    if (is_unprivileged_mode(c))
        return 1;
    return c->guard.mem_read(c->uc, c->address, code, sizeof code) == 0 && is_unprivileged_access(code[0], code[1]);
}

/* The first refusal of an instruction counts. Loads end with it; a store goes on with its instruction, so the
 * registers are kept to be put back, and no later access of it reaches anything. */
void deny(struct core *c, void *uc, int type, uint32_t address, uint32_t size)
{
    if (c->denied)
        return;
    c->denied = 1;
    c->access = type;
    c->access_address = address;
    c->access_size = size;
    c->denied_executed = c->executed;
    c->denied_address = c->address;
    c->reg_read_batch(uc, c->saved_ids, c->saved_pointers, c->saved_count);
    c->it = it_state_at(c, c->address, 0);
    skip_rest(c);
    if (c->guard.on)
        c->guard.ctl(uc, c->guard.flush_tlb);
}

static int is_cached_page(const struct core *c, uint32_t page)
{
    const struct window *w = c->grown ? window_at(c->guard.windows, c->guard.window_count, page) : 0;
    return w && w->tracked && cache_looks_at(c, w, page);
}

/* Whether privileged code may access all of an exception's frame. */
int guard_grants(const struct core *c, uint32_t address, uint32_t size, int stores)
{
    uint32_t any;
    return !c->guard.on || granted(&c->guard, address, (uint64_t)address + size - 1, &any) & (stores ? WRITE : READ);
}

/* Once for each page and each mode: Unicorn keeps what is answered until the TLB is dropped. */
static int fill_tlb(struct core *c, uint64_t address64, int type, struct tlb_entry *entry)
{
    const struct guard *g = &c->guard;
    uint32_t page = (uint32_t)address64 & ~(uint32_t)PAGE_MASK;
    uint32_t wanted = type == MEM_READ ? READ : type == MEM_WRITE ? WRITE : EXECUTE;
    uint32_t all, any, next_any, next, unprivileged, uniform;

    if (c->denied || is_taken_back(c))
        return 0;
    entry->paddr = page;
    /* The page of `until`, which Unicorn looks up after each run; a guest that branches there finds nothing. */
    if (type == MEM_FETCH && (page == g->stub || page == (NO_ADDRESS & ~(uint32_t)PAGE_MASK))) {
        entry->perms = EXECUTE;
        return 1;
    }
    unprivileged = type == MEM_FETCH ? (uint32_t)is_unprivileged_mode(c) : core_is_unprivileged(c);
    all = granted(g, page, page + (uint64_t)PAGE_MASK, &any);
    /* An unaligned access that begins here may reach into the next page, and there nobody asks. */
    next = page == 0xFFFFFC00u ? all : granted(g, page + PAGE_MASK + 1ull, page + PAGE_MASK + 7ull, &next_any);
    if (unprivileged) {
        all >>= UNPRIVILEGED;
        any >>= UNPRIVILEGED;
        next >>= UNPRIVILEGED;
    }
    all &= READ | WRITE | EXECUTE;
    any &= READ | WRITE | EXECUTE;
    if (type == MEM_FETCH && !(any & EXECUTE)) {
        c->exception = PREFETCH_ABORT;
        return 0;
    }
    uniform = all == any && (all & wanted) && (all & ~next & (READ | WRITE)) == 0;
    if (uniform && !(c->accesses && accesses_has(c->accesses, page, page + PAGE_MASK)) && !is_cached_page(c, page) &&
        !(c->fast && g->devices && g->devices[page >> PAGE_SHIFT])) {
        /* Where code may run, Unicorn looks at each store; all of the TLB is dropped when it first does. */
        entry->perms = type == MEM_FETCH || !c->fast || c->pages[page >> PAGE_SHIFT] != UNSEEN ? all : all & (READ | WRITE);
        return 1;
    }
    if (type == MEM_FETCH) { /* look() asks for each instruction where the page is mixed */
        entry->perms = EXECUTE;
        return 1;
    }
    entry->paddr = page | (uniform && !c->fast ? OBSERVED_ALIAS : (1ull + unprivileged) << ALIAS_SHIFT);
    entry->perms = uniform ? all & (READ | WRITE) : READ | WRITE;
    return 1;
}

_Bool guard_on_tlb_fill(void *uc, uint64_t address, int type, struct tlb_entry *entry, void *user)
{
    int granted = fill_tlb(user, address, type, entry);
    (void)uc;
    if (granted && type != MEM_FETCH)
        core_leave_it(user);
    return granted;
}

/* An access that came to an alias: whether it may happen. */
_Bool guard_decides(struct core *c, void *uc, int type, uint64_t address64, uint32_t size)
{
    const struct guard *g = &c->guard;
    uint32_t address = (uint32_t)address64, any;
    int reads = type == MEM_READ_PROT;
    uint32_t right = granted(g, address, (uint64_t)address + size - 1, &any);
    if (address64 >> ALIAS_SHIFT == 2)
        right >>= UNPRIVILEGED;
    if (c->denied)
        return 0;
    if (!(right & (reads ? READ : WRITE))) {
        deny(c, uc, type, address, size);
        return 0;
    }
    if (window_at(g->windows, g->window_count, address) || (g->devices && g->devices[address >> PAGE_SHIFT])) {
        core_leave_it(c);
        return 1;
    }
    deny(c, uc, reads ? MEM_READ_UNMAPPED : MEM_WRITE_UNMAPPED, address, size);
    return 0;
}

/* What a device has answered before, if that stands; null: it is to be asked. */
static const struct answer *answer_at(const struct answer *answers, uint32_t address, uint32_t size)
{
    const struct answer *a = &answers[(address >> 2 ^ address >> 10) % ANSWERS];
    return a->size == size && a->address == address && *a->version == a->seen ? a : 0;
}

/* A write that does nothing but send a byte; 0: it is the device's to do. */
static int sends(struct core *c, uint32_t address, uint32_t size, uint64_t value)
{
    const struct answer *a = answer_at(c->senders, address, size);
    struct taken *t = c->taken;
    if (!a || t->told_count == MOST_TOLD)
        return 0;
    t->told[t->told_count++] = (struct told){c->executed, (uint8_t)value, (uint32_t)a->value, SENT, 0};
    c->served++;
    c->disturbed = 1;
    return 1;
}

/* The aliases answer as the memory or device itself; the first two are called when guard_decides() agreed. */
uint64_t guard_on_read(void *uc, uint64_t address, unsigned size, void *user)
{
    struct core *c = user;
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, (uint32_t)address);
    uint64_t value = 0;
    (void)uc;
    if (!w && systick_load(c, (uint32_t)address, size, &value))
        return value;
    if (!w) {
        const struct answer *a = answer_at(c->answers, (uint32_t)address, size);
        if (a) {
            c->served++;
            return a->value;
        }
        c->called = 1;
        return c->guard.slow_read((uint32_t)address, size);
    }
    memcpy(&value, w->bytes + ((uint32_t)address - w->start), size);
    if (w->tracked)
        cache_read(c, w, (uint32_t)address, size, &value);
    if (c->accesses)
        note_access(c, w, 1, (uint32_t)address, size, value);
    return value;
}

/* A store to a device whose effect is all native. */
static int is_done_here(struct core *c, uint32_t address, uint32_t size, uint64_t value)
{
    return nvic_store(c, address, size, (uint32_t)value) || systick_store(c, address, size, (uint32_t)value) ||
           mpu_store(c, address, size, (uint32_t)value) || sends(c, address, size, value);
}

void guard_on_write(void *uc, uint64_t address, unsigned size, uint64_t value, void *user)
{
    struct core *c = user;
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, (uint32_t)address);
    if (w && c->accesses)
        note_access(c, w, 0, (uint32_t)address, size, value);
    if (w && w->tracked && cache_write(c, w, (uint32_t)address, size, value))
        return;
    if (!w && is_done_here(c, (uint32_t)address, size, value))
        return;
    if (!w) {
        c->called = 1;
        c->guard.slow_write((uint32_t)address, size, value);
    } else if (!w->code || w->code[((uint32_t)address - w->start) >> PAGE_SHIFT]) {
        c->called = 1;
        c->protected_write(uc, MEM_WRITE_PROT, (uint32_t)address, (int)size, (int64_t)value, c);
    } else {
        memcpy(w->bytes + ((uint32_t)address - w->start), &value, size);
    }
}

/* Whether the MPU grants execution of a page to some and not to all of it, or not to the same mode everywhere. */
uint32_t is_mixed_code(const struct core *c, uint32_t address)
{
    uint32_t page = address & ~(uint32_t)PAGE_MASK, any;
    uint32_t all = granted(&c->guard, page, page + (uint64_t)PAGE_MASK, &any);
    return (all ^ any) & (EXECUTE | EXECUTE << UNPRIVILEGED);
}

uint32_t may_fetch(const struct core *c, uint32_t address, uint32_t size)
{
    uint32_t any, right;
    if (address >> PAGE_SHIFT == c->guard.stub >> PAGE_SHIFT)
        return 1;
    right = granted(&c->guard, address, (uint64_t)address + (size <= 4 ? size : 2) - 1, &any);
    return (is_unprivileged_mode(c) ? right >> UNPRIVILEGED : right) & EXECUTE;
}
