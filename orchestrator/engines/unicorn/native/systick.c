/* SysTick's interrupt (DDI0403E B3.3) where nothing else comes to the core at the same moment; systick.py has the rest. */
#include "native.h"

enum { SYS_TICK = 15, TICKINT = 2 };

typedef unsigned __int128 wide;

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

/* Pends it, and plans the next one; 0: something else comes first, or as well. */
int systick_comes(struct core *c)
{
    struct systick *s = c->systick;
    uint64_t now, period;
    if (!takes_exceptions(c) || c->executed >= c->python_count)
        return 0;
    now = (uint64_t)((wide)c->executed * c->systick_hz / ((wide)c->mips * 1000000));
    if (s->zero == NO_TICK || !(s->control & TICKINT) || now < s->zero)
        return 0;
    s->flag = 1;
    period = s->reload + 1ull;
    if (s->reload) {
        s->wrapped = s->zero + (now - s->zero) / period * period;
        s->zero = s->wrapped + period;
    } else { /* it stops at the wrap */
        s->zero = NO_TICK;
        s->stopped_at = 0;
    }
    nvic_pend(c->nvic, SYS_TICK);
    c->attention = 1;
    c->next_count = next_of(c, c->python_count);
    return 1;
}
