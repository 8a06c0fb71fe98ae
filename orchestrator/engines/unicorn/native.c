/* The part of the engine that runs for every instruction: Unicorn calls these hooks, Python reads the structs.
 *
 * A hook that asks emu_stop() is obeyed before the instruction that it was called for, except inside an IT block,
 * where Unicorn goes on: the next call then finds `stopping` still set and counts the instruction that ran.
 * Nothing here links to Unicorn: the functions it needs are handed in.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int (*emu_stop_fn)(void *uc);
typedef int (*emu_start_fn)(void *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
typedef int (*reg_read_fn)(void *uc, int id, void *value);
typedef int (*reg_read_batch_fn)(void *uc, int *ids, void **values, int count);
typedef int (*mem_read_fn)(void *uc, uint64_t address, void *bytes, uint64_t size);
typedef int (*ctl_fn)(void *uc, int control, ...);
typedef uint64_t (*slow_read_fn)(uint32_t address, uint32_t size);
typedef void (*slow_write_fn)(uint32_t address, uint32_t size, uint64_t value);

enum { PAGE_SHIFT = 10, PAGE_MASK = 1023 };  /* an M-profile page is 1 KB */
#define NO_PAGE 0xFFFFF000u /* nothing executes there */
enum { UNSEEN = 0, SEEN = 1, FIRST_BITS = 2 }; /* values of a page's mark; from 2 on: index of its bits + 2 */
enum { MASKS = 3 };                           /* PRIMASK, BASEPRI, FAULTMASK */
enum { WHY_BUDGET = 0, WHY_NEW_PAGE = 1, WHY_SPECIAL = 2, WHY_UNMASKED = 3, WHY_OTHER = 4, WHY_REFUSED = 5 };
#define NO_ADDRESS 0xFFFFFFFEu /* emu_start's `until`: no instruction can stand there */

/* One bit per halfword of a page. */
struct bits {
    uint8_t stop[64];      /* stop before it: WFI, WFE, SEV, a floating-point instruction while the unit is off,
                              a debugger's breakpoint */
    uint8_t exclusive[64]; /* a load-exclusive */
    uint8_t faultmask[64]; /* changes FAULTMASK, on which it depends whether the MPU is in force */
    const uint16_t *live;  /* the page itself where a store may change it: look there too */
};

/* Memory as guarded accesses reach it: the bytes, and which of its pages hold code that some core has translated. */
struct window {
    uint64_t start, end;
    uint8_t *bytes;
    const uint8_t *code; /* one byte per page; null: no store changes this memory */
};

/* What the MPU grants, and what the hooks need to enforce it. `granted[i]` holds from `starts[i]` to the next start:
 * READ, WRITE, EXECUTE for privileged code, and the same shifted by UNPRIVILEGED. */
struct guard {
    uint32_t on;            /* the TLB is filled by guard_on_tlb_fill */
    uint32_t watch_faultmask; /* stop after an instruction that changes FAULTMASK */
    uint32_t count;
    uint32_t window_count;
    const uint32_t *starts;
    const uint8_t *granted;
    const struct window *windows; /* by address */
    const uint8_t *devices; /* one byte per page of the address space: a device answers there; null: none */
    uint32_t stub;          /* a page that is not the guest's */
    int32_t control_id, ipsr_id;
    mem_read_fn mem_read;
    ctl_fn ctl;
    int32_t flush_tlb;      /* the control that drops the TLB */
    slow_read_fn slow_read; /* a device; a store that may change code or nothing */
    slow_write_fn slow_write;
};

struct core {
    uint64_t executed;   /* instructions since power-on, sleep counted as executed */
    uint64_t limit;      /* stop before the instruction that would exceed this */
    uint32_t address;    /* of the instruction that runs, or that was stopped before */
    uint32_t stopping;   /* a stop was asked for; Python clears it before emu_start */
    uint32_t why;
    uint32_t calm;       /* address of the page before, if nothing on it needs a look; NO_PAGE: look */
    uint32_t page;       /* of the instruction before; ~0: look it up again */
    uint32_t fp_off;     /* the floating-point unit is switched off */
    uint32_t exclusive;  /* a load-exclusive ran since this was cleared */
    struct bits *bits;   /* of that page; null: no instruction of interest stands in it */
    uint16_t *pages;     /* one per page of the address space */
    struct bits *page_bits;
    uint32_t watch_masks;
    uint32_t masks[MASKS];
    int32_t mask_ids[MASKS];
    int32_t exception;   /* Unicorn's number from the INTR hook; -1: none */
    int32_t access;      /* type of the invalid access; -1: none */
    uint32_t access_address;
    uint32_t access_size;
    int32_t error;       /* of the last emu_start */
    uint32_t pc;         /* of the next instruction */
    uint64_t passed;     /* value of `executed` at which an instruction runs although it is marked */
    int32_t watched;     /* type of the first access of an instruction to what a debugger watches; -1: none */
    uint32_t watched_address;
    uint32_t watched_pc;
    emu_stop_fn emu_stop;
    emu_start_fn emu_start;
    reg_read_fn reg_read;
    void *uc;
    uint32_t check_fetch; /* the MPU does not grant the same on all of this page: ask for each instruction */
    uint32_t refused;     /* an access was: whatever else the instruction does must not happen */
    uint64_t refused_executed; /* `executed` and `address` then */
    uint32_t refused_address;
    int32_t saved_count;  /* registers as they were then: their ids and places */
    int *saved_ids;
    void **saved_pointers;
    reg_read_batch_fn reg_read_batch;
    struct guard guard;
};

/* --- the MPU --- */

enum { READ = 1, WRITE = 2, EXECUTE = 4, UNPRIVILEGED = 3 };
enum { MEM_READ = 16, MEM_WRITE, MEM_FETCH, MEM_READ_UNMAPPED, MEM_WRITE_UNMAPPED, MEM_FETCH_UNMAPPED, MEM_WRITE_PROT, MEM_READ_PROT };
enum { PREFETCH_ABORT = 3 };

/* An access that the TLB cannot decide goes to an alias of its address: to the first for privileged code, to the
 * second for unprivileged. Nothing may be accessed there without guard_decides(). */
#define ALIAS_SHIFT 32

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
static int is_unprivileged_access(uint32_t first, uint32_t second)
{
    if ((second & 0x0F00) != 0x0E00 || (first & 0xF) == 0xF)
        return 0;
    return ((first & 0xFF80) == 0xF800 && (first & 0x0060) != 0x0060) || (first & 0xFFD0) == 0xF910;
}

static int is_unprivileged_mode(const struct core *c)
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

static const struct window *window_at(const struct guard *g, uint32_t address)
{
    for (uint32_t i = 0; i < g->window_count; i++)
        if (address >= g->windows[i].start && address < g->windows[i].end)
            return &g->windows[i];
    return 0;
}

/* The first refusal of an instruction counts. Loads end with it; a store goes on with its instruction, so the
 * registers are kept to be put back, and no later access of it reaches anything. */
static void refuse(struct core *c, void *uc, int type, uint32_t address, uint32_t size)
{
    if (c->refused)
        return;
    c->refused = 1;
    c->access = type;
    c->access_address = address;
    c->access_size = size;
    c->refused_executed = c->executed;
    c->refused_address = c->address;
    c->reg_read_batch(uc, c->saved_ids, c->saved_pointers, c->saved_count);
    if (c->guard.on)
        c->guard.ctl(uc, c->guard.flush_tlb);
}

/* Once for each page and each mode: Unicorn keeps what is answered until the TLB is dropped. */
_Bool guard_on_tlb_fill(void *uc, uint64_t address64, int type, struct tlb_entry *entry, void *user)
{
    struct core *c = user;
    const struct guard *g = &c->guard;
    uint32_t page = (uint32_t)address64 & ~(uint32_t)PAGE_MASK;
    uint32_t wanted = type == MEM_READ ? READ : type == MEM_WRITE ? WRITE : EXECUTE;
    uint32_t all, any, next_any, next, unprivileged;
    (void)uc;

    if (c->refused)
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
    if (all == any && (all & wanted) && (all & ~next & (READ | WRITE)) == 0) {
        entry->perms = all;
        return 1;
    }
    if (type == MEM_FETCH) { /* look() asks for each instruction where the page is mixed */
        entry->perms = EXECUTE;
        return 1;
    }
    entry->paddr = page | (1ull + unprivileged) << ALIAS_SHIFT;
    entry->perms = READ | WRITE;
    return 1;
}

/* An access that came to an alias: whether it may happen. */
static _Bool guard_decides(struct core *c, void *uc, int type, uint64_t address64, uint32_t size)
{
    const struct guard *g = &c->guard;
    uint32_t address = (uint32_t)address64, any;
    int reads = type == MEM_READ_PROT;
    uint32_t right = granted(g, address, (uint64_t)address + size - 1, &any);
    if (address64 >> ALIAS_SHIFT == 2)
        right >>= UNPRIVILEGED;
    if (c->refused)
        return 0;
    if (!(right & (reads ? READ : WRITE))) {
        refuse(c, uc, type, address, size);
        return 0;
    }
    if (window_at(g, address) || (g->devices && g->devices[address >> PAGE_SHIFT]))
        return 1;
    refuse(c, uc, reads ? MEM_READ_UNMAPPED : MEM_WRITE_UNMAPPED, address, size);
    return 0;
}

/* The aliases answer as the memory or device itself; they are called when guard_decides() agreed. */
uint64_t guard_on_read(void *uc, uint64_t address, unsigned size, void *user)
{
    const struct core *c = user;
    const struct window *w = window_at(&c->guard, (uint32_t)address);
    uint64_t value = 0;
    (void)uc;
    if (!w)
        return c->guard.slow_read((uint32_t)address, size);
    memcpy(&value, w->bytes + (address - w->start), size);
    return value;
}

void guard_on_write(void *uc, uint64_t address, unsigned size, uint64_t value, void *user)
{
    const struct core *c = user;
    const struct window *w = window_at(&c->guard, (uint32_t)address);
    (void)uc;
    if (!w || !w->code || w->code[(address - w->start) >> PAGE_SHIFT])
        c->guard.slow_write((uint32_t)address, size, value);
    else
        memcpy(w->bytes + (address - w->start), &value, size);
}

/* Whether the MPU grants execution of a page to some and not to all of it, or not to the same mode everywhere. */
static uint32_t is_mixed_code(const struct core *c, uint32_t address)
{
    uint32_t page = address & ~(uint32_t)PAGE_MASK, any;
    uint32_t all = granted(&c->guard, page, page + (uint64_t)PAGE_MASK, &any);
    return (all ^ any) & (EXECUTE | EXECUTE << UNPRIVILEGED);
}

static uint32_t may_fetch(const struct core *c, uint32_t address, uint32_t size)
{
    uint32_t any, right;
    if (address >> PAGE_SHIFT == c->guard.stub >> PAGE_SHIFT)
        return 1;
    right = granted(&c->guard, address, (uint64_t)address + (size <= 4 ? size : 2) - 1, &any);
    return (is_unprivileged_mode(c) ? right >> UNPRIVILEGED : right) & EXECUTE;
}

/* --- the run --- */

/* Runs from `pc` to `limit` at most; WHY_OTHER when something else than the hook below ended it. */
uint32_t core_run(struct core *c, uint64_t limit)
{
    c->limit = limit;
    c->stopping = 0;
    c->refused = 0;
    c->calm = NO_PAGE;
    c->error = c->emu_start(c->uc, c->pc | 1, NO_ADDRESS, 0, 0);
    if (!c->stopping || c->exception >= 0 || c->error)
        return WHY_OTHER;
    c->pc = c->address;
    return c->why;
}

static void stop(struct core *c, void *uc, uint32_t why)
{
    c->why = why;
    c->stopping = 1;
    c->calm = NO_PAGE;
    c->emu_stop(uc);
}

enum kind { PLAIN, STOP, EXCLUSIVE, FAULTMASK };

/* code.py says the same of a page as a whole, and cites the encodings. */
static enum kind kind_of(uint32_t first, uint32_t second, uint32_t fp_off, uint32_t watch_faultmask)
{
    if (first == 0xBF10 || first == 0xBF20 || first == 0xBF30 || first == 0xBF40)
        return STOP;
    if (first == 0xF3AF && second >= 0x8001 && second <= 0x8004)
        return STOP;
    if ((first & 0xFFF0) == 0xE850 || ((first & 0xFFF0) == 0xE8D0 && (second & 0x0FCF) == 0x0F4F))
        return EXCLUSIVE;
    if (fp_off && (first & 0xEC00) == 0xEC00 && (second & 0x0E00) == 0x0A00)
        return STOP;
    if (watch_faultmask && ((first & 0xFFED) == 0xB661 || ((first & 0xFFF0) == 0xF380 && (second & 0xFF) == 0x13)))
        return FAULTMASK;
    return PLAIN;
}

static enum kind kind_at(const struct core *c, uint32_t half)
{
    const uint16_t *live = c->bits->live;
    if (c->bits->stop[half >> 3] & 1u << (half & 7))
        return STOP;
    if (live)
        return kind_of(live[half], half < PAGE_MASK / 2 ? live[half + 1] : 0, c->fp_off, c->guard.watch_faultmask);
    if (c->bits->faultmask[half >> 3] & 1u << (half & 7))
        return FAULTMASK;
    return c->bits->exclusive[half >> 3] & 1u << (half & 7) ? EXCLUSIVE : PLAIN;
}

static void look(struct core *c, void *uc, uint32_t address, uint32_t size)
{
    if (c->stopping)
        c->executed++;
    c->address = address;
    if ((address >> PAGE_SHIFT) != c->page || ((address + size - 1) >> PAGE_SHIFT) != c->page) {
        uint32_t last = size <= 4 ? address + size - 1 : address;
        uint16_t mark = c->pages[address >> PAGE_SHIFT];
        if (mark == UNSEEN || c->pages[last >> PAGE_SHIFT] == UNSEEN) {
            stop(c, uc, WHY_NEW_PAGE);
            return;
        }
        c->page = address >> PAGE_SHIFT;
        c->bits = mark >= FIRST_BITS ? &c->page_bits[mark - FIRST_BITS] : 0;
        c->check_fetch = c->guard.on && (is_mixed_code(c, address) || is_mixed_code(c, last));
    }
    if (c->check_fetch && !may_fetch(c, address, size)) {
        stop(c, uc, WHY_REFUSED);
        return;
    }
    if (c->executed >= c->limit) {
        stop(c, uc, WHY_BUDGET);
        return;
    }
    if (c->bits) {
        enum kind kind = kind_at(c, (address & PAGE_MASK) >> 1);
        if (kind == STOP && c->executed != c->passed) {
            stop(c, uc, WHY_SPECIAL);
            return;
        }
        if (kind == EXCLUSIVE || kind == STOP) /* what is passed may be a load-exclusive or change FAULTMASK as well */
            c->exclusive = 1;
        if (kind == FAULTMASK || kind == STOP)
            c->limit = c->executed + 1;
    }
    if (c->watch_masks) {
        uint32_t now[MASKS];
        for (int i = 0; i < MASKS; i++) {
            now[i] = 0;
            c->reg_read(uc, c->mask_ids[i], &now[i]);
        }
        if (memcmp(now, c->masks, sizeof now) != 0) {
            stop(c, uc, WHY_UNMASKED);
            return;
        }
    }
    if (c->stopping) /* the call after it counts it, if it runs */
        return;
    if (!c->bits && !c->watch_masks && !c->check_fetch)
        c->calm = address & ~(uint32_t)PAGE_MASK;
    c->executed++;
}

void core_on_code(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct core *c = user;
    uint32_t address = (uint32_t)address64;

    /* Wholly inside a page with nothing to look at: an instruction has at most four bytes. */
    if (address - c->calm <= PAGE_MASK - 3 && c->executed < c->limit) {
        c->address = address;
        c->executed++;
        return;
    }
    look(c, uc, address, size);
}

void core_on_exception(void *uc, uint32_t number, void *user)
{
    struct core *c = user;
    c->exception = (int32_t)number;
    c->emu_stop(uc);
}

_Bool core_on_invalid(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct core *c = user;
    (void)value;
    if (address >> ALIAS_SHIFT)
        return guard_decides(c, uc, type, address, (uint32_t)size);
    if (c->guard.on && type == MEM_FETCH_UNMAPPED && address >= (NO_ADDRESS & ~(uint64_t)PAGE_MASK))
        c->exception = PREFETCH_ABORT; /* as without a guard: it may be a return from an exception */
    else
        refuse(c, uc, type, (uint32_t)address, (uint32_t)size);
    return 0;
}

/* What a debugger watches: bytes from first to last. Unicorn calls for each access that begins in a wider range. */
struct watch {
    struct core *core;
    uint32_t first, last;
};

void core_on_watched(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct watch *w = user;
    struct core *c = w->core;
    (void)uc;
    (void)value;
    if (address > w->last || address + (uint64_t)size <= w->first)
        return;
    if (c->watched < 0) {
        c->watched = type;
        c->watched_address = (uint32_t)address;
        c->watched_pc = c->address;
    }
    c->limit = c->executed; /* the instruction ends first */
}

/* The probe runs a copy of a core for a while and says whether it came back to the very same registers, which
 * bytes it read on the way and what it overwrote. */
enum { PROBE_REGS = 40, PROBE_ACCESSES = 64, PROBE_SPARE = 64 };

struct access {
    uint32_t address, size;
    uint64_t value;
};

struct probe {
    uint64_t executed, limit;
    uint32_t head, passed, same, spoilt;
    uint32_t lowest, highest; /* extent of the code that ran; highest is past its end */
    uint32_t read_count, write_count;
    struct access reads[PROBE_ACCESSES + PROBE_SPARE], writes[PROBE_ACCESSES + PROBE_SPARE];
    uint64_t start[PROBE_REGS], now[PROBE_REGS];
    int32_t ids[PROBE_REGS];
    void *now_pointers[PROBE_REGS];
    int32_t count;
    emu_stop_fn emu_stop;
    reg_read_batch_fn reg_read_batch;
    mem_read_fn mem_read;
};

static void give_up(struct probe *p, void *uc)
{
    p->spoilt = 1;
    p->emu_stop(uc);
}

/* Instructions whose effect the registers do not show: WFE, WFI, SEV and wide hints, store-exclusive; and those whose
 * privilege they do not show. */
static int is_opaque(uint32_t half, uint32_t second)
{
    return is_unprivileged_access(half, second) || half == 0xBF20 || half == 0xBF30 || half == 0xBF40 || half == 0xF3AF || (half & 0xFFF0) == 0xE840 || (half & 0xFFF0) == 0xE8C0;
}

void probe_on_code(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct probe *p = user;
    uint32_t address = (uint32_t)address64;
    uint16_t half[2] = {0, 0};

    if (p->spoilt || p->same) {
        p->emu_stop(uc);
        return;
    }
    if (address == p->head && p->passed) {
        memset(p->now, 0, sizeof p->now);
        p->reg_read_batch(uc, p->ids, p->now_pointers, p->count);
        if (memcmp(p->now, p->start, sizeof p->now) == 0) {
            p->same = 1;
            p->emu_stop(uc);
            return;
        }
    }
    p->passed = 1;
    if (p->mem_read(uc, address, half, sizeof half) != 0)
        p->mem_read(uc, address, half, sizeof half[0]);
    if (p->executed >= p->limit || size > 4 || is_opaque(half[0], half[1])) {
        give_up(p, uc);
        return;
    }
    if (address < p->lowest)
        p->lowest = address;
    if (address + size > p->highest)
        p->highest = address + size;
    p->executed++;
}

static int note(struct probe *p, void *uc, struct access *list, uint32_t *count, uint32_t address, uint32_t size)
{
    struct access *a;
    for (uint32_t i = 0; i < *count; i++)
        if (list[i].address == address && list[i].size == size)
            return 1;
    /* The store happens whatever is said here, with the rest of its instruction: keep it to be undone. */
    if (*count == PROBE_ACCESSES + PROBE_SPARE || size > 8)
        return 0;
    a = &list[*count];
    a->address = address;
    a->size = size;
    a->value = 0;
    if (p->mem_read(uc, address, &a->value, size) != 0)
        return 0;
    (*count)++;
    return *count <= PROBE_ACCESSES;
}

void probe_on_read(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct probe *p = user;
    (void)type;
    (void)value;
    if (!note(p, uc, p->reads, &p->read_count, (uint32_t)address, (uint32_t)size))
        give_up(p, uc);
}

void probe_on_write(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct probe *p = user;
    uint64_t mask = size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
    uint64_t present = 0;
    (void)type;
    if (!note(p, uc, p->writes, &p->write_count, (uint32_t)address, (uint32_t)size)) {
        give_up(p, uc);
        return;
    }
    p->mem_read(uc, address, &present, (uint64_t)size);
    if (((uint64_t)value & mask) != (present & mask))
        give_up(p, uc);
}

void probe_on_exception(void *uc, uint32_t number, void *user)
{
    (void)number;
    give_up(user, uc);
}

int probe_on_invalid(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc;
    (void)type;
    (void)address;
    (void)size;
    (void)value;
    ((struct probe *)user)->spoilt = 1;
    return 0;
}
