/* Exception frames, the common case: privileged, everything in plain memory, a floating-point context stacked lazily and
 * untouched when it returns. What is not so simple is done in frames.py, which gives the reasons for the order of each
 * list of registers.
 */
#include <string.h>

#include "native.h"

enum { R0, R1, R2, R3, R12, LR, XPSR, STACK, CONTROL, IPSR }; /* of CALLER */
enum { FRAME_WORDS = 8, FRAME_BYTES = 32, ON_STACK = 2 }; /* of ENTERED: what stacking alone writes */
enum { EXTENDED_BYTES = 0x68 };                    /* with room for the floating-point context */
enum { NO_FP = 0x10, TO_THREAD = 8 };              /* EXC_RETURN */
enum { LSPACT = 1 };                               /* FPCCR */
#define ASPEN 0x80000000u
#define LSPEN 0x40000000u
#define FULL_ACCESS 0x00300000u                    /* CPACR, of one coprocessor */
#define EXC_RETURN 0xFFFFFFE1u
#define THUMB 0x01000000u
#define NZCV 0xF0000000u

static void batch(int (*move)(void *, int *, void **, int), void *uc, int32_t *ids, uint64_t *values, int count)
{
    void *pointers[RETURNED];
    for (int i = 0; i < count; i++)
        pointers[i] = &values[i];
    move(uc, ids, pointers, count);
}

/* The bytes of a range in one piece of memory; null where there is none, or where a store needs more than a store. */
static uint8_t *plain(const struct core *c, const struct frames *f, uint32_t address, uint32_t size, int stores)
{
    const struct window *w = window_at(f->windows, f->window_count, address);
    uint64_t offset;
    if (!w || address + (uint64_t)size > w->end)
        return 0;
    if (w->tracked && (cache_looks_at(c, w, address) || cache_looks_at(c, w, address + size - 1)))
        return 0;
    offset = address - w->start;
    if (stores && (!w->code || w->code[offset >> PAGE_SHIFT] || w->code[(offset + size - 1) >> PAGE_SHIFT]))
        return 0;
    return w->bytes + offset;
}

/* Whether the next floating-point instruction needs a look (floating_point.py). */
static void watch_floats(struct core *c)
{
    const struct nvic *n = c->nvic;
    c->fp_watch = (n->cpacr & FULL_ACCESS) != FULL_ACCESS || n->fpccr & LSPACT || !(n->fpccr & ASPEN) || n->fpdscr;
}

/* Whether a frame has room for a context that stays where it is. Python's where every exception is. */
static int moves_no_floats(const struct core *c, uint32_t fpccr)
{
    return c->frames && c->nvic->fpccr & fpccr;
}

static int fetch_vector(const struct core *c, const struct frames *f, uint32_t vector, uint32_t *handler)
{
    const uint8_t *fetched = plain(c, f, vector, 4, 0);
    if (!fetched)
        return 0;
    memcpy(handler, fetched, 4);
    return *handler & 1 && *handler < 0xFFFFFF00u;
}

/* Exception entry (DDI0403E B1.5.6): stacks, fetches the vector, sets `pc`. 0: not so simple, and nothing has changed. */
int frames_enter(struct core *c, struct frames *f, uint32_t number, uint32_t vector, uint32_t return_address, int align)
{
    uint64_t r[CALLER] = {0};
    uint32_t words[FRAME_WORDS], control, frame, padding, handler, xpsr, with_fp, size;
    uint8_t *stack;

    if (!fetch_vector(c, f, vector, &handler))
        return 0;
    batch(f->reg_read_batch, c->uc, f->caller_ids, r, CALLER);
    control = (uint32_t)r[CONTROL];
    with_fp = control & FPCA;
    if ((with_fp && !moves_no_floats(c, LSPEN)) || (control & NPRIV && !r[IPSR]))
        return 0;
    xpsr = (uint32_t)r[XPSR];
    padding = (align || with_fp) && r[STACK] & 4;
    size = with_fp ? EXTENDED_BYTES : FRAME_BYTES;
    frame = (uint32_t)r[STACK] - size - (padding ? 4 : 0);
    stack = plain(c, f, frame, FRAME_BYTES, 1);
    if (!stack || !guard_grants(c, frame, size, 1) || frame < c->limits[!r[IPSR] && control & SPSEL])
        return 0;
    for (int i = R0; i <= LR; i++)
        words[i] = (uint32_t)r[i];
    words[6] = return_address;
    words[7] = (xpsr & ~f->aligned) | (padding ? f->aligned : 0);
    memcpy(stack, words, FRAME_BYTES);
    core_note_frame(c, frame, FRAME_BYTES, return_address, 1);

    if (with_fp) {
        c->nvic->fpcar = frame + FRAME_BYTES;
        c->nvic->fpccr |= LSPACT;
        watch_floats(c);
    }
    uint32_t link = EXC_RETURN | (with_fp ? 0 : NO_FP) | (r[IPSR] ? 0 : TO_THREAD | (control & SPSEL ? f->to_process : 0));
    uint32_t main_stack = control & ~(SPSEL | f->fp_bits);
    uint64_t entered[ENTERED] = {frame, main_stack, (xpsr & f->flags) | THUMB, number, main_stack, link, xpsr & NZCV};
    batch(f->reg_write_batch, c->uc, f->entered_ids, entered, ENTERED);
    c->pc = handler & ~1u;
    return 1;
}

/* From one handler into another on the same frame (B1.5.8, tail-chaining), and where that frame returns to. 0: as above. */
int frames_chain(struct core *c, struct frames *f, uint32_t number, uint32_t vector, uint32_t exc_return,
                 uint32_t *return_address)
{
    uint64_t stacks[STACKS] = {0}, xpsr = 0;
    uint32_t handler, frame;
    const uint8_t *stacked;

    if (!fetch_vector(c, f, vector, &handler))
        return 0;
    batch(f->reg_read_batch, c->uc, f->stacks_ids, stacks, STACKS);
    frame = (uint32_t)stacks[exc_return & f->to_process ? 1 : 0];
    stacked = plain(c, f, frame + 24, 4, 0);
    if (!stacked)
        return 0;
    memcpy(return_address, stacked, 4);
    c->reg_read(c->uc, c->xpsr_id, &xpsr);
    xpsr = (xpsr & f->flags) | THUMB;
    uint64_t entered[ENTERED - ON_STACK] = {xpsr, number, stacks[2] & ~f->fp_bits, exc_return, xpsr & NZCV};
    batch(f->reg_write_batch, c->uc, f->entered_ids + ON_STACK, entered, ENTERED - ON_STACK);
    c->pc = handler & ~1u;
    return 1;
}

/* Exception return (B1.5.8) to a context that is as it should be: unstacks, sets `pc`. 0: as above. */
int frames_leave(struct core *c, struct frames *f, uint32_t exc_return)
{
    uint64_t stacks[STACKS] = {0};
    uint32_t words[FRAME_WORDS], control, frame, xpsr, number, with_fp = !(exc_return & NO_FP);
    uint32_t size = with_fp ? EXTENDED_BYTES : FRAME_BYTES;
    const uint8_t *stack;

    if (with_fp && !moves_no_floats(c, LSPACT))
        return 0;
    batch(f->reg_read_batch, c->uc, f->stacks_ids, stacks, STACKS);
    control = (uint32_t)stacks[2];
    if (control & NPRIV)
        return 0;
    frame = (uint32_t)stacks[exc_return & f->to_process ? 1 : 0];
    stack = plain(c, f, frame, size, 0);
    if (!stack || !guard_grants(c, frame, size, 0))
        return 0;
    memcpy(words, stack, FRAME_BYTES);
    xpsr = words[7];
    number = xpsr & 0x1FF;
    if (!(xpsr & THUMB) || words[6] >= 0xFFFFFF00u || !(exc_return & TO_THREAD) != (number != 0))
        return 0;
    core_note_frame(c, frame, FRAME_BYTES, c->address, 0);
    control &= ~(SPSEL | f->fp_bits);
    if (exc_return & TO_THREAD && exc_return & f->to_process)
        control |= SPSEL;
    if (with_fp) {
        control |= f->fp_bits;
        c->nvic->fpccr &= ~(uint32_t)LSPACT;
        watch_floats(c);
    }
    uint64_t returned[RETURNED] = {
        xpsr & f->kept, number, control, frame + size + (xpsr & f->aligned ? 4u : 0u),
        words[R0], words[R1], words[R2], words[R3], words[R12], words[LR], xpsr & NZCV,
    };
    batch(f->reg_write_batch, c->uc, f->returned_ids, returned, RETURNED);
    c->pc = words[6] & ~1u;
    return 1;
}
