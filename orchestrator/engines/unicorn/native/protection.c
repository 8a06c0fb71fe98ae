/* The registers of the MPU that a context switch stores to (DDI0403E B3.5, DDI0553B D1.2), and what they grant where that
 * is known: mpu.py says what the registers mean, and works out what they grant the first time.
 */
#include <string.h>

#include "native.h"

enum { NMI = 2, HARD_FAULT = 3 };
enum { ENABLE = 1, HFNMIENA = 2 };
enum { CTRL = 0xE000ED94u, RNR = 0xE000ED98u, BASE = 0xE000ED9Cu, ALIASES = 4, VALID = 0x10 };
enum { MOST_KNOWN = 3 * KNOWN_PROTECTIONS / 4 };
#define RASR_BITS 0x173FFF3Fu
#define RBAR_BITS 0xFFFFFFE0u

/* The registers as far as they decide; hashed (FNV-1a, by words). */
static struct mpu_registers deciding(const struct mpu *m, uint32_t *hash)
{
    struct mpu_registers r;
    const uint32_t *words = (const uint32_t *)&r;
    if (m->registers.control & ENABLE)
        r = m->registers;
    else
        memset(&r, 0, sizeof r);
    *hash = 2166136261u;
    for (uint32_t i = 0; i < sizeof r / sizeof *words; i++)
        *hash = (*hash ^ words[i]) * 16777619u;
    *hash ^= *hash >> 15;
    return r;
}

/* Where a setting stands, or is to stand. */
static struct protection *place_of(struct mpu *m)
{
    uint32_t at;
    struct mpu_registers r = deciding(m, &at);
    for (;; at++) {
        struct protection *p = &m->known[at % KNOWN_PROTECTIONS];
        if (!p->count || memcmp(&p->registers, &r, sizeof r) == 0)
            return p;
    }
}

/* Nothing is known. */
void mpu_forget(struct mpu *m)
{
    m->known_count = 0;
    memset(m->known, 0, sizeof m->known);
}

/* What the registers grant as they are: `map` numbers it. All must be kept until mpu_forget(); 0: there is no more room. */
uint32_t mpu_learn(struct mpu *m, const uint32_t *starts, const uint8_t *granted, uint32_t count, uint32_t map)
{
    struct protection *p;
    uint32_t hash;
    if (m->known_count == MOST_KNOWN)
        return 0;
    p = place_of(m);
    m->known_count += !p->count;
    *p = (struct protection){starts, granted, count, map, deciding(m, &hash), 0};
    return 1;
}

/* What is granted from now on. */
void core_protect(struct core *c, const uint32_t *starts, const uint8_t *granted, uint32_t count, uint32_t map)
{
    struct guard *g = &c->guard;
    g->starts = starts;
    g->granted = granted;
    g->count = count;
    c->map = map;
    c->page = ~0u;
    if (g->ctl)
        g->ctl(c->uc, g->flush_tlb);
}

/* Enforces what the registers say; 0: that is Python's. */
int mpu_apply(struct core *c)
{
    struct mpu *m = c->guard.mpu;
    const struct protection *p = place_of(m);
    uint32_t masks[MASKS + 2];
    if (!p->count)
        return 0;
    if ((m->registers.control & (ENABLE | HFNMIENA)) == ENABLE) { /* not in force at negative priorities (B3.5.4) */
        if (!c->guard.watch_faultmask || nvic_has(c->nvic->active, NMI) || nvic_has(c->nvic->active, HARD_FAULT) ||
            !core_read_masks(c, masks) || masks[2])
            return 0;
    }
    m->stale = 0;
    if (p->map != c->map)
        core_protect(c, p->starts, p->granted, p->count, p->map);
    return 1;
}

static int set_region(struct mpu *m, uint32_t *words, uint32_t number, uint32_t value)
{
    if (number >= m->count || words[number] == value)
        return 0;
    words[number] = value;
    return (m->registers.control & ENABLE) != 0;
}

/* Whether what is granted may have changed. */
static int store(struct mpu *m, uint32_t address, uint32_t value)
{
    uint32_t alias, number, before = m->registers.control;
    switch (address) {
    case CTRL:
        m->registers.control = m->count ? value & 7 : 0;
        return m->registers.control != before;
    case RNR:
        if ((value & 0xFF) < m->count)
            m->number = value & 0xFF;
        return 0;
    }
    alias = (address - BASE) / 8;
    if ((address - BASE) & 4) {
        number = m->armv8 && alias ? (m->number & ~3u) | alias : m->number;
        return set_region(m, m->registers.second, number, m->armv8 ? value : value & RASR_BITS);
    }
    if (!m->armv8) {
        if (value & VALID) {
            if ((value & 0xF) >= m->count)
                return 0;
            m->number = value & 0xF;
        }
        value &= RBAR_BITS;
    }
    number = m->armv8 && alias ? (m->number & ~3u) | alias : m->number;
    return set_region(m, m->registers.base, number, value);
}

/* A store to one of these registers; 0: it is another, or not so simple, and nothing has happened. */
int mpu_store(struct core *c, uint32_t address, uint32_t size, uint32_t value)
{
    struct mpu *m = c->guard.mpu;
    if (!takes_exceptions(c) || size != 4 || address < CTRL || address >= BASE + 8 * ALIASES || address & 3 ||
        !m->enforced || core_is_unprivileged(c))
        return 0;
    c->served++;
    c->disturbed = 1;
    if (store(m, address, value)) {
        m->stale = 1;
        c->limit = c->executed; /* it is in force behind this instruction */
    }
    return 1;
}
