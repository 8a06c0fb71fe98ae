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

enum { PAGE_SHIFT = 10, PAGE_MASK = 1023 };  /* an M-profile page is 1 KB */
#define NO_PAGE 0xFFFFF000u /* nothing executes there */
enum { UNSEEN = 0, SEEN = 1, FIRST_BITS = 2 }; /* values of a page's mark; from 2 on: index of its bits + 2 */
enum { MASKS = 3 };                           /* PRIMASK, BASEPRI, FAULTMASK */
enum { WHY_BUDGET = 0, WHY_NEW_PAGE = 1, WHY_SPECIAL = 2, WHY_UNMASKED = 3, WHY_OTHER = 4 };
#define NO_ADDRESS 0xFFFFFFFEu /* emu_start's `until`: no instruction can stand there */

/* One bit per halfword of a page. */
struct bits {
    uint8_t stop[64];      /* stop before it: WFI, WFE, SEV, a floating-point instruction while the unit is off */
    uint8_t exclusive[64]; /* a load-exclusive */
    const uint16_t *live;  /* the page itself where a store may change it: look there instead */
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
    emu_stop_fn emu_stop;
    emu_start_fn emu_start;
    reg_read_fn reg_read;
    void *uc;
};

/* Runs from `pc` to `limit` at most; WHY_OTHER when something else than the hook below ended it. */
uint32_t core_run(struct core *c, uint64_t limit)
{
    c->limit = limit;
    c->stopping = 0;
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

enum kind { PLAIN, STOP, EXCLUSIVE };

/* code.py says the same of a page as a whole, and cites the encodings. */
static enum kind kind_of(uint32_t first, uint32_t second, uint32_t fp_off)
{
    if (first == 0xBF10 || first == 0xBF20 || first == 0xBF30 || first == 0xBF40)
        return STOP;
    if (first == 0xF3AF && second >= 0x8001 && second <= 0x8004)
        return STOP;
    if ((first & 0xFFF0) == 0xE850 || ((first & 0xFFF0) == 0xE8D0 && (second & 0x0FCF) == 0x0F4F))
        return EXCLUSIVE;
    if (fp_off && (first & 0xEC00) == 0xEC00 && (second & 0x0E00) == 0x0A00)
        return STOP;
    return PLAIN;
}

static enum kind kind_at(const struct core *c, uint32_t half)
{
    const uint16_t *live = c->bits->live;
    if (live)
        return kind_of(live[half], half < PAGE_MASK / 2 ? live[half + 1] : 0, c->fp_off);
    if (c->bits->stop[half >> 3] & 1u << (half & 7))
        return STOP;
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
    }
    if (c->executed >= c->limit) {
        stop(c, uc, WHY_BUDGET);
        return;
    }
    if (c->bits) {
        enum kind kind = kind_at(c, (address & PAGE_MASK) >> 1);
        if (kind == STOP) {
            stop(c, uc, WHY_SPECIAL);
            return;
        }
        if (kind == EXCLUSIVE)
            c->exclusive = 1;
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
    if (!c->bits && !c->watch_masks && !c->stopping)
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

int core_on_invalid(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct core *c = user;
    (void)uc;
    (void)value;
    c->access = type;
    c->access_address = (uint32_t)address;
    c->access_size = (uint32_t)size;
    return 0;
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

/* Instructions whose effect the registers do not show: WFE, WFI, SEV and wide hints, store-exclusive. */
static int is_opaque(uint32_t half)
{
    return half == 0xBF20 || half == 0xBF30 || half == 0xBF40 || half == 0xF3AF || (half & 0xFFF0) == 0xE840 || (half & 0xFFF0) == 0xE8C0;
}

void probe_on_code(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct probe *p = user;
    uint32_t address = (uint32_t)address64;
    uint16_t half = 0;

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
    p->mem_read(uc, address, &half, sizeof half);
    if (p->executed >= p->limit || size > 4 || is_opaque(half)) {
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
