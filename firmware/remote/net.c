/* A network card whose device is outside the chip (virtio 1.3, 5.1): sends frames and checks those that come back. */
#include "config.h"

#if CONFIG_OUTSIDE == 1
#include "board.h"
#include "cortex_m.h"
#include "mem.h"
#include "outside.h"
#include "table.h"
#include "text.h"
#include "virtqueue.h"

#define VDEV (&CONFIG_TABLE_SYMBOL.device[1].rpmsg)
#define CARVEOUT (&CONFIG_TABLE_SYMBOL.device[1].carveout)
#define BUFFER_SIZE 256u
#define LEGACY_HEADER 10u /* of a frame in a buffer; with MRG_RXBUF it has two bytes more (virtio 1.3, 5.1.6) */
#define MERGED_HEADER 12u
#define ADDRESSES 12u /* of both ends, in front of a frame */
#define UNDER_WAY CONFIG_VRING_NUM /* frames that have not come back, at most: as many as buffers to receive them in */
#define FIRST 100u    /* frames sent without being asked for */

static const uint8_t ours[6] = {0x52, 0x54, 0, 0, 0, 1};
static const uint8_t theirs[6] = {0x52, 0x54, 0, 0, 0, 2};

static struct vq_driver receive;
static struct vq_driver transmit;
static uint8_t *idle[CONFIG_VRING_NUM];
static uint32_t idle_count;
static uint32_t header_size;
static bool is_up;
static uint32_t wanted, sent, good, bad;

static uint32_t frame_size(uint32_t number)
{
    return 60 + number % 128;
}

static uint8_t frame_byte(uint32_t number, uint32_t at)
{
    if (at < 14) {
        return at == 12 ? 0x88 : 0xB5; /* IEEE 802's ethertype for experiments */
    }
    return at < 18 ? (uint8_t)(number >> 8 * (at - 14)) : (uint8_t)(number + at);
}

static void start(void)
{
    uint8_t *buffer;

    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE;
    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
    VDEV->vdev.gfeatures = VDEV->vdev.dfeatures & VIRTIO_NET_F_MRG_RXBUF;
    header_size = VDEV->vdev.gfeatures != 0 ? MERGED_HEADER : LEGACY_HEADER;
    vq_driver_init(&receive, (void *)VDEV->vring[0].da, VDEV->vring[0].num, VDEV->vring[0].align);
    vq_driver_init(&transmit, (void *)VDEV->vring[1].da, VDEV->vring[1].num, VDEV->vring[1].align);
    vq_driver_suppress_interrupts(&transmit); /* used buffers are collected before the next frame */
    /* Main cut the vrings from the carveout's beginning; buffers are at its end. */
    buffer = (uint8_t *)(CARVEOUT->da + CARVEOUT->len - 2 * CONFIG_VRING_NUM * BUFFER_SIZE);
    for (uint32_t i = 0; i < CONFIG_VRING_NUM; i++, buffer += BUFFER_SIZE) {
        vq_driver_add(&receive, buffer, (uint32_t)buffer, BUFFER_SIZE, VRING_DESC_F_WRITE);
    }
    for (idle_count = 0; idle_count < CONFIG_VRING_NUM; idle_count++, buffer += BUFFER_SIZE) {
        idle[idle_count] = buffer;
    }
    dmb(); /* rings and buffers before the status that announces them */
    VDEV->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK;
    is_up = true;
    wanted = FIRST;
    LOG("net: up, header of %u bytes", (unsigned)header_size);
}

/* What comes back has its addresses exchanged, and is otherwise the next frame that was sent. */
static void check(const uint8_t *frame, uint32_t size)
{
    uint32_t number = good + bad;
    bool same = size == frame_size(number) && memcmp(frame, ours, 6) == 0 && memcmp(frame + 6, theirs, 6) == 0;

    for (uint32_t i = ADDRESSES; same && i < size; i++) {
        same = frame[i] == frame_byte(number, i);
    }
    good += same;
    bad += !same;
}

static bool take(void)
{
    bool offered = false;
    uint32_t size;
    uint8_t *buffer;

    while ((buffer = vq_driver_reclaim(&receive, &size)) != NULL) {
        check(buffer + header_size, size > header_size ? size - header_size : 0);
        vq_driver_add(&receive, buffer, (uint32_t)buffer, BUFFER_SIZE, VRING_DESC_F_WRITE);
        offered = true;
    }
    return offered && vq_driver_must_notify(&receive);
}

static bool send(void)
{
    bool offered = false;
    uint32_t size;
    uint8_t *buffer;

    while ((buffer = vq_driver_reclaim(&transmit, &size)) != NULL) {
        idle[idle_count++] = buffer;
    }
    while (sent < wanted && sent - good - bad < UNDER_WAY && idle_count > 0) {
        buffer = idle[--idle_count];
        memset(buffer, 0, header_size);
        memcpy(buffer + header_size, theirs, 6);
        memcpy(buffer + header_size + 6, ours, 6);
        for (uint32_t i = ADDRESSES; i < frame_size(sent); i++) {
            buffer[header_size + i] = frame_byte(sent, i);
        }
        vq_driver_add(&transmit, buffer, (uint32_t)buffer, header_size + frame_size(sent), 0);
        sent++;
        offered = true;
    }
    return offered && vq_driver_must_notify(&transmit);
}

void outside_poll(void)
{
    uint32_t before = good + bad;
    bool notify;

    if (!is_up) {
        if (VDEV->vring[1].da == FW_RSC_ADDR_ANY) {
            return;
        }
        dmb(); /* the places before what is put there */
        start();
    }
    notify = take();
    notify |= send();
    if (notify) {
        mailbox_signal();
    }
    if (good + bad != before && good + bad == wanted) {
        LOG("net: %u frames sent, %u came back, %u bad", (unsigned)sent, (unsigned)(good + bad), (unsigned)bad);
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
