/* Who keeps what where in the memory that both cores share. The linker scripts repeat the table's address. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include "config.h"

/* What main has to itself: its data, which is in DTCM. */
#define PRIVATE_MEMORY

#if CONFIG_OTHER
/* SRAM4 (RM0399, Memory organization): one address for both cores. */
#define SHARED_MAIN 0x38000000u
#define SHARED_REMOTE 0x38000000u
#define SHARED_SIZE_LOG2 16
#define TABLE_OFFSET 0x1000u
#define CARVEOUT_SIZE 0x6000u
#else
/* SRAM3 (RM0399, Memory organization): the Cortex-M4 reaches it through its alias of the D2 SRAMs. */
#define SHARED_MAIN 0x30040000u
#define SHARED_REMOTE 0x10040000u
#define SHARED_SIZE_LOG2 15
#define TABLE_OFFSET 0x0000u
#define CARVEOUT_SIZE 0x3000u
#endif
#define SHARED_SIZE (1u << SHARED_SIZE_LOG2)

#define TRACE_OFFSET (TABLE_OFFSET + 0x400u)
#define TRACE_SIZE 0x400u
#define STATIC_VRING_OFFSET(vdev, ring) (TABLE_OFFSET + 0x800u + 0x400u * (vdev) + 0x200u * (ring))
#define CARVEOUT_OFFSET(vdev) (TABLE_OFFSET + 0x1000u + CARVEOUT_SIZE * (vdev))

#if CONFIG_CACHED && defined(CORE_CM7)
#include "cached.h"
#endif

#endif
