/* Who keeps what where in the memory that both cores share. The linker scripts repeat the table's address. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include "config.h"

/* What main has to itself: the RAM of its cache (PS, CACHE). */
#define PRIVATE_MEMORY __attribute__((section(".private")))

/* The application core's RAM (PS, Memory): one address for both cores. */
#if CONFIG_OTHER
#define SHARED_MAIN 0x20060000u
#define TABLE_OFFSET 0x1000u
#define CARVEOUT_SIZE 0x6000u
#else
#define SHARED_MAIN 0x20070000u
#define TABLE_OFFSET 0x0000u
#define CARVEOUT_SIZE 0x3000u
#endif
#define SHARED_REMOTE SHARED_MAIN
#define SHARED_SIZE 0xF000u /* the page behind it is for the remote's EasyDMA */

#define TRACE_OFFSET (TABLE_OFFSET + 0x400u)
#define TRACE_SIZE 0x400u
#define STATIC_VRING_OFFSET(vdev, ring) (TABLE_OFFSET + 0x800u + 0x400u * (vdev) + 0x200u * (ring))
#define CARVEOUT_OFFSET(vdev) (TABLE_OFFSET + 0x1000u + CARVEOUT_SIZE * (vdev))

#endif
