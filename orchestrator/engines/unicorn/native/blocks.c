/* Blocks: code that a core executes again and again is counted once for each block, not for each instruction.
 *
 * Unicorn translates a block with a call of core_on_code() for each of its instructions and with one of core_on_block()
 * before them. What has run often enough is translated anew, with one call in all: what the hooks are when a block is
 * translated stays in the code. Such a block is left before it begins where it could pass the end of a turn, and taken
 * back at the instruction that touches anything but plain memory; there the same instructions run with a call for each,
 * from a translation of their own: one for an ITSTATE that says "no IT block" in other words.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

/* A block that has run core.hot times is translated anew; again after twice as many, up to one bound for what could be
 * counted (a translation removes those that hold its first instruction too) and another for what could not. */
enum { HOTTER = 256, HOTTEST = 1 << 20 };
enum { CALLS = 128 };
enum { SEEN_BLOCKS = 1 << 14, TOUCHED = 1 << 14, POOL = 256, MOST_POOLS = 256 };
enum { TAIL = 1, TRANSLATE, STALE, TAKE_BACK }; /* values of core.turn_back */
enum { HOOK_BEGIN = 3, HOOK_END, HOOK_CALLBACK, HOOK_USER }; /* words of Unicorn's struct hook */
enum { INVALID_STATE = 18 };
#define IT_MASK 0x06000C00u    /* of CPSR: what is not zero within an IT block */
#define OTHER_WORDS 0x00001000u /* of CPSR: a condition without a block */

struct block {
    struct core *core;
    uint32_t count;    /* instructions that are not conditional */
    uint32_t most;     /* all of them */
    uint32_t last;     /* address of the last one */
    uint32_t map;      /* core.map for which its page was looked at */
    uint32_t floats;   /* it has floating-point instructions */
    uint32_t address, size;
    uint32_t first_call, last_call; /* addresses: from there to there each is called for; NO_ADDRESS: none */
    uint8_t calls[CALLS];           /* by halfword behind the first: why */
};

struct seen {
    uint32_t address, left, again;
};

struct blocks {
    struct seen seen[SEEN_BLOCKS];
    uint8_t touched[TOUCHED / 8]; /* by address of an instruction: it accesses more than plain memory */
    struct block *pools[MOST_POOLS];
    uint32_t pool, used; /* the pool in use, blocks of it */
    uint64_t *code_hook, *block_hook;
    uint32_t begins;     /* a run, with the next block: anywhere in the code, or in the translation for other words */
    uint32_t marked;     /* ITSTATE is in other words */
    uint32_t back_pc, back_block; /* where it goes on; the block that was taken back */
    uint64_t back_executed;
    uint32_t control;
};

static uint32_t touched_at(uint32_t address)
{
    return (address >> 1) & (TOUCHED - 1);
}

static uint32_t seen_at(uint32_t address)
{
    return (address >> 1) & (SEEN_BLOCKS - 1);
}

static void set_bounds(uint64_t *hook, uint64_t begin, uint64_t end)
{
    hook[HOOK_BEGIN] = begin;
    hook[HOOK_END] = end;
}

static void everywhere(uint64_t *hook)
{
    set_bounds(hook, 1, 0);
}

static void nowhere(uint64_t *hook)
{
    set_bounds(hook, ~0ull, ~0ull);
}

static int is_hook(const uint64_t *hook, const void *callback, const struct core *c)
{
    return hook[HOOK_BEGIN] == 1 && hook[HOOK_END] == 0 && hook[HOOK_CALLBACK] == (uint64_t)(uintptr_t)callback &&
           hook[HOOK_USER] == (uint64_t)(uintptr_t)c;
}

/* Hands over the two hooks; 0 where Unicorn's are not what they are taken to be: then each instruction is called for. */
uint32_t core_count_blocks(struct core *c, uint64_t *code_hook, uint64_t *block_hook)
{
    if (!is_hook(code_hook, (const void *)core_on_code, c) || !is_hook(block_hook, (const void *)core_on_block, c))
        return 0;
    c->blocks = calloc(1, sizeof *c->blocks);
    if (!c->blocks)
        return 0;
    c->blocks->code_hook = code_hook;
    c->blocks->block_hook = block_hook;
    nowhere(block_hook);
    return 1;
}

void core_free_blocks(struct core *c)
{
    for (uint32_t i = 0; c->blocks && i < MOST_POOLS; i++)
        free(c->blocks->pools[i]);
    free(c->blocks);
    c->blocks = 0;
    c->fast = 0;
}

/* Whether blocks are counted from the next instruction on. */
void core_set_fast(struct core *c, uint32_t fast)
{
    if (!c->blocks || c->fast == fast)
        return;
    c->fast = fast;
    c->drop_blocks = 1;
}

/* What is known of blocks is void, and all that was translated. */
static void drop_blocks(struct core *c)
{
    struct blocks *all = c->blocks;
    if (c->fast)
        everywhere(all->block_hook);
    else
        nowhere(all->block_hook);
    memset(all->seen, 0, sizeof all->seen);
    c->guard.ctl(c->uc, c->guard.flush_code);
    c->guard.ctl(c->uc, c->guard.flush_tlb); /* devices stand in it otherwise while blocks are not counted */
    all->pool = all->used = 0;
    c->drop_blocks = 0;
}

static struct block *new_block(struct core *c)
{
    struct blocks *all = c->blocks;
    if (all->used == POOL) {
        all->used = 0;
        all->pool++;
    }
    if (all->pool == MOST_POOLS) {
        drop_blocks(c);
        return 0;
    }
    if (!all->pools[all->pool] && !(all->pools[all->pool] = malloc(POOL * sizeof(struct block))))
        return 0;
    return &all->pools[all->pool][all->used++];
}

static void turn_back(struct core *c, uint32_t why, uint32_t address)
{
    c->turn_back = why;
    c->address = address;
    c->emu_stop(c->uc);
}

/* MRS and MSR of what every M-profile core has, CLREX, DSB, DMB, ISB and NOP (DDI0403E B5.2, A7.7). */
static int is_plain_control(uint32_t first, uint32_t second)
{
    uint32_t number = second & 0xFF;
    if (first == 0xF3EF || ((first & 0xFFF0) == 0xF380 && (second & 0xF300) == 0x8000))
        return number <= 11 || (number >= 16 && number <= 20);
    return is_barrier(first, second) || (first == 0xF3BF && second == 0x8F2F) || (first == 0xF3AF && second == 0x8000);
}

/* CPS, MSR and SVC: Unicorn ends its block behind them, and what follows may be something else. */
static int ends_block(uint32_t first, uint32_t second)
{
    if (!is_wide(first))
        return (first & 0xFFE0) == 0xB660 || (first & 0xFF00) == 0xDF00;
    return (first & 0xFFE0) == 0xF380 && (second & 0xD000) == 0x8000;
}

/* What it changes is not put back: that, CLREX, store-exclusive and VMSR. */
static int is_final(uint32_t first, uint32_t second)
{
    return ends_block(first, second) || (first == 0xF3BF && second == 0x8F2F) || is_exclusive_store(first, second) ||
           (first & 0xFFF0) == 0xEEE0;
}

/* An instruction that is more than registers and memory, or that decides more than its registers show. */
static int is_special(uint32_t first, uint32_t second)
{
    if (!is_wide(first))
        return (first & 0xFF00) == 0xDE00 || (first & 0xFF00) == 0xBE00; /* UDF, BKPT */
    if ((first & 0xF800) == 0xF000 && (second & 0xD000) == 0x8000 && (first & 0x0380) == 0x0380)
        return !is_plain_control(first, second); /* hints, UDF.W */
    if ((first & 0xFFF0) == 0xE8D0 && (second & 0xFFE0) == 0xF000)
        return 0; /* TBB, TBH */
    if ((first & 0xFFE0) == 0xE840 || (first & 0xFFE0) == 0xE8C0) /* acquire and release, TT */
        return !is_exclusive_load(first, second) && !is_exclusive_store(first, second);
    if ((first & 0xEC00) == 0xEC00 && (first & 0xFFE0) != 0xEEE0)
        return (second & 0x0E00) != 0x0A00; /* other coprocessors */
    if ((first & 0xFE50) == 0xE850) /* LDRD: where the second word is refused, the first is loaded */
        return second >> 12 == (first & 0xF);
    return is_unprivileged_access(first, second);
}

static int is_it(uint32_t first)
{
    return (first & 0xFF00) == 0xBF00 && (first & 0xF);
}

/* Calls for an instruction, and for those between it and others that have one. */
static int add_call(struct block *b, uint32_t address, uint32_t why)
{
    uint32_t at;
    if (b->first_call == NO_ADDRESS)
        b->first_call = address;
    at = (address - b->first_call) / 2;
    if (at >= CALLS)
        return 0;
    b->last_call = address;
    b->calls[at] = (uint8_t)why;
    return 1;
}

static uint32_t call_at(const struct block *b, uint32_t address)
{
    return address < b->first_call || address > b->last_call ? NO_CALL : b->calls[(address - b->first_call) / 2];
}

/* What a block consists of. 0: it needs a call for each instruction. */
static int analyse(const struct core *c, const struct bits *bits, struct block *b)
{
    uint16_t code[PAGE_MASK / 2 + 1];
    uint32_t it = 0, count = b->size / 2;
    if (c->guard.mem_read(c->uc, b->address, code, b->size) != 0)
        return 0;
    b->count = b->most = b->floats = 0;
    b->first_call = NO_ADDRESS;
    b->last_call = 0;
    memset(b->calls, NO_CALL, sizeof b->calls);
    for (uint32_t at = 0; at < count;) {
        uint32_t first = code[at], second = at + 1 < count ? code[at + 1] : 0, address = b->address + 2 * at;
        uint32_t half = (address & PAGE_MASK) >> 1, why;
        if (bits && bits->stop[half >> 3] & 1u << (half & 7))
            return 0;
        if (c->blocks->touched[touched_at(address) / 8] & 1u << (touched_at(address) & 7))
            return 0;
        why = call_in_block(c, first, second, &b->floats);
        if (why == EVERY_CALL || is_special(first, second))
            return 0;
        if (why == NO_CALL && b->count != b->most && is_final(first, second)) /* a store may have been refused in the IT block */
            why = IS_FINAL;
        if (ends_block(first, second) && (it || at + (is_wide(first) ? 2 : 1) != count))
            return 0;
        if (it) { /* a stop is not obeyed there */
            if (why != NO_CALL || is_it(first))
                return 0;
            why = IS_COUNTED;
            it = it_advance(it);
        } else {
            it = is_it(first) ? first & 0xFF : 0;
            b->count++;
        }
        if (why != NO_CALL && !add_call(b, address, why))
            return 0;
        b->most++;
        b->last = address;
        at += is_wide(first) ? 2 : 1;
        if (at > count)
            return 0;
    }
    return 1;
}

static int is_in_it(const struct core *c)
{
    uint32_t value = 0;
    c->reg_read(c->uc, c->cpsr_id, &value);
    return (value & IT_BITS) != 0;
}

static void remove_translation(struct core *c, uint32_t address)
{
    c->guard.ctl(c->uc, c->guard.remove_code, (uint64_t)address, (uint64_t)address + 1);
}

/* A block begins that has a call for each instruction, and no other form. */
static void block_is_called_for(void *uc, uint64_t address, uint32_t size, void *user)
{
    struct core *c = user;
    (void)uc;
    (void)address;
    (void)size;
    c->block = 0;
}

/* Instructions that had run before the one at an address of the present block: it itself may be counted already. */
static uint64_t executed_before(const struct core *c, uint32_t address)
{
    const struct block *b = c->block;
    uint64_t count = c->executed - b->count - (c->ran == address);
    for (uint32_t at = b->address; at < address;) {
        uint16_t first = 0;
        c->guard.mem_read(c->uc, at, &first, sizeof first);
        count += call_at(b, at) != IS_COUNTED;
        at += is_wide(first) ? 4 : 2;
    }
    return count;
}

static void remember_touch(struct core *c, uint32_t pc)
{
    if (call_at(c->block, pc) == LOADS_EXCLUSIVE && c->order)
        c->order->seen[SEEN_EXCLUSIVE]--; /* it comes again */
    c->blocks->touched[touched_at(pc) / 8] |= (uint8_t)(1u << (touched_at(pc) & 7));
    c->blocks->back_pc = pc;
    c->blocks->back_block = c->block->address;
    c->blocks->back_executed = executed_before(c, pc);
}

/* A counted block accesses what needs its instruction: nothing of it has happened, and nothing more of the block may.
 * Unicorn has told the CPU where it stands, ends a load at once, and goes on behind a store, which is why registers are
 * kept and the TLB is dropped. */
void take_back(struct core *c)
{
    uint32_t pc = 0;
    if (c->turn_back == TAKE_BACK)
        return;
    c->reg_read(c->uc, c->register_ids[PC], &pc);
    remember_touch(c, pc & ~1u);
    c->reg_read_batch(c->uc, c->saved_ids, c->saved_pointers, c->saved_count);
    c->blocks->control = 0;
    c->reg_read(c->uc, c->guard.control_id, &c->blocks->control);
    c->turn_back = TAKE_BACK;
    c->emu_stop(c->uc);
    c->guard.ctl(c->uc, c->guard.flush_tlb);
}

/* Before an instruction of a counted block that does more than to be counted. */
static void look_in_block(struct core *c, uint32_t address, uint32_t why)
{
    uint16_t code[2] = {0, 0};
    uint64_t executed = c->executed;
    uint32_t last = c->address;

    if (why >= IS_ALIGNED) {
        if (register_of(c, why - IS_ALIGNED) & 3)
            take_back(c);
        return;
    }
    c->guard.mem_read(c->uc, address, code, sizeof code);
    switch (why) {
    case LOADS_EXCLUSIVE:
        note_exclusive_load(c);
        break;
    case ORDERS:
        c->executed = executed_before(c, address);
        c->address = address;
        note_barrier(c, code[1]);
        c->executed = executed;
        c->address = last;
        break;
    case SETS_LIMIT:
        note_stack_limit(c, code[0], code[1]);
        break;
    }
}

/* Before an instruction of a counted block, between others that are called for: what a store within an IT block asked
 * for, Unicorn has forgotten. */
static void passes_by(void *uc, uint64_t address, uint32_t size, void *user)
{
    const struct block *b = user;
    (void)address;
    (void)size;
    if (b->core->turn_back)
        b->core->emu_stop(uc);
}

/* The same where some are not only counted. */
static void looks_in_passing(void *uc, uint64_t address, uint32_t size, void *user)
{
    const struct block *b = user;
    uint32_t why = call_at(b, (uint32_t)address);
    (void)size;
    if (b->core->turn_back)
        b->core->emu_stop(uc);
    else if (why != NO_CALL && b->core->block == b)
        look_in_block(b->core, (uint32_t)address, why);
}

static void (*passing(const struct block *b))(void *, uint64_t, uint32_t, void *)
{
    for (uint32_t at = 0; at < CALLS; at++)
        if (b->calls[at] > IS_FINAL)
            return looks_in_passing;
    return passes_by;
}

/* Translates the block at an address anew, in the form that it can have; whether it is counted then. */
static int translate(struct core *c, uint32_t address, uint32_t size)
{
    struct { uint64_t pc; uint16_t instructions, size; } done = {0, 0, 0}; /* uc_tb */
    struct blocks *all = c->blocks;
    uint16_t mark = c->pages[address >> PAGE_SHIFT];
    struct block *b;
    int counted;

    if (mark == UNSEEN || size == 0 || (address & PAGE_MASK) + size > PAGE_MASK + 1 || is_in_it(c))
        return 0;
    if (c->guard.on && is_mixed_code(c, address))
        return 0;
    b = new_block(c);
    if (!b)
        return 0;
    b->core = c;
    b->address = address;
    b->size = size;
    b->map = c->map;
    counted = analyse(c, mark >= FIRST_BITS ? &c->page_bits[mark - FIRST_BITS] : 0, b) &&
              !(b->floats && is_unprivileged_mode(c));
    remove_translation(c, address);
    if (counted) {
        all->block_hook[HOOK_CALLBACK] = (uint64_t)(uintptr_t)block_begins;
        all->block_hook[HOOK_USER] = (uint64_t)(uintptr_t)b;
        if (b->first_call == NO_ADDRESS) {
            nowhere(all->code_hook);
        } else {
            set_bounds(all->code_hook, b->first_call, b->last_call);
            all->code_hook[HOOK_CALLBACK] = (uint64_t)(uintptr_t)passing(b);
            all->code_hook[HOOK_USER] = (uint64_t)(uintptr_t)b;
        }
    } else {
        all->block_hook[HOOK_CALLBACK] = (uint64_t)(uintptr_t)block_is_called_for;
    }
    c->guard.ctl(c->uc, c->guard.request_code, (uint64_t)address, &done);
    everywhere(all->block_hook);
    everywhere(all->code_hook);
    all->code_hook[HOOK_CALLBACK] = (uint64_t)(uintptr_t)core_on_code;
    all->block_hook[HOOK_CALLBACK] = (uint64_t)(uintptr_t)core_on_block;
    all->code_hook[HOOK_USER] = all->block_hook[HOOK_USER] = (uint64_t)(uintptr_t)c;
    if (counted && (done.size != size || done.instructions != b->most)) /* other code than was looked at */
        remove_translation(c, address);
    return counted;
}

/* A block that is hot. */
static void heat(struct core *c, uint32_t address)
{
    struct seen *seen = &c->blocks->seen[seen_at(address)];
    uint32_t most = translate(c, address, c->block_size) ? HOTTER : HOTTEST;
    if (seen->address != address) /* all are forgotten */
        return;
    seen->again = seen->again < most ? 2 * seen->again : most;
    seen->left = seen->again;
}

/* A block begins that has a call for each instruction too. */
void core_on_block(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct core *c = user;
    struct blocks *all = c->blocks;
    uint32_t address = (uint32_t)address64;
    struct seen *seen;
    (void)uc;

    c->block = 0;
    if (!c->fast) /* only where Unicorn's hooks are not what they are taken to be */
        return;
    if (all->begins) {
        all->begins = 0;
        return;
    }
    seen = &all->seen[seen_at(address)];
    if (seen->address != address) {
        seen->address = address;
        seen->left = seen->again = c->hot;
        return;
    }
    if (--seen->left || c->stopping || c->skipping || c->undo || c->denied || c->turn_back) {
        seen->left += !seen->left;
        return;
    }
    seen->left = 1;
    c->block_size = size;
    turn_back(c, TRANSLATE, address);
}

static void count(struct core *c, struct block *b)
{
    c->block = b;
    c->executed += b->count;
    c->address = b->last;
    c->ran = NO_ADDRESS;
}

/* A block that is not to be counted as a whole, or not at all. */
static __attribute__((noinline)) void not_counted(struct core *c, struct block *b)
{
    if (c->denied || c->turn_back) /* Unicorn was asked to stop, and does so now */
        return;
    if (c->stopping) { /* within an IT block, where Unicorn does not */
        look(c, c->uc, b->address, 2);
        return;
    }
    if ((c->skipping || c->undo) && ends_skipping(c, b->address))
        return;
    if (b->map != c->map) {
        if (c->guard.on && is_mixed_code(c, b->address)) {
            turn_back(c, STALE, b->address);
            return;
        }
        b->map = c->map;
    }
    if (c->executed >= c->limit) {
        c->address = b->address;
        c->exit_reason = EXIT_BUDGET;
        c->stopping = 1;
        c->emu_stop(c->uc);
    } else if (c->executed + b->most > c->limit || (b->floats && c->fp_watch)) {
        turn_back(c, TAIL, b->address);
    } else if (c->watch_masks && have_masks_changed(c)) {
        if (b->first_call == b->address) { /* it may be stopped before for more than that */
            turn_back(c, TAIL, b->address);
            return;
        }
        c->address = b->address;
        c->exit_reason = EXIT_UNMASKED;
        c->stopping = 1;
        c->emu_stop(c->uc);
    } else {
        count(c, b);
    }
}

void block_begins(void *uc, uint64_t address, uint32_t size, void *user)
{
    struct block *b = user;
    struct core *c = b->core;
    uint64_t asked;
    (void)uc;
    (void)address;
    (void)size;

    memcpy(&asked, &c->stopping, sizeof asked);
    if (__builtin_expect((c->executed + b->most > c->limit) | (asked != 0) | (b->map != c->map) | (b->floats & c->fp_watch), 0)) {
        c->block = 0;
        not_counted(c, b);
        return;
    }
    count(c, b);
}

int is_taken_back(const struct core *c)
{
    return c->turn_back == TAKE_BACK;
}

static void restore_registers(struct core *c)
{
    uint32_t control = 0;
    c->reg_write_batch(c->uc, c->saved_write_ids, c->saved_pointers, c->saved_count);
    c->reg_read(c->uc, c->guard.control_id, &control);
    if (control != c->blocks->control)
        c->reg_write(c->uc, c->guard.control_id, &c->blocks->control);
}

/* The next block has a call for each instruction. */
static void say_it_in_other_words(struct core *c)
{
    uint32_t value = 0;
    c->reg_read(c->uc, c->cpsr_id, &value);
    if (value & IT_BITS)
        return;
    value |= OTHER_WORDS;
    c->reg_write(c->uc, c->cpsr_id, &value);
    c->blocks->marked = 1;
}

void blocks_before_run(struct core *c)
{
    c->block = 0;
    c->turn_back = 0;
    c->blocks->begins = 1;
    if (c->drop_blocks && c->guard.ctl)
        drop_blocks(c);
}

/* After emu_start(): whether it is to be called again, from `pc`. */
int blocks_go_on(struct core *c)
{
    struct blocks *all = c->blocks;
    uint32_t why = c->turn_back;

    all->begins = 1;
    if (all->marked) {
        uint32_t value = 0;
        all->marked = 0;
        c->reg_read(c->uc, c->cpsr_id, &value);
        if (value & IT_BITS && !(value & IT_MASK)) {
            value &= ~IT_BITS;
            c->reg_write(c->uc, c->cpsr_id, &value);
        }
    }
    if (!why && c->block && !c->stopping && (c->error || c->exception >= 0) && c->exception != INVALID_STATE) {
        const struct block *b = c->block;
        uint32_t pc = 0;
        c->reg_read(c->uc, c->register_ids[PC], &pc);
        pc &= ~1u;
        if (pc - b->address < b->size) { /* an exception of one of its instructions: it is repeated there */
            remember_touch(c, pc);
            c->exception = -1;
            c->error = 0;
            c->executed = all->back_executed;
            remove_translation(c, b->address);
            c->pc = pc;
            say_it_in_other_words(c);
            return 1;
        }
    }
    c->turn_back = 0;
    if (!why || c->stopping)
        return 0;
    c->pc = c->address;
    switch (why) {
    case TAIL:
        say_it_in_other_words(c);
        break;
    case TRANSLATE:
        heat(c, c->address);
        break;
    case STALE:
        remove_translation(c, c->address);
        break;
    case TAKE_BACK:
        restore_registers(c);
        c->exception = c->access = -1;
        c->error = 0;
        c->executed = all->back_executed;
        remove_translation(c, all->back_block);
        c->pc = all->back_pc;
        say_it_in_other_words(c);
        break;
    }
    return 1;
}
