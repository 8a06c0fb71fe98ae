/* A disk whose device is outside the chip (virtio 1.3, 5.2): each sector of its first half, inverted, goes to the second
 * half and is read back. One request is under way at a time.
 */
#include "config.h"

#if CONFIG_OUTSIDE == 2
#include "board.h"
#include "cortex_m.h"
#include "mem.h"
#include "outside.h"
#include "table.h"
#include "text.h"
#include "virtqueue.h"

#define VDEV (&CONFIG_TABLE_SYMBOL.device[1].rpmsg)
#define CARVEOUT (&CONFIG_TABLE_SYMBOL.device[1].carveout)
#define SECTOR 512u
#define FIRST 16u /* sectors copied without being asked for */

enum { REQUEST_IN = 0, REQUEST_OUT = 1, STATUS_OK = 0, STATUS_UNKNOWN = 0xFF };

struct request {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
    uint8_t data[SECTOR];
    uint8_t status;
};

enum step { READ, WRITE, READ_BACK };

static struct vring ring;
static uint16_t last_used;
static volatile struct request *request; /* in shared memory */
static uint8_t kept[SECTOR];             /* what was written */
static bool is_up, is_under_way;
static enum step step;
static uint32_t half; /* sectors */
static uint32_t wanted, done, bad;

static void submit(uint32_t type, uint32_t sector)
{
    bool reads = type == REQUEST_IN;
    uint32_t at = (uint32_t)request;

    request->type = type;
    request->reserved = 0;
    request->sector = sector;
    request->status = STATUS_UNKNOWN;
    ring.desc[0] = (struct vring_desc){at, 16, VRING_DESC_F_NEXT, 1};
    ring.desc[1] =
        (struct vring_desc){at + 16, SECTOR, (uint16_t)(VRING_DESC_F_NEXT | (reads ? VRING_DESC_F_WRITE : 0)), 2};
    ring.desc[2] = (struct vring_desc){at + 16 + SECTOR, 1, VRING_DESC_F_WRITE, 0};
    ring.avail->ring[ring.avail->idx % ring.num] = 0;
    dmb(); /* descriptors and entry before the index that publishes them */
    ring.avail->idx++;
    dmb(); /* the new index before the flags */
    is_under_way = true;
    if ((ring.used->flags & VRING_USED_F_NO_NOTIFY) == 0) {
        mailbox_signal();
    }
}

static void start(void)
{
    /* Behind one vring. */
    const volatile uint8_t *config = (const volatile uint8_t *)&VDEV->vring[1];
    uint64_t capacity = 0;

    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE;
    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
    VDEV->vdev.gfeatures = 0;
    for (uint32_t i = 0; i < 8; i++) {
        capacity |= (uint64_t)config[i] << 8 * i;
    }
    half = capacity > 0xFFFF ? 0x7FFF : (uint32_t)capacity / 2;
    ring.num = VDEV->vring[0].num;
    memset((void *)VDEV->vring[0].da, 0, vring_size(ring.num, VDEV->vring[0].align));
    ring.desc = (void *)VDEV->vring[0].da;
    ring.avail = (void *)(VDEV->vring[0].da + sizeof(struct vring_desc) * ring.num);
    ring.used = (void *)(VDEV->vring[0].da + vring_used_offset(ring.num, VDEV->vring[0].align));
    last_used = 0;
    request = (volatile struct request *)(CARVEOUT->da + CARVEOUT->len - 1024);
    dmb(); /* the ring before the status that announces it */
    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK;
    is_up = true;
    wanted = FIRST;
    LOG("block: up, %u sectors", (unsigned)(2 * half));
}

static void finish(void)
{
    bool failed = request->status != STATUS_OK;

    if (step == READ && !failed) {
        for (uint32_t i = 0; i < SECTOR; i++) {
            request->data[i] = kept[i] = (uint8_t)~request->data[i];
        }
        step = WRITE;
        return;
    }
    if (step == WRITE && !failed) {
        for (uint32_t i = 0; i < SECTOR; i++) {
            request->data[i] = 0;
        }
        step = READ_BACK;
        return;
    }
    bad += failed || memcmp((const void *)request->data, kept, SECTOR) != 0;
    done++;
    step = READ;
    if (done == wanted || done == half) {
        LOG("block: %u sectors copied, %u bad", (unsigned)done, (unsigned)bad);
    }
}

void outside_poll(void)
{
    if (!is_up) {
        if (VDEV->vring[0].da == FW_RSC_ADDR_ANY) {
            return;
        }
        dmb(); /* the places before what is put there */
        start();
    }
    if (is_under_way && ring.used->idx != last_used) {
        dmb(); /* index before what it covers */
        last_used++;
        is_under_way = false;
        finish();
    }
    if (!is_under_way && done < wanted && done < half) {
        submit(step == WRITE ? REQUEST_OUT : REQUEST_IN, step == READ ? done : half + done);
    }
}

void outside_again(uint32_t count)
{
    wanted += count;
    if (is_up) {
        outside_poll();
    }
}
#endif
