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

/* What differs is what it was from now on; `changed` gets the places of these, in order. How many they are. */
uint32_t compared_update(const struct compared *spans, uint32_t count, uint32_t *changed)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        if (memcmp(spans[i].now, spans[i].before, spans[i].size) != 0) {
            memcpy(spans[i].before, spans[i].now, spans[i].size);
            changed[found++] = i;
        }
    return found;
}

/* Whether what has been recorded, or what is watched, is to be told. */
static int has_news(const struct turns *t, const struct core *c)
{
    return c->taken->told_count || (c->accesses && c->accesses->any) || (c->order && c->order->count) || !are_same(t->watched, t->watched_count);
}

/* A core whose share has ended may stand in an idle loop (loop_skipper.py); whether Python is to look. */
static int looks_idle(struct seat *s, uint32_t pc)
{
    if (s->core->disturbed && !s->known_loops[pc >> PAGE_SHIFT]) {
        s->calm_turns = 0;
        return 0;
    }
    return ++s->calm_turns >= s->patience || s->known_loops[pc >> PAGE_SHIFT];
}

/* One core to an instruction count; TURNS_GO_ON, or why Python goes on with it. */
static uint32_t advance(struct turns *t, struct seat *s, uint64_t end)
{
    struct core *c = s->core;
    while (c->executed < end) {
        if (s->stands && c->executed < c->next_count && !s->loop_length) {
            c->executed = least(end, c->next_count);
            continue;
        }
        if (s->python || s->stands || (c->executed >= c->next_count && (s->loop_length || !systick_comes(c))))
            return TURNS_BEFORE;
        if (c->attention) {
            if (s->loop_length || c->executed < s->delayed_until || !core_attend(c) || c->called)
                return TURNS_BEFORE;
            continue;
        }
        if (s->loop_length) {
            uint64_t to = least(end, c->next_count);
            if (!are_same(s->loop, s->loop_count))
                return TURNS_BEFORE;
            s->loop_debt = (s->loop_debt + to - c->executed) % s->loop_length;
            c->executed = to;
        } else if (c->sleeping && c->executed >= s->delayed_until) {
            c->executed = least(end, c->next_count);
        } else if (c->executed < s->delayed_until) {
            c->executed = least(least(end, c->next_count), s->delayed_until);
        } else {
            s->ran = 1;
            s->reason = core_advance(c, end);
            if (s->reason != EXIT_BUDGET || c->undo || c->called || c->resumed)
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
    return s->core->executed >= s->delayed_until && !s->core->attention && (s->stands || s->core->sleeping || (s->loop_length && are_same(s->loop, s->loop_count)));
}

/* How often what the cores execute has come to an end of a slice, or to a device that is answered here. */
static uint64_t work_of(const struct turns *t)
{
    uint64_t work = 0;
    for (uint32_t i = 0; i < t->seat_count; i++)
        work += t->seats[i].core->slices + t->seats[i].core->served;
    return work;
}

/* At most `count` quanta, each of the cores in turn. TURNS_GO_ON: all of them passed, or nobody had anything to do in
 * the last; else why Python goes on with core `at` in quantum `quantum`. */
uint32_t turns_run(struct turns *t, uint32_t count)
{
    uint64_t begun = work_of(t), before = begun;
    for (uint32_t i = 0; i < t->seat_count; i++)
        t->seats[i].end_count = 0;
    t->quanta = t->quiet = t->quiet_work = 0;
    while (t->quanta < count) {
        uint64_t boundary = (t->quantum + 1) * t->quantum_ns;
        int busy = 0;
        for (uint32_t i = 0; i < t->seat_count; i++)
            t->seats[i].ran = t->seats[i].core->disturbed = 0;
        t->quantum++;
        for (t->at = 0; t->at < t->seat_count; t->at++) {
            struct seat *s = &t->seats[t->at];
            uint32_t why;
            why = advance(t, s, boundary * s->core->mips / 1000);
            if (why != TURNS_GO_ON)
                return why;
        }
        t->quanta++;
        if (work_of(t) - before >= t->most_work)
            break;
        before = work_of(t);
        t->quiet++;
        t->quiet_work = before - begun;
        for (uint32_t i = 0; i < t->seat_count; i++)
            busy |= t->seats[i].ran && !is_idle(&t->seats[i]);
        if (!busy)
            break;
    }
    return TURNS_GO_ON;
}
