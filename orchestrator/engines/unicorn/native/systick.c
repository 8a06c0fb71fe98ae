/* SysTick (DDI0403E B3.3): its interrupt where nothing else comes to the core at the same moment, and its registers.
 * systick.py and systick_registers.py say the same of the same state, and the rest.
 */
#include "native.h"

enum { SYS_TICK = 15, ENABLE = 1, TICKINT = 2, CLKSOURCE = 4 };
enum { RELOAD_BITS = 0xFFFFFF };
#define COUNTFLAG 0x10000u
#define CSR 0xE000E010u
#define RVR 0xE000E014u
#define CVR 0xE000E018u

typedef unsigned __int128 wide;

/* Ticks of its clock since power-on. */
static uint64_t now_of(const struct core *c)
{
    return (uint64_t)((wide)c->executed * c->systick_hz / ((wide)c->mips * 1000000));
}

/* When it expires next, in instructions; the least of that and `count`. */
static uint64_t next_of(const struct core *c, uint64_t count)
{
    const struct systick *s = c->systick;
    wide due;
    if (s->zero == NO_TICK || !(s->control & TICKINT))
        return count;
    due = ((wide)s->zero * c->mips * 1000000 + c->systick_hz - 1) / c->systick_hz;
    return due < count ? (uint64_t)due : count;
}

/* What comes to the core by itself: `count` is when, but for SysTick, which stands still where no instruction `runs`. */
void core_replan(struct core *c, uint64_t count, uint32_t runs)
{
    c->python_count = count;
    c->next_count = runs ? next_of(c, count) : count;
}

/* Brings the counter to a tick; whether it reached zero with the interrupt enabled. */
static int advance(struct systick *s, uint64_t now)
{
    uint64_t period = s->reload + 1ull;
    if (s->zero == NO_TICK || now < s->zero)
        return 0;
    s->flag = 1;
    if (s->reload) {
        s->wrapped = s->zero + (now - s->zero) / period * period;
        s->zero = s->wrapped + period;
    } else { /* it stops at the wrap */
        s->zero = NO_TICK;
        s->stopped_at = 0;
    }
    return (s->control & TICKINT) != 0;
}

/* Pends it, and plans the next one; 0: something else comes first, or as well. */
int systick_comes(struct core *c)
{
    struct systick *s = c->systick;
    if (!takes_exceptions(c) || c->executed >= c->python_count)
        return 0;
    if (!(s->control & TICKINT) || !advance(s, now_of(c)))
        return 0;
    nvic_pend(c->nvic, SYS_TICK);
    c->attention = 1;
    c->next_count = next_of(c, c->python_count);
    return 1;
}

static uint64_t value_of(const struct systick *s, uint64_t now)
{
    if (s->zero == NO_TICK)
        return s->stopped_at;
    return now == s->wrapped ? 0 : s->zero - now;
}

static void start(struct systick *s, uint64_t counter, uint64_t now)
{
    if (!(s->control & ENABLE) || (!counter && !s->reload)) {
        s->zero = NO_TICK;
        s->stopped_at = (uint32_t)counter;
    } else {
        s->zero = now + (counter ? counter : s->reload + 1ull);
        s->wrapped = counter ? NO_TICK : now;
    }
}

/* Whether an access is one of a whole register of it that is answered here. Where a core is sampled, all that comes to it
 * is Python's. */
static int answers(struct core *c, uint32_t address, uint32_t size)
{
    return size == 4 && (address == CSR || address == RVR || address == CVR) && takes_exceptions(c) && c->python_count &&
           !core_is_unprivileged(c);
}

static void reconsider(struct core *c, int is_due)
{
    if (is_due)
        nvic_pend(c->nvic, SYS_TICK);
    c->next_count = next_of(c, c->python_count);
    core_reconsider(c);
}

int systick_load(struct core *c, uint32_t address, uint32_t size, uint64_t *value)
{
    struct systick *s = c->systick;
    uint64_t now;
    if (!answers(c, address, size))
        return 0;
    c->served++;
    *value = s->reload;
    if (address == RVR)
        return 1;
    now = now_of(c);
    if (advance(s, now))
        reconsider(c, 1);
    if (address == CVR) {
        *value = value_of(s, now) & RELOAD_BITS;
    } else {
        *value = s->control | (s->flag ? COUNTFLAG : 0);
        s->flag = 0;
    }
    return 1;
}

int systick_store(struct core *c, uint32_t address, uint32_t size, uint32_t value)
{
    struct systick *s = c->systick;
    uint64_t now, counter;
    int is_due;
    if (!answers(c, address, size))
        return 0;
    c->served++;
    c->disturbed = 1;
    now = now_of(c);
    is_due = advance(s, now);
    counter = value_of(s, now);
    if (address == CVR) { /* any value clears it; the next tick reloads (B3.3.4) */
        s->flag = 0;
        start(s, 0, now);
    } else if (address == CSR) {
        s->control = value & (ENABLE | TICKINT | CLKSOURCE);
        start(s, counter, now);
    } else { /* used at the next wrap, not before */
        s->reload = value & RELOAD_BITS;
        if (!counter)
            start(s, 0, now);
    }
    reconsider(c, is_due);
    return 1;
}
