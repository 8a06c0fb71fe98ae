#include "device.h"

#include "board.h"
#include "cortex_m.h"
#include "faults.h"
#include "messages.h"
#include "outside.h"
#include "rpmsg.h"
#include "table.h"
#include "text.h"
#include "virtqueue.h"

struct device {
    struct rpmsg_link link; /* first: a link is cast back to its device */
    struct rpmsg_endpoint echo;
    struct vq_device transmit; /* vring 0 */
    struct vq_device receive;  /* vring 1 */
    bool is_up;
    bool is_announced;
    bool wants_buffers; /* main is asked to tell of new transmit buffers */
    bool owes_signal;
    uint32_t echoed;
};

static struct device devices[CONFIG_VDEVS];
static const char *const echo_names[] = CONFIG_ECHO_NAMES;

static volatile struct rpmsg_vdev *vdev_of(const struct device *device)
{
    return &CONFIG_TABLE_SYMBOL.device[device - devices].rpmsg;
}

/* Only while we wait for a transmit buffer is main to tell of new ones. */
static bool transmit_peek(struct device *device, struct vq_buffer *buffer)
{
    bool found = vq_device_peek(&device->transmit, buffer);

    if (found == device->wants_buffers) {
        device->wants_buffers = !found;
        vq_device_want_notifications(&device->transmit, !found);
        found = vq_device_peek(&device->transmit, buffer); /* it may have come before the flag went up */
    }
    return found;
}

static bool device_send(struct rpmsg_link *link, uint32_t source, uint32_t destination, const void *payload,
                        uint16_t length)
{
    struct device *device = (struct device *)link;
    struct vq_buffer buffer;

    if (!transmit_peek(device, &buffer)) {
        return false;
    }
    vq_device_take(&device->transmit);
    vq_device_return(&device->transmit, buffer.id,
                     rpmsg_write((void *)buffer.addr, source, destination, payload, length));
    device->owes_signal |= vq_device_must_interrupt(&device->transmit);
    return true;
}

static bool echo_receive(struct rpmsg_endpoint *endpoint, uint32_t source, const uint8_t *payload, uint16_t length)
{
    struct device *device = (struct device *)endpoint->link;

    if (!device_send(endpoint->link, endpoint->address, source, payload, length)) {
        return false;
    }
    device->echoed++;
    return true;
}

static void device_start(struct device *device)
{
    volatile struct rpmsg_vdev *vdev = vdev_of(device);

    dmb(); /* the status before what it announces */
    vq_device_init(&device->transmit, (void *)vdev->vring[0].da, vdev->vring[0].num, vdev->vring[0].align);
    vq_device_init(&device->receive, (void *)vdev->vring[1].da, vdev->vring[1].num, vdev->vring[1].align);
    vq_device_want_notifications(&device->transmit, false);
    device->link = (struct rpmsg_link){.send = device_send};
    device->echo = (struct rpmsg_endpoint){
        .address = CONFIG_FIRST_ADDRESS, .peer = RPMSG_ADDRESS_ANY, .receive = echo_receive};
    rpmsg_add_endpoint(&device->link, &device->echo);
    device->is_up = true;
    device->is_announced = false;
    device->wants_buffers = false;
    LOG(MESSAGE_REMOTE_UP, (unsigned)(device - devices), (unsigned)vdev->vring[0].da,
        (unsigned)vdev->vring[1].da);
}

static void device_poll(struct device *device)
{
    struct vq_buffer buffer;

    if (!device->is_announced) {
        device->is_announced = rpmsg_announce(&device->echo, echo_names[device - devices]);
    }
    while (vq_device_peek(&device->receive, &buffer)) {
        if (!rpmsg_deliver(&device->link, (const void *)buffer.addr, buffer.len)) {
            break; /* no buffer for the answer: the message stays until main returns one */
        }
        vq_device_take(&device->receive);
        if (!FAULT_LEAK) {
            vq_device_return(&device->receive, buffer.id, 0);
            device->owes_signal |= vq_device_must_interrupt(&device->receive);
        }
    }
    if (device->owes_signal) {
        device->owes_signal = false;
        mailbox_signal();
    }
}

void devices_publish(void)
{
    CONFIG_TABLE_SYMBOL.header.reserved[1] = RPTUN_READY;
    mailbox_signal();
}

static void stop(void)
{
    for (uint32_t i = 0; i < CONFIG_VDEVS; i++) {
        devices[i].is_up = false;
    }
    LOG("stopped by main");
    CONFIG_TABLE_SYMBOL.header.reserved[0] = RPTUN_ACK;
    mailbox_signal();
}

void devices_poll(void)
{
    if (CONFIG_TABLE_SYMBOL.header.reserved[0] == RPTUN_STOP) {
        stop();
        return;
    }
    if (CONFIG_OUTSIDE) {
        outside_poll();
    }
    for (uint32_t i = 0; i < CONFIG_VDEVS; i++) {
        struct device *device = &devices[i];
        bool is_ours = CONFIG_OUTSIDE == 0 || i == 0;
        bool driver_ok = is_ours && (vdev_of(device)->vdev.status & VIRTIO_DRIVER_OK) != 0;

        if (driver_ok && !device->is_up) {
            device_start(device);
        }
        device->is_up = driver_ok;
        if (driver_ok) {
            device_poll(device);
        }
    }
}

struct device_status device_status(uint32_t index)
{
    const struct device *device = &devices[index];

    return (struct device_status){vdev_of(device)->vdev.status, device->is_up, device->echoed};
}
