/* Who keeps what where in the memory that both cores share. The linker scripts repeat the table's address. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include "config.h"

#define PRIVATE_MEMORY /* each core sees every memory */

#if CONFIG_OTHER
/* PSRAM (AN521, Memory map): one address for both cores. */
#define SHARED_MAIN 0x80000000u
#define SHARED_REMOTE 0x80000000u
#define SHARED_SIZE 0x10000u
#define TABLE_OFFSET 0x1000u
#define CARVEOUT_SIZE 0x6000u
#else
/* SSRAM3 (AN521, Memory map): main at its Secure alias, the remote at its Non-secure one. */
#define SHARED_MAIN 0x38200000u
#define SHARED_REMOTE 0x28200000u
#define SHARED_SIZE 0x8000u
#define TABLE_OFFSET 0x0000u
#define CARVEOUT_SIZE 0x3000u
#endif

#define TRACE_OFFSET (TABLE_OFFSET + 0x400u)
#define TRACE_SIZE 0x400u
#define STATIC_VRING_OFFSET(vdev, ring) (TABLE_OFFSET + 0x800u + 0x400u * (vdev) + 0x200u * (ring))
#define CARVEOUT_OFFSET(vdev) (TABLE_OFFSET + 0x1000u + CARVEOUT_SIZE * (vdev))

#endif
