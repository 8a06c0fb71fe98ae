/* The Cortex-M7's caches. */
#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>

void caches_enable(void);

/* Writes to memory what lies in the cache alone, in every line that has a byte of this. */
void cache_clean(const volatile void *start, size_t size);

/* Drops every line that has a byte of this, and what is in it alone. */
void cache_invalidate(const volatile void *start, size_t size);

#endif
