/* Who keeps what where in the memory that both cores share. The linker scripts repeat the table's address. */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#define PRIVATE_MEMORY /* each core sees every memory */

/* SRAM3 (UM11126, memory map): one address for both cores. */
#define SHARED_MAIN 0x20030000u
#define SHARED_REMOTE 0x20030000u
#define SHARED_SIZE 0x8000u
#define TABLE_OFFSET 0x0000u
#define CARVEOUT_SIZE 0x3000u

#define TRACE_OFFSET (TABLE_OFFSET + 0x400u)
#define TRACE_SIZE 0x400u
#define STATIC_VRING_OFFSET(vdev, ring) (TABLE_OFFSET + 0x800u + 0x400u * (vdev) + 0x200u * (ring))
#define CARVEOUT_OFFSET(vdev) (TABLE_OFFSET + 0x1000u + CARVEOUT_SIZE * (vdev))

#endif
