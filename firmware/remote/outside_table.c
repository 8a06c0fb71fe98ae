/* The table of the variants whose vdev 1 has its device outside the chip: in the place of remote/table.c. */
#include "table.h"

#include <stddef.h>

#include "memory_map.h"

_Static_assert(CONFIG_VDEVS == 2 && sizeof(struct remote_table) <= TRACE_OFFSET - TABLE_OFFSET, "the trace buffer follows");
_Static_assert(CARVEOUT_OFFSET(CONFIG_VDEVS) <= SHARED_SIZE, "the carveouts end inside the shared memory");

#define VRING(notifyid) {FW_RSC_ADDR_ANY, CONFIG_VRING_ALIGN, CONFIG_VRING_NUM, notifyid, 0}
#define CONFIG_SIZE sizeof(struct rpmsg_config)
#define IS_NET (CONFIG_OUTSIDE == VIRTIO_ID_NET)

#define CARVEOUT(i)                                                                                                    \
    {                                                                                                                  \
        .type = RSC_CARVEOUT, .da = SHARED_REMOTE + CARVEOUT_OFFSET(i), .pa = SHARED_MAIN + CARVEOUT_OFFSET(i),        \
        .len = CARVEOUT_SIZE, .name = "vdev" #i "buffer",                                                              \
    }

volatile struct remote_table CONFIG_TABLE_SYMBOL __attribute__((section(".resource_table"), used)) = {
    .header = {.ver = RESOURCE_TABLE_VERSION, .num = TABLE_ENTRIES},
    .offset =
        {
            offsetof(struct remote_table, trace),
            offsetof(struct remote_table, device[0].rpmsg),
            offsetof(struct remote_table, device[0].carveout),
            offsetof(struct remote_table, device[1].rpmsg),
            offsetof(struct remote_table, device[1].carveout),
        },
    .trace = {.type = RSC_TRACE, .da = SHARED_REMOTE + TRACE_OFFSET, .len = TRACE_SIZE, .name = "trace0"},
    .device =
        {
            {
                .rpmsg =
                    {
                        .vdev = {RSC_VDEV, VIRTIO_ID_RPMSG, 4, VIRTIO_RPMSG_F_NS | VIRTIO_RPMSG_F_BUFSZ, 0, CONFIG_SIZE,
                                 0, 2, {0}},
                        .vring = {VRING(0), VRING(1)},
                        .config = {.h2r_buf_size = CONFIG_BUFFER_SIZE, .r2h_buf_size = CONFIG_BUFFER_SIZE},
                    },
                .carveout = CARVEOUT(0),
            },
            {
                /* A disk has one vring: the room of the second is its config space's, and the entry ends earlier. */
                .rpmsg =
                    {
                        .vdev = {RSC_VDEV, CONFIG_OUTSIDE, 5, IS_NET ? VIRTIO_NET_F_MRG_RXBUF : 0, 0, CONFIG_SIZE, 0,
                                 IS_NET ? 2 : 1, {RPTUN_READER_IS_DEVICE}},
#if CONFIG_OUTSIDE == 1
                        .vring = {VRING(2), VRING(3)},
#else
                        .vring = {VRING(2)},
#endif
                    },
                .carveout = CARVEOUT(1),
            },
        },
};
