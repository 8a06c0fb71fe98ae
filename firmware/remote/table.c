#include "table.h"

#include <stddef.h>

#include "faults.h"
#include "memory_map.h"

_Static_assert(sizeof(struct remote_table) <= TRACE_OFFSET - TABLE_OFFSET, "the trace buffer follows the table");
_Static_assert(CARVEOUT_OFFSET(CONFIG_VDEVS) <= SHARED_SIZE, "the carveouts end inside the shared memory");

#if CONFIG_STATIC_VRINGS
#define VRING_DA(vdev, ring) (SHARED_REMOTE + STATIC_VRING_OFFSET(vdev, ring))
#else
#define VRING_DA(vdev, ring) FW_RSC_ADDR_ANY
#endif

#define VRING1_ALIGN (FAULT_ALIGN3 ? 3 : CONFIG_VRING_ALIGN)
#define VRING1_NUM (FAULT_NUM6 ? 6 : CONFIG_VRING_NUM)

/* Notify ids: vrings 0, 1 (and 2, 3), as a host that numbers them itself would; vdevs after them. */
#define VRING_NOTIFYID(vdev, ring) (2u * (vdev) + (FAULT_DUPLICATE_NOTIFYID ? 0u : (ring)))
#define VDEV_NOTIFYID(vdev) (2u * CONFIG_VDEVS + (vdev))

#define DEVICE(i)                                                                                                      \
    {                                                                                                                  \
        .rpmsg =                                                                                                       \
            {                                                                                                          \
                .vdev =                                                                                                \
                    {                                                                                                  \
                        .type = RSC_VDEV,                                                                              \
                        .id = VIRTIO_ID_RPMSG,                                                                         \
                        .notifyid = VDEV_NOTIFYID(i),                                                                  \
                        .dfeatures = VIRTIO_RPMSG_F_NS | VIRTIO_RPMSG_F_BUFSZ,                                         \
                        .config_len = sizeof(struct rpmsg_config),                                                     \
                        .num_of_vrings = 2,                                                                            \
                    },                                                                                                 \
                .vring =                                                                                               \
                    {                                                                                                  \
                        {VRING_DA(i, 0), CONFIG_VRING_ALIGN, CONFIG_VRING_NUM, VRING_NOTIFYID(i, 0u), 0},              \
                        {VRING_DA(i, 1), VRING1_ALIGN, VRING1_NUM, VRING_NOTIFYID(i, 1u), 0},                          \
                    },                                                                                                 \
                .config = {.h2r_buf_size = CONFIG_BUFFER_SIZE, .r2h_buf_size = CONFIG_BUFFER_SIZE},                    \
            },                                                                                                         \
        .carveout = {                                                                                                  \
            .type = RSC_CARVEOUT,                                                                                      \
            .da = SHARED_REMOTE + CARVEOUT_OFFSET(i),                                                                  \
            .pa = SHARED_MAIN + CARVEOUT_OFFSET(i),                                                                    \
            .len = CARVEOUT_SIZE,                                                                                      \
            .name = "vdev" #i "buffer",                                                                                \
        },                                                                                                             \
    }

volatile struct remote_table CONFIG_TABLE_SYMBOL __attribute__((section(".resource_table"), used)) = {
    .header = {.ver = RESOURCE_TABLE_VERSION, .num = TABLE_ENTRIES},
    .offset =
        {
            offsetof(struct remote_table, trace),
            offsetof(struct remote_table, device[0].rpmsg),
            offsetof(struct remote_table, device[0].carveout),
#if CONFIG_VDEVS > 1
            offsetof(struct remote_table, device[1].rpmsg),
            offsetof(struct remote_table, device[1].carveout),
#endif
        },
    .trace = {.type = RSC_TRACE, .da = SHARED_REMOTE + TRACE_OFFSET, .len = TRACE_SIZE, .name = "trace0"},
    .device =
        {
            DEVICE(0),
#if CONFIG_VDEVS > 1
            DEVICE(1),
#endif
        },
};
