/* Turns of virtual time for as long as nobody but the cores has anything to do: each core its share of each quantum.
 * What else comes (an exception, a device, an alarm, a change of what is watched) ends them, and Python goes on there.
 */
#include <string.h>

#include "native.h"

static int are_same(const struct compared *spans, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(spans[i].now, spans[i].before, spans[i].size) != 0)
            return 0;
    return 1;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Whether what has been recorded, or what is watched, is to be told. */
static int has_news(const struct turns *t, const struct core *c)
{
    return (c->accesses && c->accesses->any) || (c->order && c->order->count) || !are_same(t->watched, t->watched_count);
}

/* A core whose share has ended may stand in an idle loop (loop_skipper.py); whether Python is to look. */
static int looks_idle(struct seat *s, uint32_t pc)
{
    return ++s->calm_turns >= s->patience || s->known_loops[pc >> PAGE_SHIFT];
}

/* One core to an instruction count; TURNS_GO_ON, or why Python goes on with it. */
static uint32_t advance(struct turns *t, struct seat *s, uint64_t end)
{
    struct core *c = s->core;
    while (c->executed < end) {
        if (s->python || c->executed >= s->next_count)
            return TURNS_BEFORE;
        if (s->loop_length) {
            uint64_t to = least(end, s->next_count);
            if (!are_same(s->loop, s->loop_count))
                return TURNS_BEFORE;
            s->loop_debt = (s->loop_debt + to - c->executed) % s->loop_length;
            c->executed = to;
        } else if (s->stands) {
            c->executed = least(end, s->next_count);
        } else if (c->executed < s->delayed_until) {
            c->executed = least(least(end, s->next_count), s->delayed_until);
        } else {
            s->ran = 1;
            s->slices++;
            s->reason = core_run(c, least(end, s->next_count));
            if (s->reason != EXIT_BUDGET || c->undo || c->called)
                return TURNS_SLICE;
        }
    }
    if (!s->ran)
        return TURNS_GO_ON;
    s->ends[s->end_count].pc = c->pc;
    s->ends[s->end_count++].executed = c->executed;
    if (!s->loop_length && looks_idle(s, c->pc))
        return TURNS_LOOK;
    return has_news(t, c) ? TURNS_NEWS : TURNS_GO_ON;
}

static int is_idle(const struct seat *s)
{
    return s->core->executed >= s->delayed_until && (s->stands || (s->loop_length && are_same(s->loop, s->loop_count)));
}

/* At most `count` quanta, each of the cores in turn. TURNS_GO_ON: all of them passed, or nobody had anything to do in
 * the last; else why Python goes on with core `at` in quantum `quantum`. */
uint32_t turns_run(struct turns *t, uint32_t count)
{
    for (uint32_t i = 0; i < t->seat_count; i++)
        t->seats[i].end_count = t->seats[i].slices = t->seats[i].whole_slices = 0;
    t->quanta = 0;
    while (t->quanta < count) {
        uint64_t boundary = (t->quantum + 1) * t->quantum_ns;
        int busy = 0;
        for (uint32_t i = 0; i < t->seat_count; i++)
            t->seats[i].ran = 0;
        t->quantum++;
        for (t->at = 0; t->at < t->seat_count; t->at++) {
            struct seat *s = &t->seats[t->at];
            uint32_t why;
            why = advance(t, s, boundary * s->mips / 1000);
            if (why != TURNS_GO_ON)
                return why;
        }
        t->quanta++;
        for (uint32_t i = 0; i < t->seat_count; i++) {
            t->seats[i].whole_slices = t->seats[i].slices;
            busy |= t->seats[i].ran && !is_idle(&t->seats[i]);
        }
        if (!busy)
            break;
    }
    return TURNS_GO_ON;
}
