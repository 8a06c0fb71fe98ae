/* The remote's resource table: what this core offers to whoever masters RPTUN. */
#ifndef TABLE_H
#define TABLE_H

#include "config.h"
#include "resource_table.h"

#define TABLE_ENTRIES (1 + 2 * CONFIG_VDEVS)

/* Entries are 8-byte aligned, as in NuttX's rptun_rsc_s; vdevs and carveouts pair up by index. */
struct remote_table {
    struct resource_table_header header;
    uint32_t offset[TABLE_ENTRIES];
    struct fw_rsc_trace trace __attribute__((aligned(8)));
    struct {
        struct rpmsg_vdev rpmsg __attribute__((aligned(8)));
        struct fw_rsc_carveout carveout __attribute__((aligned(8)));
    } device[CONFIG_VDEVS];
};

/* Where it runs: in shared memory. Main writes to it. */
extern volatile struct remote_table CONFIG_TABLE_SYMBOL;

#endif
