/* The part of the engine that runs for every instruction: Unicorn calls these hooks, Python reads the structs.
 *
 * A hook that asks emu_stop() is obeyed before the instruction that it was called for, except inside an IT block,
 * where Unicorn goes on: there the flags are set so that the conditions of the rest fail, and put back afterwards.
 * Unicorn tests a condition before it calls the hook: what the hook is called for will run.
 * Nothing here links to Unicorn: the functions it needs are handed in.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef int (*emu_stop_fn)(void *uc);
typedef int (*emu_start_fn)(void *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
typedef int (*reg_read_fn)(void *uc, int id, void *value);
typedef int (*reg_write_fn)(void *uc, int id, const void *value);
typedef int (*reg_read_batch_fn)(void *uc, int *ids, void **values, int count);
typedef int (*reg_write_batch_fn)(void *uc, int *ids, void **values, int count);
typedef int (*mem_read_fn)(void *uc, uint64_t address, void *bytes, uint64_t size);
typedef int (*ctl_fn)(void *uc, int control, ...);
typedef uint64_t (*slow_read_fn)(uint32_t address, uint32_t size);
typedef void (*slow_write_fn)(uint32_t address, uint32_t size, uint64_t value);

enum { PAGE_SHIFT = 10, PAGE_MASK = 1023 };  /* an M-profile page is 1 KB */
#define NO_PAGE 0xFFFFF000u /* nothing executes there */
enum { UNSEEN = 0, SEEN = 1, FIRST_BITS = 2 }; /* values of a page's mark; from 2 on: index of its bits + 2 */
enum { MASKS = 3 };                           /* PRIMASK, BASEPRI, FAULTMASK */
enum { WHY_BUDGET = 0, WHY_NEW_PAGE = 1, WHY_SPECIAL = 2, WHY_UNMASKED = 3, WHY_OTHER = 4, WHY_REFUSED = 5, WHY_TRAP = 6 };
enum { REGISTERS = 16 };
#define IT_BITS 0x0600FC00u /* of xPSR and CPSR */
#define NO_ADDRESS 0xFFFFFFFEu /* emu_start's `until`: no instruction can stand there */

/* One bit per halfword of a page. */
struct bits {
    uint8_t stop[64];       /* a debugger's breakpoint */
    uint8_t look[64];       /* that, and what kind_of() calls other than plain or floating-point */
    uint8_t look_fp[64];    /* that, and floating-point instructions */
    const uint16_t *code;   /* the page itself */
    uint32_t behind;        /* the halfword behind it, for an instruction across the border */
    uint32_t live;          /* a store may change it: look at every instruction */
    uint32_t float_alone;   /* `look` is empty */
};

/* Memory as it is reached from here: the bytes, and which of its pages hold code that some core has translated. */
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
    uint32_t fp_watch;   /* stop before a floating-point instruction */
    uint32_t traps;      /* TRAP_DIVISION, TRAP_UNALIGNED: of CCR */
    uint32_t trap;       /* with WHY_TRAP: which */
    uint32_t it;         /* ITSTATE at the instruction stopped before; 0: outside an IT block */
    uint32_t undo;       /* that instruction ran all the same: put back the registers as they were kept */
    uint32_t skipping;   /* the rest of an IT block is kept from running */
    uint32_t skip_next, flags; /* address of the first instruction of that rest; NZCV as they really are */
    uint32_t limits[2];  /* MSPLIM, PSPLIM: what Unicorn was told, and does not show */
    uint32_t mapped;     /* address of the page before, if `map` says where on it to look; NO_PAGE: look */
    const uint8_t *map;
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
    reg_write_fn reg_write;
    int32_t register_ids[REGISTERS];
    int32_t cpsr_id;
    int32_t flags_id, xpsr_id, xpsr_write_id; /* NZCV alone; xPSR, and without its exception number to be written */
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

static const struct window *window_at(const struct window *windows, uint32_t count, uint32_t address)
{
    for (uint32_t i = 0; i < count; i++)
        if (address >= windows[i].start && address < windows[i].end)
            return &windows[i];
    return 0;
}

/* Before Unicorn asks about an access it writes ITSTATE of the instruction into the CPU, where code that goes on after
 * the answer leaves it: the next block of code would begin as if it were in an IT block. CPSR is there on M-profile
 * too, and writing it changes neither mode nor stack. */
static void leave_it(void *uc, reg_read_fn reg_read, reg_write_fn reg_write, int cpsr_id)
{
    uint32_t value = 0;
    reg_read(uc, cpsr_id, &value);
    if (value & IT_BITS) {
        value &= ~IT_BITS;
        reg_write(uc, cpsr_id, &value);
    }
}

void core_leave_it(struct core *c)
{
    leave_it(c->uc, c->reg_read, c->reg_write, c->cpsr_id);
}

/* --- exception frames, the common case: no floating-point context, privileged, everything in plain memory --- */

enum { CALLER = 10, ENTERED = 7, STACKS = 3, RETURNED = 11 };
enum { R0, R1, R2, R3, R12, LR, XPSR, STACK, CONTROL, IPSR }; /* of CALLER */
enum { FRAME_WORDS = 8, FRAME_BYTES = 32 };
enum { NPRIV = 1, SPSEL = 2 };                     /* CONTROL */
enum { NO_FP = 0x10, TO_THREAD = 8 };              /* EXC_RETURN */
#define EXC_RETURN 0xFFFFFFE1u
#define THUMB 0x01000000u
#define NZCV 0xF0000000u

/* Each list of ids is a batch in the order that frames.py says and gives the reasons for. */
struct frames {
    const struct window *windows;
    uint32_t window_count;
    uint32_t fp_bits; /* CONTROL's: a floating-point context */
    uint32_t aligned, flags, kept; /* of XPSR: that a frame was padded; what a handler and a return keep */
    uint32_t to_process;           /* of EXC_RETURN */
    int32_t caller_ids[CALLER], entered_ids[ENTERED], stacks_ids[STACKS], returned_ids[RETURNED];
    reg_read_batch_fn reg_read_batch;
    reg_write_batch_fn reg_write_batch;
};

static void batch(int (*move)(void *, int *, void **, int), void *uc, int32_t *ids, uint64_t *values, int count)
{
    void *pointers[RETURNED];
    for (int i = 0; i < count; i++)
        pointers[i] = &values[i];
    move(uc, ids, pointers, count);
}

/* The bytes of a range in one piece of memory; null where there is none, or where a store needs more than a store. */
static uint8_t *plain(const struct frames *f, uint32_t address, uint32_t size, int stores)
{
    const struct window *w = window_at(f->windows, f->window_count, address);
    uint64_t offset;
    if (!w || address + (uint64_t)size > w->end)
        return 0;
    offset = address - w->start;
    if (stores && (!w->code || w->code[offset >> PAGE_SHIFT] || w->code[(offset + size - 1) >> PAGE_SHIFT]))
        return 0;
    return w->bytes + offset;
}

/* Exception entry (DDI0403E B1.5.6): stacks, fetches the vector, sets `pc`. 0: not so simple, and nothing has changed. */
int frames_enter(struct core *c, struct frames *f, uint32_t number, uint32_t vector, uint32_t return_address, int align)
{
    uint64_t r[CALLER] = {0};
    uint32_t words[FRAME_WORDS], control, frame, padding, handler, xpsr;
    uint8_t *fetched = plain(f, vector, 4, 0), *stack;

    if (!fetched)
        return 0;
    memcpy(&handler, fetched, 4);
    if (!(handler & 1) || handler >= 0xFFFFFF00u)
        return 0;
    batch(f->reg_read_batch, c->uc, f->caller_ids, r, CALLER);
    control = (uint32_t)r[CONTROL];
    if (control & f->fp_bits || (control & NPRIV && !r[IPSR]))
        return 0;
    xpsr = (uint32_t)r[XPSR];
    padding = align && r[STACK] & 4;
    frame = (uint32_t)r[STACK] - FRAME_BYTES - (padding ? 4 : 0);
    stack = plain(f, frame, FRAME_BYTES, 1);
    if (!stack || frame < c->limits[!r[IPSR] && control & SPSEL])
        return 0;
    for (int i = R0; i <= LR; i++)
        words[i] = (uint32_t)r[i];
    words[6] = return_address;
    words[7] = (xpsr & ~f->aligned) | (padding ? f->aligned : 0);
    memcpy(stack, words, FRAME_BYTES);

    uint32_t link = EXC_RETURN | NO_FP | (r[IPSR] ? 0 : TO_THREAD | (control & SPSEL ? f->to_process : 0));
    uint32_t main_stack = control & ~(uint32_t)SPSEL;
    uint64_t entered[ENTERED] = {frame, main_stack, (xpsr & f->flags) | THUMB, number, main_stack, link, xpsr & NZCV};
    batch(f->reg_write_batch, c->uc, f->entered_ids, entered, ENTERED);
    c->pc = handler & ~1u;
    return 1;
}

/* Exception return (B1.5.8) to a context that is as it should be: unstacks, sets `pc`. 0: as above. */
int frames_leave(struct core *c, struct frames *f, uint32_t exc_return)
{
    uint64_t stacks[STACKS] = {0};
    uint32_t words[FRAME_WORDS], control, frame, xpsr, number;
    const uint8_t *stack;

    if (!(exc_return & NO_FP))
        return 0;
    batch(f->reg_read_batch, c->uc, f->stacks_ids, stacks, STACKS);
    control = (uint32_t)stacks[2];
    if (control & NPRIV)
        return 0;
    frame = (uint32_t)stacks[exc_return & f->to_process ? 1 : 0];
    stack = plain(f, frame, FRAME_BYTES, 0);
    if (!stack)
        return 0;
    memcpy(words, stack, FRAME_BYTES);
    xpsr = words[7];
    number = xpsr & 0x1FF;
    if (!(xpsr & THUMB) || words[6] >= 0xFFFFFF00u || !(exc_return & TO_THREAD) != (number != 0))
        return 0;
    control &= ~(SPSEL | f->fp_bits);
    if (exc_return & TO_THREAD && exc_return & f->to_process)
        control |= SPSEL;
    uint64_t returned[RETURNED] = {
        xpsr & f->kept, number, control, frame + FRAME_BYTES + (xpsr & f->aligned ? 4u : 0u),
        words[R0], words[R1], words[R2], words[R3], words[R12], words[LR], xpsr & NZCV,
    };
    batch(f->reg_write_batch, c->uc, f->returned_ids, returned, RETURNED);
    c->pc = words[6] & ~1u;
    return 1;
}

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
/* PRIMASK, BASEPRI, FAULTMASK and IPSR; 0 where unprivileged code sees the first three as zero. */
int core_read_masks(struct core *c, uint32_t *values)
{
    void *pointers[MASKS + 2];
    int ids[MASKS + 2] = {c->mask_ids[0], c->mask_ids[1], c->mask_ids[2], c->guard.ipsr_id, c->guard.control_id};
    for (int i = 0; i < MASKS + 2; i++) {
        values[i] = 0;
        pointers[i] = &values[i];
    }
    c->reg_read_batch(c->uc, ids, pointers, MASKS + 2);
    return values[MASKS] != 0 || !(values[MASKS + 1] & NPRIV);
}

uint32_t core_is_unprivileged(struct core *c)
{
    uint16_t code[2] = {0, 0};
    if (is_unprivileged_mode(c))
        return 1;
    return c->guard.mem_read(c->uc, c->address, code, sizeof code) == 0 && is_unprivileged_access(code[0], code[1]);
}

/* --- IT blocks (DDI0403E A7.3.2) --- */

static int is_wide(uint32_t half)
{
    return half >= 0xE800;
}

static uint32_t it_advance(uint32_t state)
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
static uint32_t it_state_at(const struct core *c, uint32_t address, int tries)
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

static uint32_t read_flags(const struct core *c)
{
    uint32_t flags = 0;
    c->reg_read(c->uc, c->flags_id, &flags);
    return flags >> 28;
}

static int passes(uint32_t condition, uint32_t flags)
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
static void skip_rest(struct core *c)
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

static void put_flags_back(struct core *c)
{
    uint32_t value = c->flags << 28;
    c->skipping = 0;
    c->reg_write(c->uc, c->flags_id, &value);
}

/* Whether the instruction at an address is the one behind the block. */
static int skip_ends(struct core *c, uint32_t address)
{
    if (address == c->skip_next) { /* what looked like an IT block was none */
        put_flags_back(c);
        c->it = 0;
        return 0;
    }
    return 1;
}

static void set_it(const struct core *c, uint32_t it)
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
    if (c->skipping || c->undo || c->refused)
        return;
    c->it = it_state_at(c, c->address, 1);
    skip_rest(c);
    if (!c->skipping)
        c->it = 0;
    else if (c->stopping)
        c->limit = ++c->executed; /* the budget was gone inside the block: nobody else counts this one */
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
    c->it = it_state_at(c, c->address, 0);
    skip_rest(c);
    if (c->guard.on)
        c->guard.ctl(uc, c->guard.flush_tlb);
}

/* Once for each page and each mode: Unicorn keeps what is answered until the TLB is dropped. */
static int fill_tlb(struct core *c, uint64_t address64, int type, struct tlb_entry *entry)
{
    const struct guard *g = &c->guard;
    uint32_t page = (uint32_t)address64 & ~(uint32_t)PAGE_MASK;
    uint32_t wanted = type == MEM_READ ? READ : type == MEM_WRITE ? WRITE : EXECUTE;
    uint32_t all, any, next_any, next, unprivileged;

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

_Bool guard_on_tlb_fill(void *uc, uint64_t address, int type, struct tlb_entry *entry, void *user)
{
    int granted = fill_tlb(user, address, type, entry);
    (void)uc;
    if (granted && type != MEM_FETCH)
        core_leave_it(user);
    return granted;
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
    if (window_at(g->windows, g->window_count, address) || (g->devices && g->devices[address >> PAGE_SHIFT]))
        return 1;
    refuse(c, uc, reads ? MEM_READ_UNMAPPED : MEM_WRITE_UNMAPPED, address, size);
    return 0;
}

/* The aliases answer as the memory or device itself; they are called when guard_decides() agreed. */
uint64_t guard_on_read(void *uc, uint64_t address, unsigned size, void *user)
{
    const struct core *c = user;
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, (uint32_t)address);
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
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, (uint32_t)address);
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

/* Runs from `pc` to `limit` at most, and leaves `pc` at the next instruction; WHY_OTHER when something else than the hook
 * below ended it. */
uint32_t core_run(struct core *c, uint64_t limit)
{
    c->limit = limit;
    c->stopping = 0;
    c->refused = 0;
    c->calm = c->mapped = NO_PAGE;
    c->it = c->undo = c->skipping = 0;
    c->error = c->emu_start(c->uc, c->pc | 1, NO_ADDRESS, 0, 0);
    if (c->undo) {
        uint32_t pc = 0;
        c->reg_read(c->uc, c->register_ids[15], &pc);
        if ((pc & ~1u) == c->address) { /* the stop was obeyed: no IT block */
            c->undo = c->it = 0;
        } else { /* whatever the instruction did, and be it an error, is undone */
            c->exception = -1;
            c->error = 0;
        }
        if (c->skipping)
            put_flags_back(c);
    } else if (c->skipping) {
        put_flags_back(c);
        if (!c->stopping && !c->refused && !c->error && c->exception < 0) {
            c->stopping = 1; /* the block ended with its page */
            c->why = WHY_BUDGET;
        }
        if (!c->refused) {
            c->address = c->skip_next;
            set_it(c, it_advance(c->it));
        }
    }
    if (!c->stopping || c->exception >= 0 || c->error) {
        uint32_t pc = 0;
        c->reg_read(c->uc, c->register_ids[15], &pc);
        c->pc = pc & ~1u;
        return WHY_OTHER;
    }
    c->pc = c->address;
    return c->why;
}

static void stop(struct core *c, void *uc, uint32_t why)
{
    c->why = why;
    c->stopping = 1;
    c->calm = c->mapped = NO_PAGE;
    if (why == WHY_SPECIAL || why == WHY_TRAP) {
        c->it = it_state_at(c, c->address, 1);
        if (c->it) {
            c->undo = 1;
            c->reg_read_batch(uc, c->saved_ids, c->saved_pointers, c->saved_count);
            skip_rest(c);
        }
    }
    c->emu_stop(uc);
}

enum kind { PLAIN, STOP, EXCLUSIVE, FAULTMASK, FLOAT, DIVIDE, ALIGNED, ACCESS, STACK_POINTER, STACK_LIMIT };
enum { TRAP_DIVISION = 1, TRAP_UNALIGNED = 2, TRAP_STACK_POINTER = 4 };
enum { SP = 13, PC = 15 };

static int is_float(uint32_t first, uint32_t second)
{
    return (first & 0xEC00) == 0xEC00 && (second & 0x0E00) == 0x0A00; /* coprocessors 10 and 11 (A5.3.18) */
}

/* A base register that alone decides whether the access is aligned: LDM, STM, LDRD, STRD, VLDR, VSTR, VLDM, VSTM; or
 * -1. The stack pointer is always aligned. */
static int aligned_base(uint32_t first, uint32_t second)
{
    uint32_t base = first & 0xF;
    if ((first & 0xF000) == 0xC000)
        return (int)(first >> 8 & 7);
    if (base == SP || base == PC)
        return -1;
    if ((first & 0xFE40) == 0xE800 && ((first >> 7 & 3) == 1 || (first >> 7 & 3) == 2))
        return (int)base;
    if ((first & 0xFE40) == 0xE840 && (first & 0x0120))
        return (int)base;
    if ((first & 0xFE00) == 0xEC00 && (second & 0x0E00) == 0x0A00 && (first & 0xFFE0) != 0xEC40)
        return (int)base;
    return -1;
}

static int is_single_access(uint32_t first)
{
    return (first & 0xF000) == 0x5000 || (first & 0xF000) == 0x6000 || (first & 0xF000) == 0x8000 || (first & 0xFE00) == 0xF800;
}

static enum kind kind_of(const struct core *c, uint32_t first, uint32_t second)
{
    if (first < 0xE800) { /* narrow */
        if (first == 0xBF10 || first == 0xBF20 || first == 0xBF30 || first == 0xBF40)
            return STOP; /* YIELD, WFE, WFI, SEV (A7.7) */
        if (c->guard.watch_faultmask && (first & 0xFFED) == 0xB661)
            return FAULTMASK; /* CPS (B5.2.1) */
        if ((first & 0xF000) == 0xC000)
            return ALIGNED;
        return (c->traps & TRAP_UNALIGNED) && is_single_access(first) ? ACCESS : PLAIN;
    }
    if (first == 0xF3AF && second >= 0x8001 && second <= 0x8004)
        return STOP;
    if ((first & 0xFFF0) == 0xE850 || ((first & 0xFFF0) == 0xE8D0 && (second & 0x0FCF) == 0x0F4F))
        return EXCLUSIVE; /* LDREX, LDREXB, LDREXH (A7.7.52 ff) */
    if ((first & 0xFFF0) == 0xF380) { /* MSR (B5.2.3) */
        if (c->guard.watch_faultmask && (second & 0xFF) == 0x13)
            return FAULTMASK;
        if ((second & 0xFF) == 10 || (second & 0xFF) == 11)
            return STACK_LIMIT;
        return (second & 0xFF) == 8 || (second & 0xFF) == 9 ? STACK_POINTER : PLAIN;
    }
    if (aligned_base(first, second) >= 0)
        return ALIGNED;
    if (is_float(first, second))
        return FLOAT;
    if ((c->traps & TRAP_DIVISION) && (first & 0xFFD0) == 0xFB90 && (second & 0x00F0) == 0x00F0)
        return DIVIDE; /* SDIV, UDIV (A7.7.127, A7.7.195) */
    return (c->traps & TRAP_UNALIGNED) && is_single_access(first) ? ACCESS : PLAIN;
}

/* Fills a page's bits from `code` and `behind`; 0 when there is nothing to look at. */
uint32_t core_mark(const struct core *c, struct bits *bits)
{
    uint32_t any = 0, plain = 1;
    for (uint32_t half = 0; half <= PAGE_MASK / 2; half++) {
        uint32_t first = bits->code[half], second = half < PAGE_MASK / 2 ? bits->code[half + 1] : bits->behind;
        uint32_t bit = 1u << (half & 7);
        enum kind kind = kind_of(c, first, second);
        uint32_t fp = first >= 0xE800 && is_float(first, second);
        if (bits->stop[half >> 3] & bit || (kind != PLAIN && kind != FLOAT))
            bits->look[half >> 3] |= (uint8_t)bit;
        if (fp || bits->look[half >> 3] & bit)
            bits->look_fp[half >> 3] |= (uint8_t)bit;
        any |= bits->look_fp[half >> 3];
        plain &= !bits->look[half >> 3];
    }
    bits->float_alone = plain;
    return any;
}

static uint32_t register_of(const struct core *c, uint32_t number)
{
    uint32_t value = 0;
    c->reg_read(c->uc, c->register_ids[number], &value);
    return number == PC ? (c->address + 4) & ~3u : value;
}

/* Whether a single load or store is not aligned to its size. */
static int is_unaligned(const struct core *c, uint32_t first, uint32_t second)
{
    uint32_t base, offset = 0, size;
    switch (first & 0xF000) {
    case 0x5000:
        size = first >> 9 & 3;
        size = size == 0 ? 4 : size == 1 || (first >> 9 & 7) == 7 ? 2 : 1;
        return (register_of(c, first >> 3 & 7) + register_of(c, first >> 6 & 7)) & (size - 1);
    case 0x6000:
        return register_of(c, first >> 3 & 7) & 3;
    case 0x8000:
        return register_of(c, first >> 3 & 7) & 1;
    }
    size = 1u << (first >> 5 & 3);
    if (size != 4 && (first & 0x10) && second >> 12 == PC)
        return 0; /* a preload hint */
    base = register_of(c, first & 0xF);
    if (first & 0x80 || (first & 0xF) == PC)
        offset = first & 0x80 ? second & 0xFFF : 0u - (second & 0xFFF);
    else if (second & 0x0800) { /* P and U in bits 10 and 9 */
        if (second & 0x0400)
            offset = second & 0x0200 ? second & 0xFF : 0u - (second & 0xFF);
    } else if ((second & 0x0FC0) == 0)
        offset = register_of(c, second & 0xF) << (second >> 4 & 3);
    else
        return 0;
    return (base + offset) & (size - 1);
}

/* What traps before the instruction has any effect; 0: nothing. */
static uint32_t trap_of(const struct core *c, enum kind kind, uint32_t first, uint32_t second)
{
    switch (kind) {
    case DIVIDE:
        return register_of(c, second & 0xF) == 0 ? TRAP_DIVISION : 0;
    case ALIGNED:
        return register_of(c, (uint32_t)aligned_base(first, second)) & 3 ? TRAP_UNALIGNED : 0;
    case ACCESS:
        return is_unaligned(c, first, second) ? TRAP_UNALIGNED : 0;
    case STACK_POINTER:
        return register_of(c, first & 0xF) & 3 ? TRAP_STACK_POINTER : 0;
    default:
        return 0;
    }
}

static int is_executed(const struct core *c, uint32_t address)
{
    uint32_t it = it_state_at(c, address, 0);
    return !it || passes(it >> 4, read_flags(c));
}

/* Whether the instruction asks for a stop. */
static int look_at(struct core *c, void *uc, uint32_t address)
{
    uint32_t half = (address & PAGE_MASK) >> 1;
    uint32_t first = c->bits->code[half], second = half < PAGE_MASK / 2 ? c->bits->code[half + 1] : c->bits->behind;
    enum kind kind = kind_of(c, first, second);

    if (c->bits->stop[half >> 3] & 1u << (half & 7)) {
        if (c->executed != c->passed) {
            stop(c, uc, WHY_SPECIAL);
            return 1;
        }
        /* what is passed may be a load-exclusive or change FAULTMASK as well */
        c->exclusive = 1;
        c->limit = c->executed + 1;
    }
    if ((kind == STOP || (c->fp_watch && first >= 0xE800 && is_float(first, second))) && c->executed != c->passed &&
        is_executed(c, address)) {
        stop(c, uc, WHY_SPECIAL);
        return 1;
    }
    if (kind >= DIVIDE && (c->trap = trap_of(c, kind, first, second)) && is_executed(c, address)) {
        stop(c, uc, WHY_TRAP);
        return 1;
    }
    if (kind == EXCLUSIVE)
        c->exclusive = 1;
    if (kind == FAULTMASK)
        c->limit = c->executed + 1;
    if (kind == STACK_LIMIT && is_executed(c, address) && !is_unprivileged_mode(c))
        c->limits[second & 1] = register_of(c, first & 0xF) & ~7u;
    return 0;
}

static void look(struct core *c, void *uc, uint32_t address, uint32_t size)
{
    if (c->skipping && skip_ends(c, address)) {
        c->stopping = 1;
        c->why = c->undo ? c->why : WHY_BUDGET;
        c->emu_stop(uc);
        return;
    }
    if (c->undo) { /* a block that could not be skipped runs to its end */
        c->emu_stop(uc);
        return;
    }
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
        uint32_t half = (address & PAGE_MASK) >> 1;
        const uint8_t *map = c->fp_watch ? c->bits->look_fp : c->bits->look;
        if ((c->bits->live || map[half >> 3] & 1u << (half & 7)) && look_at(c, uc, address))
            return;
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
    if (!(c->bits && c->bits->live) && !c->watch_masks && !c->check_fetch) {
        if (!c->bits || (c->bits->float_alone && !c->fp_watch)) {
            c->calm = address & ~(uint32_t)PAGE_MASK;
        } else {
            c->mapped = address & ~(uint32_t)PAGE_MASK;
            c->map = c->fp_watch ? c->bits->look_fp : c->bits->look;
        }
    }
    c->executed++;
}

static __attribute__((noinline)) void on_other_code(struct core *c, void *uc, uint32_t address, uint32_t size)
{
    uint32_t offset = address - c->mapped;
    if (offset <= PAGE_MASK - 3 && c->executed < c->limit && !(c->map[offset >> 4] & 1u << (offset >> 1 & 7))) {
        c->address = address;
        c->executed++;
        return;
    }
    c->calm = c->mapped = NO_PAGE;
    look(c, uc, address, size);
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
    on_other_code(c, uc, address, size);
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
    core_leave_it(c);
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
    uint32_t keeps_masks; /* an exception is pending and masked: a loop that may unmask it is none */
    uint32_t lowest, highest; /* extent of the code that ran; highest is past its end */
    uint32_t read_count, write_count;
    struct access reads[PROBE_ACCESSES + PROBE_SPARE], writes[PROBE_ACCESSES + PROBE_SPARE];
    uint64_t start[PROBE_REGS], now[PROBE_REGS];
    int32_t ids[PROBE_REGS];
    void *now_pointers[PROBE_REGS];
    int32_t count;
    int32_t cpsr_id;
    emu_stop_fn emu_stop;
    reg_read_fn reg_read;
    reg_write_fn reg_write;
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

/* CPS, and MSR of any special register. */
static int may_change_masks(uint32_t half, uint32_t second)
{
    return (half & 0xFFE8) == 0xB660 || ((half & 0xFFE0) == 0xF380 && (second & 0xD000) == 0x8000);
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
    if (p->executed >= p->limit || size > 4 || is_opaque(half[0], half[1]) || (p->keeps_masks && may_change_masks(half[0], half[1]))) {
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
    leave_it(uc, p->reg_read, p->reg_write, p->cpsr_id);
    if (!note(p, uc, p->reads, &p->read_count, (uint32_t)address, (uint32_t)size))
        give_up(p, uc);
}

void probe_on_write(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct probe *p = user;
    uint64_t mask = size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
    uint64_t present = 0;
    (void)type;
    leave_it(uc, p->reg_read, p->reg_write, p->cpsr_id);
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

/* What Python believes of these is compared with it when the library is loaded. */
const uint32_t native_sizes[] = {sizeof(struct core), sizeof(struct frames), sizeof(struct probe), sizeof(struct watch)};
