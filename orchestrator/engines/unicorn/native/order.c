/* What orders accesses to memory (DDI0403E A3.7.3, A7.7): DMB and DSB as they come between accesses that are observed,
 * and how many of each there were. A barrier behind another one, with no such access in between, adds nothing.
 */
#include <stdlib.h>

#include "native.h"

int is_barrier(uint32_t first, uint32_t second)
{
    uint32_t kind = second & 0xFFF0;
    return first == 0xF3BF && (kind == 0x8F40 || kind == 0x8F50 || kind == 0x8F60);
}

static struct barrier *append(struct order *o)
{
    if (o->count == o->capacity) {
        uint32_t capacity = o->capacity ? 2 * o->capacity : 64;
        struct barrier *barriers = realloc(o->barriers, capacity * sizeof *barriers);
        if (!barriers) {
            o->lost = 1;
            return 0;
        }
        o->barriers = barriers;
        o->capacity = capacity;
    }
    return &o->barriers[o->count++];
}

/* The instruction that is about to run; `executed` does not count it yet. */
void note_barrier(struct core *c, uint32_t second)
{
    struct order *o = c->order;
    const struct accesses *a = c->accesses;
    uint32_t kind = second >> 4 & 0xF, seen;
    struct barrier *b;

    if (a && a->off)
        return;
    o->seen[kind == 5 ? SEEN_DMB : kind == 4 ? SEEN_DSB : SEEN_ISB]++;
    if (kind == 6)
        return;
    /* Of the last access more may come, which then is of the same instruction. */
    seen = a ? a->count + (a->part.count != 0) : 0;
    if (o->count && o->accesses == seen)
        return;
    o->accesses = seen;
    b = append(o);
    if (b)
        *b = (struct barrier){c->executed + 1, c->address, 0};
}

void order_free(struct order *o)
{
    free(o->barriers);
    o->barriers = 0;
    o->count = o->capacity = 0;
}
