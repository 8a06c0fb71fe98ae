/* The run: Unicorn calls core_on_code() for every instruction, Python reads the structs.
 *
 * A hook that asks emu_stop() is obeyed before the instruction that it was called for, except inside an IT block,
 * where Unicorn goes on: there the flags are set so that the conditions of the rest fail, and put back afterwards.
 * Unicorn tests a condition before it calls the hook: what the hook is called for will run.
 * Nothing here links to Unicorn: the functions it needs are handed in.
 */
#include <string.h>

#include "native.h"

/* Before Unicorn asks about an access it writes ITSTATE of the instruction into the CPU, where code that goes on after
 * the answer leaves it: the next block of code would begin as if it were in an IT block. CPSR is there on M-profile
 * too, and writing it changes neither mode nor stack. */
void leave_it(void *uc, reg_read_fn reg_read, reg_write_fn reg_write, int cpsr_id)
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

/* Runs from `pc` to `limit` at most, and leaves `pc` at the next instruction; EXIT_OTHER when something else than the hook
 * below ended it. */
uint32_t core_run(struct core *c, uint64_t limit)
{
    c->limit = limit;
    c->stopping = 0;
    c->denied = 0;
    c->clean_page = c->marked_page = NO_PAGE;
    c->it = c->undo = c->skipping = 0;
    if (c->grown && c->grown_seen != *c->grown) {
        c->grown_seen = *c->grown;
        if (c->guard.on)
            c->guard.ctl(c->uc, c->guard.flush_tlb);
    }
    if (c->blocks)
        blocks_before_run(c);
    do {
        c->error = c->emu_start(c->uc, c->pc | 1, NO_ADDRESS, 0, 0);
    } while (c->blocks && blocks_go_on(c));
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
        if (!c->stopping && !c->denied && !c->error && c->exception < 0) {
            c->stopping = 1; /* the block ended with its page */
            c->exit_reason = EXIT_BUDGET;
        }
        if (!c->denied) {
            c->address = c->skip_next;
            set_it(c, it_advance(c->it));
        }
    }
    if (!c->stopping || c->exception >= 0 || c->error) {
        uint32_t pc = 0;
        c->reg_read(c->uc, c->register_ids[15], &pc);
        c->pc = pc & ~1u;
        return EXIT_OTHER;
    }
    c->pc = c->address;
    return c->exit_reason;
}

static void stop(struct core *c, void *uc, uint32_t reason)
{
    c->exit_reason = reason;
    c->stopping = 1;
    c->clean_page = c->marked_page = NO_PAGE;
    if (reason == EXIT_SPECIAL || reason == EXIT_TRAP) {
        c->it = it_state_at(c, c->address, 1);
        if (c->it) {
            c->undo = 1;
            c->reg_read_batch(uc, c->saved_ids, c->saved_pointers, c->saved_count);
            skip_rest(c);
        }
    }
    c->emu_stop(uc);
}

enum kind { PLAIN, STOP, EXCLUSIVE, FAULTMASK, FLOAT, BARRIER, DIVIDE, ALIGNED, ACCESS, STACK_POINTER, UNDEFINED, STACK_LIMIT };

/* Coprocessors 10 and 11 (A5.3.18); with 11 in bits [9:8] of the first halfword an instruction is undefined. */
static int is_float(uint32_t first, uint32_t second)
{
    return (first & 0xEC00) == 0xEC00 && (first & 0x0300) != 0x0300 && (second & 0x0E00) == 0x0A00;
}

/* VLDR, VSTR, VLDM, VSTM (A6.5); what they leave is VMOV of two registers, VLLDM, VLSTM (DDI0553B), or undefined. */
static int is_float_access(uint32_t first, uint32_t second)
{
    uint32_t p = first >> 8 & 1, u = first >> 7 & 1, w = first >> 5 & 1;
    if ((first & 0xFE00) != 0xEC00 || (second & 0x0E00) != 0x0A00)
        return 0;
    return w ? p != u : p || u;
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
    return is_float_access(first, second) ? (int)base : -1;
}

int is_single_access(uint32_t first)
{
    return (first & 0xF000) == 0x5000 || (first & 0xF000) == 0x6000 || (first & 0xF000) == 0x8000 || (first & 0xFE00) == 0xF800;
}

/* LDREX, LDREXB, LDREXH (A7.7.52 ff), LDAEX, LDAEXB, LDAEXH (DDI0553B C2.4). */
int is_exclusive_load(uint32_t first, uint32_t second)
{
    uint32_t kind = second >> 4 & 0xF;
    if ((first & 0xFFF0) == 0xE850)
        return 1;
    return (first & 0xFFF0) == 0xE8D0 && (second & 0x0F0F) == 0x0F0F && (kind == 4 || kind == 5 || (kind >= 0xC && kind <= 0xE));
}

/* What Unicorn executes and no M-profile core does: VMRS and VMSR of another register than FPSCR (A7.7.246, A7.7.247),
 * element loads and stores of Advanced SIMD, BLX to Arm code. */
static int is_of_another_profile(uint32_t first, uint32_t second)
{
    if ((first & 0xFFE0) == 0xEEE0 && (second & 0x0F10) == 0x0A10)
        return (first & 0xF) != 1;
    return (first & 0xFF10) == 0xF900 || ((first & 0xF800) == 0xF000 && (second & 0xD000) == 0xC000);
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
    if (is_of_another_profile(first, second))
        return UNDEFINED;
    if (first == 0xF3AF && second >= 0x8001 && second <= 0x8004)
        return STOP;
    if (is_exclusive_load(first, second))
        return EXCLUSIVE;
    if (c->order && is_barrier(first, second))
        return BARRIER;
    if ((first & 0xFFF0) == 0xF380 && (second & 0xF300) == 0x8000) { /* MSR (B5.2.3); SSAT and USAT begin likewise */
        if (c->guard.watch_faultmask && (second & 0xFF) == 0x13)
            return FAULTMASK;
        if ((second & 0xFF) == 10 || (second & 0xFF) == 11)
            return c->has_limits ? STACK_LIMIT : PLAIN;
        return (second & 0xFF) == 8 || (second & 0xFF) == 9 ? STACK_POINTER : PLAIN;
    }
    if (aligned_base(first, second) >= 0)
        return ALIGNED;
    if (is_float(first, second))
        return FLOAT;
    if ((c->traps & TRAP_DIVISION) && (first & 0xFFD0) == 0xFB90 && (second & 0xF0F0) == 0xF0F0)
        return DIVIDE; /* SDIV, UDIV (A7.7.127, A7.7.195) */
    return (c->traps & TRAP_UNALIGNED) && is_single_access(first) ? ACCESS : PLAIN;
}

/* The call that an instruction of a counted block needs; `floats`: it is one of floating point. */
uint32_t call_in_block(const struct core *c, uint32_t first, uint32_t second, uint32_t *floats)
{
    *floats |= is_wide(first) && is_float(first, second);
    switch (kind_of(c, first, second)) {
    case PLAIN:
    case FLOAT:
        return NO_CALL;
    case ALIGNED:
        return aligned_base(first, second) < 0 ? NO_CALL : IS_ALIGNED + (uint32_t)aligned_base(first, second);
    case STACK_POINTER:
        return IS_ALIGNED + (first & 0xF);
    case EXCLUSIVE:
        return LOADS_EXCLUSIVE;
    case BARRIER:
        return ORDERS;
    case STACK_LIMIT:
        return SETS_LIMIT;
    default:
        return EVERY_CALL;
    }
}

/* MSPLIM or PSPLIM is about to be written. */
void note_stack_limit(struct core *c, uint32_t first, uint32_t second)
{
    if (!is_unprivileged_mode(c))
        c->limits[second & 1] = register_of(c, first & 0xF) & ~7u;
}

void note_exclusive_load(struct core *c)
{
    c->exclusive = 1;
    if (c->order)
        c->order->seen[SEEN_EXCLUSIVE]++;
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

uint32_t register_of(const struct core *c, uint32_t number)
{
    uint32_t value = 0;
    c->reg_read(c->uc, c->register_ids[number], &value);
    return number == PC ? (c->address + 4) & ~3u : value;
}

/* Of the wide ones: doublewords, signed words, signed stores, stores relative to PC (A5.3.7 to A5.3.10). */
static int is_undefined_single(uint32_t first)
{
    uint32_t size = first >> 5 & 3, loads = first & 0x10, is_signed = first & 0x100;
    return size == 3 || (is_signed && (!loads || size == 2)) || (!loads && (first & 0xF) == PC);
}

/* Where a single load or store accesses how many bytes; 0 of them: it is none. */
uint32_t address_of(const struct core *c, uint32_t first, uint32_t second, uint32_t *size)
{
    uint32_t base, offset = 0;
    switch (first & 0xF000) {
    case 0x5000:
        *size = first >> 9 & 3;
        *size = *size == 0 ? 4 : *size == 1 || (first >> 9 & 7) == 7 ? 2 : 1;
        return register_of(c, first >> 3 & 7) + register_of(c, first >> 6 & 7);
    case 0x6000:
        *size = 4;
        return register_of(c, first >> 3 & 7) + (first >> 6 & 31) * 4;
    case 0x8000:
        *size = 2;
        return register_of(c, first >> 3 & 7) + (first >> 6 & 31) * 2;
    }
    *size = is_undefined_single(first) ? 0 : 1u << (first >> 5 & 3);
    base = register_of(c, first & 0xF);
    if (*size != 4 && (first & 0x10) && second >> 12 == PC)
        *size = 0; /* a preload hint */
    if (first & 0x80 || (first & 0xF) == PC)
        offset = first & 0x80 ? second & 0xFFF : 0u - (second & 0xFFF);
    else if (second & 0x0800) { /* P, U and W in bits 10 to 8 */
        if (second & 0x0400)
            offset = second & 0x0200 ? second & 0xFF : 0u - (second & 0xFF);
        else if (!(second & 0x0100))
            *size = 0;
    } else if ((second & 0x0FC0) == 0)
        offset = register_of(c, second & 0xF) << (second >> 4 & 3);
    else
        *size = 0;
    return base + offset;
}

/* Whether a single load or store is not aligned to its size. */
static int is_unaligned(const struct core *c, uint32_t first, uint32_t second)
{
    uint32_t size, address = address_of(c, first, second, &size);
    return size && address & (size - 1);
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
    case UNDEFINED:
        return TRAP_UNDEFINED;
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
            stop(c, uc, EXIT_SPECIAL);
            return 1;
        }
        /* what is passed may be a load-exclusive or change FAULTMASK as well */
        c->exclusive = 1;
        c->limit = c->executed + 1;
    }
    if ((kind == STOP || (c->fp_watch && first >= 0xE800 && is_float(first, second))) && c->executed != c->passed &&
        is_executed(c, address)) {
        stop(c, uc, EXIT_SPECIAL);
        return 1;
    }
    if (kind >= DIVIDE && (c->trap = trap_of(c, kind, first, second)) && is_executed(c, address)) {
        stop(c, uc, EXIT_TRAP);
        return 1;
    }
    if (kind == EXCLUSIVE)
        note_exclusive_load(c);
    if (kind == BARRIER)
        note_barrier(c, second);
    if (kind == FAULTMASK) {
        c->limit = c->executed + 1;
        c->comes_back = 1; /* Python is to see whether the MPU is in force */
    }
    if (kind == STACK_LIMIT && is_executed(c, address))
        note_stack_limit(c, first, second);
    return 0;
}

/* Before an instruction behind an IT block whose rest was not to run: whether Unicorn is to stop here. */
int ends_skipping(struct core *c, uint32_t address)
{
    if (c->skipping && skip_ends(c, address)) {
        c->stopping = 1;
        c->exit_reason = c->undo ? c->exit_reason : EXIT_BUDGET;
        c->emu_stop(c->uc);
        return 1;
    }
    if (c->undo) /* a block that could not be skipped runs to its end */
        c->emu_stop(c->uc);
    return c->undo != 0;
}

/* Whether something is unmasked, or masked, that was not when it was last looked at. */
int have_masks_changed(struct core *c)
{
    uint32_t now[MASKS];
    for (int i = 0; i < MASKS; i++) {
        now[i] = 0;
        c->reg_read(c->uc, c->mask_ids[i], &now[i]);
    }
    return memcmp(now, c->masks, sizeof now) != 0;
}

void look(struct core *c, void *uc, uint32_t address, uint32_t size)
{
    if (ends_skipping(c, address))
        return;
    if (c->stopping)
        c->executed++;
    c->address = address;
    if ((address >> PAGE_SHIFT) != c->page || ((address + size - 1) >> PAGE_SHIFT) != c->page) {
        uint32_t last = size <= 4 ? address + size - 1 : address;
        uint16_t mark = c->pages[address >> PAGE_SHIFT];
        if (mark == UNSEEN || c->pages[last >> PAGE_SHIFT] == UNSEEN) {
            stop(c, uc, EXIT_NEW_PAGE);
            return;
        }
        c->page = address >> PAGE_SHIFT;
        c->bits = mark >= FIRST_BITS ? &c->page_bits[mark - FIRST_BITS] : 0;
        c->check_fetch = c->guard.on && (is_mixed_code(c, address) || is_mixed_code(c, last));
    }
    if (c->check_fetch && !may_fetch(c, address, size)) {
        stop(c, uc, EXIT_DENIED);
        return;
    }
    if (c->executed >= c->limit) {
        stop(c, uc, EXIT_BUDGET);
        return;
    }
    if (c->bits) {
        uint32_t half = (address & PAGE_MASK) >> 1;
        const uint8_t *map = c->fp_watch ? c->bits->look_fp : c->bits->look;
        if ((c->bits->live || map[half >> 3] & 1u << (half & 7)) && look_at(c, uc, address))
            return;
    }
    if (c->watch_masks && have_masks_changed(c)) {
        stop(c, uc, EXIT_UNMASKED);
        return;
    }
    if (c->stopping) /* the call after it counts it, if it runs */
        return;
    if (c->grown && c->bits && c->bits->live)
        cache_fetch(c, address, size);
    if (!(c->bits && c->bits->live) && !c->watch_masks && !c->check_fetch) {
        if (!c->bits || (c->bits->float_alone && !c->fp_watch)) {
            c->clean_page = address & ~(uint32_t)PAGE_MASK;
        } else {
            c->marked_page = address & ~(uint32_t)PAGE_MASK;
            c->marks = c->fp_watch ? c->bits->look_fp : c->bits->look;
        }
    }
    c->executed++;
}

static __attribute__((noinline)) void on_other_code(struct core *c, void *uc, uint32_t address, uint32_t size)
{
    uint32_t offset = address - c->marked_page;
    if (offset <= PAGE_MASK - 3 && c->executed < c->limit && !(c->marks[offset >> 4] & 1u << (offset >> 1 & 7))) {
        c->address = address;
        c->executed++;
        return;
    }
    c->clean_page = c->marked_page = NO_PAGE;
    look(c, uc, address, size);
}

void core_on_code(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct core *c = user;
    uint32_t address = (uint32_t)address64;

    if (c->block) { /* only what is conditional comes here, and runs */
        c->ran = address;
        c->executed++;
        return;
    }
    /* Wholly inside a page with nothing to look at: an instruction has at most four bytes. */
    if (address - c->clean_page <= PAGE_MASK - 3 && c->executed < c->limit) {
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
    if (c->block && type != MEM_FETCH_UNMAPPED && type != MEM_FETCH_PROT) {
        take_back(c);
        return 0;
    }
    if (address >> ALIAS_SHIFT)
        return guard_decides(c, uc, type, address, (uint32_t)size);
    if (c->guard.on && type == MEM_FETCH_UNMAPPED && address >= (NO_ADDRESS & ~(uint64_t)PAGE_MASK))
        c->exception = PREFETCH_ABORT; /* as without a guard: it may be a return from an exception */
    else
        deny(c, uc, type, (uint32_t)address, (uint32_t)size);
    return 0;
}

/* A store to memory that refuses it: Python's. */
_Bool core_on_protected(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct core *c = user;
    if (c->block) {
        take_back(c);
        return 0;
    }
    c->called = 1;
    return c->protected_write(uc, type, address, size, value, user);
}

void core_on_watched(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct watch *w = user;
    struct core *c = w->core;
    uint64_t first = (uint32_t)address; /* perhaps of an alias */
    (void)uc;
    (void)value;
    core_leave_it(c);
    if (first > w->last || first + (uint64_t)size <= w->first)
        return;
    if (c->watched < 0) {
        c->watched = type;
        c->watched_address = (uint32_t)address;
        c->watched_pc = c->address;
    }
    c->limit = c->executed; /* the instruction ends first */
}

/* Which abi.h this was compiled with; Python compares it with the one that it has. */
const uint32_t native_abi = ABI_DIGEST;
