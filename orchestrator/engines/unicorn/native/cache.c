/* The L1 data cache of a core as software has to treat it (DDI0403E A3.9 and B2.2; DDI0489F 5.2 for the Cortex-M7): what
 * its lines hold, and what becomes of bytes that are shared with somebody who reaches memory past it.
 *
 * Not `real`: the core sees memory as it is, and each line stays until it is invalidated, which is the worst that may
 * happen to it. `real`: the core sees what its lines hold, and they also leave the cache, as a seed says.
 *
 * A line is written back as a whole. Who else accesses memory, and the core itself where it does so past its cache
 * (CCR.DC is 0, memory that is not cached), is `another`.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

enum { FIRST_CAPACITY = 64, MOST_FOUND = 4096, EVICTS_AT = 1023, PAGE_LINES = (PAGE_MASK + 1) / LINE_BYTES };

static uint32_t bytes_from(uint32_t offset, uint32_t size)
{
    return (uint32_t)(((1ull << size) - 1) << (offset & (LINE_BYTES - 1)));
}

/* Of what was done to the words of a line, the first that a mask has a byte of. */
static struct doing first_of(const struct doing *words, uint32_t mask)
{
    uint32_t word = 0;
    while (word < LINE_WORDS - 1 && !(mask >> 4 * word & 0xF))
        word++;
    return words[word];
}

static void note_words(struct doing *words, uint32_t mask, struct doing now)
{
    for (uint32_t word = 0; word < LINE_WORDS; word++)
        if (mask >> 4 * word & 0xF)
            words[word] = now;
}

static struct doing doing_of(const struct core *c)
{
    return (struct doing){c->executed + c->stopping, c->address, c->number};
}

static uint32_t kind_at(const struct cache *k, uint32_t address)
{
    uint32_t low = 0, high = k->count;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (k->starts[middle] <= address)
            low = middle;
        else
            high = middle;
    }
    return k->on && k->count ? k->kinds[low] : UNCACHED;
}

static void tell(struct tracked *t, uint32_t number, uint32_t kind, uint32_t mask, struct doing by, struct doing of,
                 struct doing since)
{
    struct cache *k = t->cache;
    if (k->found_count == k->found_capacity) {
        uint32_t capacity = k->found_capacity ? 2 * k->found_capacity : FIRST_CAPACITY;
        struct incoherence *found = capacity <= MOST_FOUND ? realloc(k->found, capacity * sizeof *found) : 0;
        if (!found) {
            k->missed = 1;
            return;
        }
        k->found = found;
        k->found_capacity = capacity;
    }
    k->found[k->found_count++] = (struct incoherence){kind, t->start + number * LINE_BYTES, mask, 0, by, of, since};
}

/* --- Lines come and go */

static uint32_t random_of(struct cache *k)
{
    k->random = k->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(k->random >> 33);
}

static void write_back(struct tracked *t, uint32_t number)
{
    struct line *l = &t->lines[number];
    if (t->content && l->dirty) {
        memcpy(t->bytes + number * LINE_BYTES, t->content + number * LINE_BYTES, LINE_BYTES);
        if (t->code && t->code[number * LINE_BYTES >> PAGE_SHIFT])
            t->code_changed = 1;
    }
    if (l->dirty) /* now memory holds what the line does */
        l->stale = l->stale_told = 0;
    l->dirty = l->dirty_told = 0;
}

static struct way *way_of(const struct tracked *t, uint32_t number)
{
    const struct cache *k = t->cache;
    struct way *set = &k->resident[((t->start >> LINE_SHIFT) + number) % k->sets * k->ways];
    for (uint32_t i = 0; i < k->ways; i++)
        if (set[i].tracked == t && set[i].line == number)
            return &set[i];
    return 0;
}

/* The line is held no more, whatever it held. */
static void drop(struct tracked *t, uint32_t number)
{
    struct line *l = &t->lines[number];
    struct way *w = t->cache->real ? way_of(t, number) : 0;
    if (w)
        w->tracked = 0;
    l->held = l->stale = l->stale_told = l->dirty = l->dirty_told = 0;
}

static void evict(struct way *w)
{
    struct tracked *t = w->tracked;
    if (t) {
        write_back(t, w->line);
        drop(t, w->line);
    }
}

/* From now on whoever accesses the page is looked at. */
static void watch_page(struct core *c, struct tracked *t, uint32_t number)
{
    uint8_t *page = &t->pages[number * LINE_BYTES >> PAGE_SHIFT];
    if (!*page) {
        *page = 1;
        (*c->grown)++;
    }
}

static void fetch(struct core *c, struct tracked *t, uint32_t number, struct doing now)
{
    struct cache *k = t->cache;
    struct line *l = &t->lines[number];
    if (k->real) {
        struct way *set = &k->resident[((t->start >> LINE_SHIFT) + number) % k->sets * k->ways], *w = 0;
        for (uint32_t i = 0; i < k->ways && !w; i++)
            w = set[i].tracked ? 0 : &set[i];
        if (!w) {
            w = &set[random_of(k) % k->ways];
            evict(w);
        }
        *w = (struct way){t, number, 0};
        memcpy(t->content + number * LINE_BYTES, t->bytes + number * LINE_BYTES, LINE_BYTES);
    }
    l->held = 1;
    l->stale = l->stale_told = l->invalidated = 0;
    l->fetched = now;
    watch_page(c, t, number);
}

/* --- Accesses */

/* Bytes that were dirty in an invalidated line are read, by whomever. */
static void read_lost(struct tracked *t, uint32_t number, uint32_t mask, struct doing now)
{
    struct line *l = &t->lines[number];
    if (l->lost & mask) {
        tell(t, number, DESTROYED, l->lost & mask, now, l->loser, l->gone);
        l->lost = 0;
    }
}

static void own_read(struct core *c, struct tracked *t, uint32_t number, uint32_t mask, struct doing now)
{
    struct line *l = &t->lines[number];
    read_lost(t, number, mask, now);
    if (l->early & mask) {
        tell(t, number, TOO_EARLY, l->early & mask, now, first_of(l->other, l->early & mask), l->gone);
        l->early = 0;
    }
    if (!l->held)
        fetch(c, t, number, now);
    if (l->stale & ~l->stale_told & mask) {
        tell(t, number, STALE_READ, l->stale & mask, now, first_of(l->other, l->stale & mask), l->fetched);
        l->stale_told |= l->stale & mask;
    }
}

/* Whether the bytes stay in the cache. */
static int own_write(struct core *c, struct tracked *t, uint32_t number, uint32_t mask, uint32_t kind, struct doing now)
{
    struct line *l = &t->lines[number];
    l->lost &= ~mask;
    l->early &= ~mask;
    if (!l->held && kind == WRITE_ALLOCATE)
        fetch(c, t, number, now);
    if (!l->held)
        return 0;
    l->stale &= ~mask;
    l->stale_told &= ~mask;
    if (kind == WRITE_THROUGH)
        return 0;
    if (l->stale && !l->dirty) /* the write-back will bring back what others have written over */
        tell(t, number, OVERWRITES, l->stale, now, first_of(l->other, l->stale), l->fetched);
    l->dirty |= mask;
    l->dirty_told &= ~mask;
    note_words(l->written, mask, now);
    return 1;
}

static void others_read(struct tracked *t, uint32_t number, uint32_t mask, struct doing now)
{
    struct line *l = &t->lines[number];
    read_lost(t, number, mask, now);
    if (l->dirty & ~l->dirty_told & mask) {
        tell(t, number, STAYED, l->dirty & mask, now, first_of(l->written, l->dirty & mask), l->fetched);
        l->dirty_told |= l->dirty & mask;
    }
}

static void others_write(struct tracked *t, uint32_t number, uint32_t mask, struct doing now)
{
    struct line *l = &t->lines[number];
    l->lost &= ~mask;
    note_words(l->other, mask, now);
    if (!l->held) {
        if (l->invalidated)
            l->early |= mask;
        return;
    }
    if (l->dirty && !(l->stale & mask))
        tell(t, number, OVERWRITES, mask, first_of(l->written, l->dirty), now, l->fetched);
    l->stale |= mask;
    l->stale_told &= ~mask;
}

/* Whether accesses of a core to the page of an address have to be looked at. */
int cache_looks_at(const struct core *c, const struct window *w, uint32_t address)
{
    uint32_t offset = address - (uint32_t)w->start;
    for (const struct tracked *t = w->tracked; t; t = t->next) {
        const struct cache *k = t->cache;
        if (t->pages[offset >> PAGE_SHIFT])
            return 1;
        if (k->core == c && k->on && !k->fetches) { /* the kind may change inside a page */
            uint32_t page = address & ~(uint32_t)PAGE_MASK;
            for (uint32_t i = 0; i < k->count; i++)
                if (k->kinds[i] != UNCACHED && k->starts[i] <= (page | PAGE_MASK) &&
                    (i + 1 == k->count || k->starts[i + 1] > page))
                    return 1;
        }
    }
    return 0;
}

/* Of a load that is made of more than the instruction asks for, the bytes that it does. */
static uint32_t asked_for(const struct core *c, uint32_t address, uint32_t size, uint32_t mask)
{
    uint32_t from, to;
    if (!c->guard.mem_read || bytes_asked_for(c, &from, &to) == AS_MADE || from >= address + size || to <= address)
        return mask;
    from = from > address ? from : address;
    to = to < address + size ? to : address + size;
    return bytes_from(from, to - from);
}

/* The line of the core's own cache that holds an address, where that is not what memory holds; null: there is none. */
static struct tracked *content_of(const struct core *c, const struct window *w, uint32_t offset)
{
    struct tracked *t = w->tracked;
    while (t && (t->cache->core != c || t->cache->fetches))
        t = t->next;
    return t && t->content && t->lines[offset >> LINE_SHIFT].held && kind_at(t->cache, t->start + offset) != UNCACHED ? t : 0;
}

/* A load, inside one line; `value` is what memory holds, and becomes what the core sees. The load that a store-exclusive
 * is made of, and what will be undone, see what the line holds, and are no accesses. */
void cache_read(struct core *c, const struct window *w, uint32_t address, uint32_t size, uint64_t *value)
{
    uint32_t offset = address - (uint32_t)w->start, number = offset >> LINE_SHIFT;
    struct doing now = doing_of(c);

    if (c->undo || is_no_access(c, 1, size, *value)) {
        const struct tracked *t = content_of(c, w, offset);
        if (t)
            memcpy(value, t->content + offset, size);
        return;
    }
    for (struct tracked *t = w->tracked; t; t = t->next) {
        struct cache *k = t->cache;
        struct line *l = &t->lines[number];
        uint32_t mask = bytes_from(offset, size);
        int owns = k->core == c && !k->fetches && kind_at(k, t->start + offset) != UNCACHED;
        if (k->off)
            continue;
        if ((l->lost | l->early | l->stale | l->dirty) & mask)
            mask = asked_for(c, address, size, mask);
        if (!owns) {
            others_read(t, number, mask, now);
            continue;
        }
        if (k->real && !(random_of(k) & EVICTS_AT))
            evict(&k->resident[random_of(k) % (k->sets * k->ways)]);
        own_read(c, t, number, mask, now);
        if (t->content)
            memcpy(value, t->content + offset, size);
    }
}

/* A store, inside one line. Whether it stays in the cache, and must not reach memory. */
int cache_write(struct core *c, const struct window *w, uint32_t address, uint32_t size, uint64_t value)
{
    uint32_t offset = address - (uint32_t)w->start, number = offset >> LINE_SHIFT, mask = bytes_from(offset, size);
    struct doing now = doing_of(c);
    int stays = 0;

    if (c->undo || is_no_access(c, 0, size, value)) /* what is there is stored again, or stored again later */
        return content_of(c, w, offset) != 0;
    for (struct tracked *t = w->tracked; t; t = t->next) {
        struct cache *k = t->cache;
        uint32_t kind = k->core == c && !k->fetches ? kind_at(k, t->start + offset) : UNCACHED;
        if (k->off)
            continue;
        if (kind == UNCACHED) {
            others_write(t, number, mask, now);
            continue;
        }
        if (k->real && !(random_of(k) & EVICTS_AT))
            evict(&k->resident[random_of(k) % (k->sets * k->ways)]);
        stays = own_write(c, t, number, mask, kind, now) && k->real;
        if (t->content && t->lines[number].held)
            memcpy(t->content + offset, &value, size);
    }
    return stays;
}

/* Part of an instruction comes from the core's instruction cache. */
static void own_fetch(struct core *c, struct tracked *t, uint32_t number, uint32_t mask, struct doing now)
{
    struct line *l = &t->lines[number];
    if (!l->held)
        fetch(c, t, number, now);
    if (l->stale & ~l->stale_told & mask) {
        tell(t, number, STALE_CODE, l->stale & mask, now, first_of(l->other, l->stale & mask), l->fetched);
        l->stale_told |= l->stale & mask;
    }
}

/* An instruction is about to be executed from memory that stores change: it is fetched past every data cache. */
void cache_fetch(struct core *c, uint32_t address, uint32_t size)
{
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, address);
    if (!w || !w->tracked || size > 4)
        return;
    for (uint32_t at = address, end = address + size; at < end && at < w->end; at += 2)
        for (struct tracked *t = w->tracked; t; t = t->next) {
            uint32_t offset = at - (uint32_t)w->start;
            const struct cache *k = t->cache;
            if (k->off)
                continue;
            if (k->fetches && k->core == c && kind_at(k, t->start + offset) != UNCACHED)
                own_fetch(c, t, offset >> LINE_SHIFT, bytes_from(offset, 2), doing_of(c));
            else if (t->lines[offset >> LINE_SHIFT].dirty)
                others_read(t, offset >> LINE_SHIFT, bytes_from(offset, 2), doing_of(c));
        }
}

/* --- For Python */

/* A load or store that no instruction makes (an exception's frame), inside one line; as the two above. */
void cache_load(struct core *c, uint32_t address, uint32_t size, uint64_t *value)
{
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, address);
    if (w && w->tracked)
        cache_read(c, w, address, size, value);
}

uint32_t cache_store(struct core *c, uint32_t address, uint32_t size, uint64_t value)
{
    const struct window *w = window_at(c->guard.windows, c->guard.window_count, address);
    return w && w->tracked && cache_write(c, w, address, size, value);
}

/* Somebody without a cache accesses bytes of a region; whoever it is, memory itself is not touched here. */
void cache_other(struct tracked *t, uint32_t offset, uint32_t size, uint32_t writes, const struct doing *now)
{
    for (uint32_t at = offset, end = offset + size; at < end;) {
        uint32_t next = (at | (LINE_BYTES - 1)) + 1, part = (next < end ? next : end) - at;
        if (writes)
            others_write(t, at >> LINE_SHIFT, bytes_from(at, part), *now);
        else
            others_read(t, at >> LINE_SHIFT, bytes_from(at, part), *now);
        at += part;
    }
}

/* The host stores: bytes are what it says for everybody. */
void cache_poke(struct tracked *t, uint32_t offset, uint32_t size)
{
    for (; t; t = t->next)
        if (t->content)
            memcpy(t->content + offset, t->bytes + offset, size);
}

static void maintain(struct tracked *t, uint32_t number, uint32_t what, struct doing now)
{
    struct line *l = &t->lines[number];
    if (what & CLEAN)
        write_back(t, number);
    if (!(what & INVALIDATE))
        return;
    if (l->dirty) {
        l->lost |= l->dirty;
        l->loser = first_of(l->written, l->dirty);
    }
    drop(t, number);
    l->early = 0;
    l->gone = now;
    l->invalidated = t->cache->on;
    if (l->invalidated)
        watch_page(t->cache->core, t, number);
}

/* DCIMVAC, DCCMVAU, DCCMVAC, DCCIMVAC (DDI0403E B3.2.3): the line that holds an address. */
void cache_maintain(struct cache *k, struct tracked *all, uint32_t count, uint32_t address, uint32_t what)
{
    struct doing now = doing_of(k->core);
    for (uint32_t i = 0; i < count; i++)
        if (address - all[i].start < all[i].size)
            maintain(&all[i], (address - all[i].start) >> LINE_SHIFT, what, now);
}

/* DCISW, DCCSW, DCCISW: a line by set and way. Where lines have no way, way 0 of a set is all of them. */
void cache_maintain_way(struct cache *k, struct tracked *all, uint32_t count, uint32_t set, uint32_t way, uint32_t what)
{
    struct doing now = doing_of(k->core);
    if (set >= k->sets || way >= k->ways)
        return;
    if (k->real) {
        struct way w = k->resident[set * k->ways + way];
        if (w.tracked)
            maintain(w.tracked, w.line, what, now);
        return;
    }
    for (uint32_t i = 0; i < count && way == 0; i++) {
        uint32_t first = (set - (all[i].start >> LINE_SHIFT)) & (k->sets - 1);
        for (uint32_t number = first; number < all[i].size >> LINE_SHIFT; number += k->sets)
            if (all[i].lines[number].held)
                maintain(&all[i], number, what, now);
    }
}

/* Nothing is in the cache: power-on, a reset. */
void cache_reset(struct cache *k, struct tracked *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t page = 0; page < all[i].size >> PAGE_SHIFT; page++)
            if (all[i].pages[page])
                memset(&all[i].lines[page * PAGE_LINES], 0, PAGE_LINES * sizeof *all[i].lines);
    if (k->resident)
        memset(k->resident, 0, k->sets * k->ways * sizeof *k->resident);
}

void cache_free(struct cache *k)
{
    free(k->found);
    k->found = 0;
    k->found_count = k->found_capacity = 0;
}
