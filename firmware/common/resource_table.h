/* The resource table (Linux rsc_table.h, OpenAMP remoteproc.h, NuttX rptun.h). */
#ifndef RESOURCE_TABLE_H
#define RESOURCE_TABLE_H

#include <stdint.h>

#define RESOURCE_TABLE_VERSION 1u

enum {
    RSC_CARVEOUT = 0,
    RSC_TRACE = 2,
    RSC_VDEV = 3,
};

#define FW_RSC_ADDR_ANY 0xFFFFFFFFu

struct resource_table_header {
    uint32_t ver;
    uint32_t num;
    uint32_t reserved[2]; /* at run time the RPTUN command words: [0] main's, [1] the remote's */
};

/* RPTUN commands: in the top 16 bits of a command word. The receiver replaces it by ACK. */
#define RPTUN_READY (1u << 16)
#define RPTUN_STOP (4u << 16)
#define RPTUN_ACK (0xFFFFu << 16)

struct fw_rsc_carveout {
    uint32_t type;
    uint32_t da;
    uint32_t pa;
    uint32_t len;
    uint32_t flags;
    uint32_t reserved;
    char name[32];
};

struct fw_rsc_trace {
    uint32_t type;
    uint32_t da;
    uint32_t len;
    uint32_t reserved;
    char name[32];
};

struct fw_rsc_vdev {
    uint32_t type;
    uint32_t id;
    uint32_t notifyid;
    uint32_t dfeatures;
    uint32_t gfeatures;
    uint32_t config_len;
    uint8_t status;
    uint8_t num_of_vrings;
    uint8_t reserved[2]; /* NuttX: [0] is the role, 0: the reader is the driver */
};

struct fw_rsc_vdev_vring {
    uint32_t da;
    uint32_t align;
    uint32_t num;
    uint32_t notifyid;
    uint32_t pa;
};

/* NuttX's configuration of an RPMsg device; 64 bytes since release 9.1, these names since 11.0. */
struct rpmsg_config {
    uint32_t h2r_buf_size;
    uint32_t r2h_buf_size;
    uint32_t reserved[14];
};

/* An RPMsg device: exactly two vrings, 0 remote to host, 1 host to remote. */
struct rpmsg_vdev {
    struct fw_rsc_vdev vdev;
    struct fw_rsc_vdev_vring vring[2];
    struct rpmsg_config config;
};

_Static_assert(sizeof(struct resource_table_header) == 16, "header");
_Static_assert(sizeof(struct fw_rsc_carveout) == 56, "carveout");
_Static_assert(sizeof(struct fw_rsc_trace) == 48, "trace");
_Static_assert(sizeof(struct rpmsg_vdev) == 28 + 2 * 20 + 64, "vdev");

/* Virtio device status (virtio 1.3, 2.1). */
enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FAILED = 128,
};

#define VIRTIO_ID_NET 1
#define VIRTIO_ID_BLOCK 2
#define VIRTIO_NET_F_MRG_RXBUF (1u << 15)
#define VIRTIO_ID_RPMSG 7u
#define RPTUN_READER_IS_DEVICE 1u /* reserved[0] of a vdev that the owner of the table drives */
#define VIRTIO_RPMSG_F_NS (1u << 0)
#define VIRTIO_RPMSG_F_BUFSZ (1u << 2) /* NuttX: the configuration gives the buffer sizes */

#endif
