/* The Cortex-M7's caches. */
#ifndef CACHE_H
#define CACHE_H

void caches_enable(void);

#endif
