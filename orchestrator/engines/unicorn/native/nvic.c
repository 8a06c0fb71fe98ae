/* Which exception is next (DDI0403E B1.5.4), and the registers of the NVIC that firmware writes all the time (B3.4).
 * nvic.py says the same of the same state, and the rest.
 */
#include <string.h>

#include "native.h"

enum { NMI = 2, PEND_SV = 14, SYS_TICK = 15 };
enum { ICSR = 0xE000ED04u, ISER = 0xE000E100u, BLOCK = 0x80 }; /* ISER, ICER, ISPR and ICPR follow each other */

int nvic_has(const uint32_t *bits, uint32_t number)
{
    return bits[number >> 5] >> (number & 31) & 1;
}

int nvic_has_any(const uint32_t *bits)
{
    uint32_t any = 0;
    for (int i = 0; i < EXCEPTION_WORDS; i++)
        any |= bits[i];
    return any != 0;
}

int nvic_has_candidates(const struct nvic *n)
{
    uint32_t any = 0;
    for (int i = 0; i < EXCEPTION_WORDS; i++)
        any |= n->pending[i] & n->enabled[i];
    return any != 0;
}

static int group_priority(const struct nvic *n, int priority)
{
    return priority < 0 ? priority : priority >> n->group_shift << n->group_shift;
}

static int lower(int a, int b)
{
    return a < b ? a : b;
}

/* ExecutionPriority(); masks are PRIMASK, BASEPRI and FAULTMASK. */
int nvic_execution_priority(const struct nvic *n, const uint32_t *masks)
{
    int highest = NO_PRIORITY;
    uint32_t basepri = masks[1] & n->priority_mask;
    for (int i = 0; i < EXCEPTION_WORDS; i++)
        for (uint32_t bits = n->active[i]; bits; bits &= bits - 1)
            highest = lower(highest, group_priority(n, n->priority[32 * i + __builtin_ctz(bits)]));
    if (basepri)
        highest = lower(highest, group_priority(n, (int)basepri));
    if (masks[0])
        highest = lower(highest, 0);
    return masks[2] ? lower(highest, -1) : highest;
}

/* The exception that preempts at a priority; -1: none. */
int nvic_takeable(const struct nvic *n, int priority)
{
    int best = -1;
    for (int i = 0; i < EXCEPTION_WORDS; i++)
        for (uint32_t bits = n->pending[i] & n->enabled[i]; bits; bits &= bits - 1) {
            int number = 32 * i + __builtin_ctz(bits);
            if (best < 0 || n->priority[number] < n->priority[best])
                best = number;
        }
    return best >= 0 && n->priority[best] < priority ? best : -1;
}

/* Whether a synchronous exception is taken as itself. */
int nvic_can_take(const struct nvic *n, uint32_t number, int priority)
{
    return nvic_has(n->enabled, number) && n->priority[number] < priority;
}

static void set(uint32_t *bits, uint32_t number)
{
    bits[number >> 5] |= 1u << (number & 31);
}

static void clear(uint32_t *bits, uint32_t number)
{
    bits[number >> 5] &= ~(1u << (number & 31));
}

void nvic_pend(struct nvic *n, uint32_t number)
{
    set(n->pending, number);
}

void nvic_enter(struct nvic *n, uint32_t number)
{
    clear(n->pending, number);
    set(n->active, number);
}

/* A line that is still high pends it again (B3.4.1). */
void nvic_leave(struct nvic *n, uint32_t number)
{
    clear(n->active, number);
    if (nvic_has(n->lines, number))
        set(n->pending, number);
}

/* Drive an external interrupt: level-sensitive, it pends while its line is high (B3.4.1). */
void nvic_drive(struct nvic *n, uint32_t interrupt, uint32_t level)
{
    uint32_t number = FIRST_INTERRUPT + interrupt;
    if (!level) { /* a pulse stays pending: the edge is latched until the exception is entered */
        clear(n->lines, number);
        return;
    }
    if (!nvic_has(n->lines, number) || !nvic_has(n->active, number)) /* an edge pends even what is active */
        set(n->pending, number);
    set(n->lines, number);
}

/* What may interrupt has changed: look before the next instruction. */
void core_reconsider(struct core *c)
{
    c->attention = 1;
    core_stop_behind(c);
}

static void store_icsr(struct nvic *n, uint32_t value)
{
    if (value >> 31 & 1)
        set(n->pending, NMI);
    if (value >> 28 & 1)
        set(n->pending, PEND_SV);
    if (value >> 27 & 1)
        clear(n->pending, PEND_SV);
    if (value >> 26 & 1)
        set(n->pending, SYS_TICK);
    if (value >> 25 & 1)
        clear(n->pending, SYS_TICK);
}

/* One word of ISER, ICER, ISPR or ICPR: of a bit for each interrupt, 16 exceptions come before the first. */
static void store_interrupts(struct nvic *n, uint32_t block, uint32_t index, uint32_t value)
{
    for (uint32_t bit = 0; bit < 32; bit++) {
        uint32_t interrupt = 32 * index + bit, number = FIRST_INTERRUPT + interrupt;
        if (!(value >> bit & 1) || interrupt >= n->interrupts)
            continue;
        switch (block) {
        case 0:
            set(n->enabled, number);
            break;
        case 1:
            clear(n->enabled, number);
            break;
        case 2:
            set(n->pending, number);
            break;
        case 3:
            clear(n->pending, number);
            if (nvic_has(n->lines, number) && !nvic_has(n->active, number))
                set(n->pending, number);
        }
    }
}

/* A store to one of these registers; 0: it is another, or not so simple, and nothing has happened. */
int nvic_store(struct core *c, uint32_t address, uint32_t size, uint32_t value)
{
    uint32_t offset = address - ISER, words;
    if (!takes_exceptions(c) || size != 4 || (address != ICSR && (offset >= 4 * BLOCK || offset & 3)))
        return 0;
    words = (c->nvic->interrupts + 31) / 32;
    if (address != ICSR && offset % BLOCK / 4 >= words)
        return 0;
    if (core_is_unprivileged(c))
        return 0;
    c->served++;
    c->disturbed = 1;
    if (address == ICSR)
        store_icsr(c->nvic, value);
    else
        store_interrupts(c->nvic, offset / BLOCK, offset % BLOCK / 4, value);
    core_reconsider(c);
    return 1;
}
