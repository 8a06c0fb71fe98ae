/* Exceptions of a core without Python between its instructions: the common ones, in the order of exceptions.py and
 * run_loop.py, which do the rest. What is not simple is found before anything has changed.
 */
#include <string.h>

#include "native.h"

enum { SVC_HOOK = 2, EXCEPTION_EXIT = 8 };        /* Unicorn's numbers */
enum { HARD_FAULT = 3, USAGE_FAULT = 6, SV_CALL = 11 };
enum { SLEEPONEXIT = 2, SLEEPDEEP = 4, SEVONPEND = 16 }; /* SCR */
enum { YIELD = 0xBF10, WFE = 0xBF20, WFI = 0xBF30 };
enum { NONBASETHRDENA = 1, STKALIGN = 0x200 };    /* CCR */
enum { TO_THREAD = 8 };                           /* EXC_RETURN */

/* Whether what is simple is done here. Where each instruction is called for, devices are reached without our knowing. */
int takes_exceptions(const struct core *c)
{
    return c->frames && c->fast;
}

static int has_room(const struct taken *t, uint32_t events)
{
    return !t->tells || t->told_count + events <= MOST_TOLD;
}

static void tell(struct core *c, uint32_t number, uint32_t return_address, uint32_t kind)
{
    struct taken *t = c->taken;
    if (t->tells)
        t->told[t->told_count++] = (struct told){c->executed, number, return_address, kind, 0};
}

/* Entry and return clear the local monitor (B2.3.1); Unicorn shows no register for it, so CLREX runs. */
static void clear_exclusive(struct core *c)
{
    uint64_t executed = c->executed, limit = c->limit;
    uint32_t watch_masks = c->watch_masks, pc = c->pc;
    if (!c->exclusive)
        return;
    c->exclusive = 0;
    c->page = c->guard.stub >> PAGE_SHIFT;
    c->bits = 0;
    c->watch_masks = 0;
    c->pc = c->guard.stub;
    core_run(c, executed + 1);
    c->pc = pc;
    c->executed = executed;
    c->limit = limit;
    c->watch_masks = watch_masks;
    c->page = ~0u;
}

static void entered(struct core *c, uint32_t number, uint32_t return_address)
{
    struct taken *t = c->taken;
    if (!t->count[number]++)
        t->first[t->kinds++] = number;
    nvic_enter(c->nvic, number);
    t->entered[number] = c->executed;
    t->return_address[number] = return_address;
    clear_exclusive(c);
    c->event = 1;
    c->attention = nvic_has_candidates(c->nvic) || c->nvic->scr & SEVONPEND;
    tell(c, number, return_address, TAKEN);
    if (nvic_has(t->announced, number)) {
        c->called = 1;
        t->announce(number - FIRST_INTERRUPT);
    }
}

static uint32_t vector_of(const struct core *c, uint32_t number)
{
    return c->nvic->vtor + 4 * number;
}

static int is_simple(const struct core *c, uint32_t number)
{
    return (!c->exclusive || c->guard.on) &&
           (number > HARD_FAULT || !c->guard.watch_faultmask); /* the MPU may not be in force there */
}

static void wake(struct core *c, uint32_t why)
{
    if (!c->sleeping)
        return;
    c->sleeping = 0;
    c->taken->sleep.until = c->executed;
    c->taken->sleep.woken = why;
}

/* A hint that the core has stopped before; in an IT block it may be none. Who is told of an exception may ask for the
 * sleep before it: that is told first. */
static int hints(struct core *c)
{
    uint16_t hint = 0;
    if (c->it || c->nvic->scr & SLEEPDEEP || c->guard.mem_read(c->uc, c->pc, &hint, sizeof hint) != 0 ||
        (hint != YIELD && hint != WFE && hint != WFI))
        return 0;
    if (c->taken->told_count) {
        c->called = 1;
        c->taken->tell_now();
        if (c->comes_back)
            return 0;
    }
    c->disturbed = 1;
    c->pc += 2;
    c->executed++;
    if (hint == WFE && c->event) {
        c->event = 0;
    } else if (hint != YIELD) {
        c->taken->sleep = (struct sleep){c->executed, 0, c->pc, hint == WFE ? BY_WFE : BY_WFI, NOTHING, 0};
        c->sleeping = 1;
        c->waits_for_event = hint == WFE;
        c->attention = 1;
    }
    return 1;
}

static int take(struct core *c, uint32_t number, uint32_t return_address)
{
    if (!is_simple(c, number) || !has_room(c->taken, 1) ||
        !frames_enter(c, c->frames, number, vector_of(c, number), return_address, (c->nvic->ccr & STKALIGN) != 0))
        return 0;
    c->disturbed = 1;
    entered(c, number, return_address);
    return 1;
}

/* Takes the exception that is due, if any; 0: it is Python's to do all of that. */
static int attend(struct core *c)
{
    struct nvic *n = c->nvic;
    uint32_t masks[MASKS + 2], without_primask[MASKS];
    int number;

    if (!takes_exceptions(c) || n->scr & SEVONPEND || (c->sleeping && n->scr & SLEEPDEEP))
        return 0;
    if (nvic_has_candidates(n)) {
        if (!core_read_masks(c, masks))
            return 0;
        number = nvic_takeable(n, nvic_execution_priority(n, masks));
        if (number >= 0 && (!is_simple(c, (uint32_t)number) || !has_room(c->taken, 1)))
            return 0;
    } else {
        masks[0] = masks[1] = masks[2] = 0;
        number = -1;
    }
    memcpy(n->noticed, n->pending, sizeof n->noticed);
    c->watch_masks = 0;
    c->attention = 0;
    if (number >= 0) {
        c->attention = 1;
        wake(c, (uint32_t)number);
        return take(c, (uint32_t)number, c->pc);
    }
    /* What PRIMASK alone holds back ends WFI and not WFE (B1.5.18, B1.5.19). */
    if (c->sleeping && !c->waits_for_event) {
        memcpy(without_primask, masks, sizeof without_primask);
        without_primask[0] = 0;
        number = nvic_takeable(n, nvic_execution_priority(n, without_primask));
        if (number >= 0)
            wake(c, (uint32_t)number | MASKED);
    }
    if ((masks[0] || masks[1] || masks[2]) && !is_unprivileged_mode(c)) {
        memcpy(c->masks, masks, sizeof c->masks);
        c->watch_masks = 1;
    }
    return 1;
}

int core_attend(struct core *c)
{
    c->called = c->comes_back = 0;
    return attend(c);
}

/* What forbids a return (B1.5.8, integrity checks), or makes it more than a return. */
static int is_plain_return(const struct core *c, uint32_t exc_return, uint32_t number, const uint32_t *masks)
{
    const struct nvic *n = c->nvic;
    uint32_t kind = exc_return & 0xF, others[EXCEPTION_WORDS];

    if (number <= USAGE_FAULT || masks[2] || !nvic_has(n->active, number) || exc_return < 0xFFFFFFE0u ||
        (kind != 1 && kind != 9 && kind != 0xD) || (c->exclusive && !c->guard.on) || !has_room(c->taken, 2))
        return 0;
    memcpy(others, n->active, sizeof others);
    others[number >> 5] &= ~(1u << (number & 31));
    if (nvic_has_any(others))
        return !(exc_return & TO_THREAD) || n->ccr & NONBASETHRDENA;
    return !(n->scr & SLEEPONEXIT);
}

static int return_from(struct core *c)
{
    struct nvic *n = c->nvic;
    uint32_t exc_return = c->pc | 1, masks[MASKS + 2], number, pending, active, return_address;
    int chained = -1;

    if (!core_read_masks(c, masks) || !is_plain_return(c, exc_return, masks[MASKS], masks))
        return 0;
    number = masks[MASKS];
    pending = n->pending[number >> 5];
    active = n->active[number >> 5];
    clear_exclusive(c); /* in the mode that is left: the context that goes on may stand in an IT block */
    nvic_leave(n, number);
    if (nvic_has_candidates(n))
        chained = nvic_takeable(n, nvic_execution_priority(n, masks));
    if (chained >= 0 ? !is_simple(c, (uint32_t)chained) ||
                           !frames_chain(c, c->frames, (uint32_t)chained, vector_of(c, (uint32_t)chained), exc_return,
                                         &return_address)
                     : !frames_leave(c, c->frames, exc_return)) {
        n->pending[number >> 5] = pending;
        n->active[number >> 5] = active;
        return 0;
    }
    c->disturbed = 1;
    tell(c, number, 0, RETURNED_FROM);
    c->event = 1;
    if (chained >= 0) {
        entered(c, (uint32_t)chained, return_address);
        return 1;
    }
    c->attention = nvic_has_candidates(n);
    c->resumed = c->pc == c->loop_pc;
    return 1;
}

static int call_supervisor(struct core *c)
{
    uint32_t masks[MASKS + 2];
    return core_read_masks(c, masks) && nvic_can_take(c->nvic, SV_CALL, nvic_execution_priority(c->nvic, masks)) &&
           take(c, SV_CALL, c->pc);
}

/* Deals with what ended a slice, if that is simple and Python has nothing to do after a device was called. */
static int deals_with(struct core *c, uint32_t reason)
{
    int is_dealt_with;
    if (!takes_exceptions(c) || c->comes_back || c->undo || (c->guard.mpu->stale && reason != EXIT_BUDGET))
        return 0;
    switch (reason) {
    case EXIT_BUDGET:
        return 1;
    case EXIT_UNMASKED:
        c->attention = 1;
        return 1;
    case EXIT_SPECIAL:
        return hints(c);
    case EXIT_OTHER:
        if (c->denied || c->exception < 0)
            return 0;
        if (c->pc >= 0xFFFFFF00u)
            is_dealt_with = (c->exception == PREFETCH_ABORT || c->exception == EXCEPTION_EXIT) && return_from(c);
        else
            is_dealt_with = c->exception == SVC_HOOK && call_supervisor(c);
        if (is_dealt_with)
            c->exception = c->access = -1;
        return is_dealt_with;
    }
    return 0;
}

/* Runs to an instruction count at most, or to what needs Python: how the last slice ended, if that is to be dealt with;
 * else EXIT_BUDGET. */
uint32_t core_advance(struct core *c, uint64_t end)
{
    c->called = c->comes_back = c->resumed = 0;
    for (;;) {
        if (c->sleeping) {
            c->executed = least(end, c->next_count);
        } else {
            uint32_t reason;
            c->slices++;
            reason = core_run(c, least(end, c->next_count));
            if (!deals_with(c, reason))
                return reason;
            if (c->guard.mpu->stale && !mpu_apply(c)) {
                c->called = 1;
                return EXIT_BUDGET;
            }
        }
        if (c->executed >= end || c->resumed || (c->executed >= c->next_count && !systick_comes(c)))
            return EXIT_BUDGET;
        while (c->attention)
            if (!attend(c) || c->comes_back)
                return EXIT_BUDGET;
    }
}
