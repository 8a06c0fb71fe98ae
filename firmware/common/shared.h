/* What main does for memory that it shares and that its data cache may hold. Nothing, where shared memory is not cached. */
#ifndef SHARED_H
#define SHARED_H

#include <stddef.h>

#include "config.h"

#if CONFIG_CACHED && defined(CORE_CM7)
/* Writes what lies in the cache alone to memory, in every line that has a byte of this. */
void shared_clean(const volatile void *start, size_t size);

/* Drops every line that has a byte of this: the next load reads memory. */
void shared_invalidate(const volatile void *start, size_t size);
#else
#define shared_clean(start, size) ((void)0)
#define shared_invalidate(start, size) ((void)0)
#endif

#endif
