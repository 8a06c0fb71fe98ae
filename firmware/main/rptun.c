#include "rptun.h"

#include "address.h"
#include "board.h"
#include "cortex_m.h"
#include "faults.h"
#include "mem.h"
#include "memory_map.h"
#include "messages.h"
#include "text.h"

#define TABLE ((volatile struct resource_table_header *)(SHARED_MAIN + TABLE_OFFSET))
#define TABLE_SIZE_MAX (TRACE_OFFSET - TABLE_OFFSET)
#define SUPPORTED_FEATURES (VIRTIO_RPMSG_F_NS | VIRTIO_RPMSG_F_BUFSZ)
#define BLOCK_ALIGN 16u /* of a descriptor table (virtio 1.3, 2.7) and of buffers */
#define STOP_TIMEOUT_MS 100u

/* The part of a carveout that nobody has yet; both ends in main's view. */
struct heap {
    uint32_t next;
    uint32_t end;
};

static const struct address_range environment = {SHARED_MAIN, SHARED_REMOTE, SHARED_SIZE};
static struct rptun_device devices[RPTUN_DEVICES_MAX];
static uint32_t device_count;
static rptun_device_started *device_started;

static uint32_t align_up(uint32_t value, uint32_t align)
{
    return (value + align - 1) & ~(align - 1);
}

static uint32_t heap_allocate(struct heap *heap, uint32_t size, uint32_t align)
{
    uint32_t start = align_up(heap->next, align > BLOCK_ALIGN ? align : BLOCK_ALIGN);

    if (start > heap->end || size > heap->end - start) {
        return 0;
    }
    heap->next = start + size;
    return start;
}

/* Memory outside the environment has one address for both. */
static uint32_t remote_address(uint32_t pa)
{
    uint32_t da;

    return address_to_remote(&environment, pa, 1, &da) ? da : pa;
}

/* What a descriptor holds for a buffer of ours. */
static uint32_t buffer_address(const void *buffer)
{
    return FAULT_BAD_DESC ? (uint32_t)buffer : remote_address((uint32_t)buffer);
}

static uint32_t main_address(uint32_t da)
{
    uint32_t pa;

    return address_to_main(&environment, da, 1, &pa) ? pa : da;
}

/* The nth entry of a type, or NULL. */
static volatile void *table_entry(uint32_t type, uint32_t nth, uint32_t size)
{
    const volatile uint32_t *offsets = (const volatile uint32_t *)(TABLE + 1);

    for (uint32_t i = 0; i < TABLE->num; i++) {
        volatile uint32_t *entry = (volatile uint32_t *)((uintptr_t)TABLE + offsets[i]);

        if (*entry == type && nth-- == 0) {
            return offsets[i] <= TABLE_SIZE_MAX - size ? entry : NULL;
        }
    }
    return NULL;
}

/* Version, and every entry's type word inside the room that the memory map gives the table. */
static bool table_is_valid(void)
{
    const volatile uint32_t *offsets = (const volatile uint32_t *)(TABLE + 1);
    uint32_t num = TABLE->num;

    if (TABLE->ver != RESOURCE_TABLE_VERSION || num == 0 || num > (TABLE_SIZE_MAX - sizeof *TABLE) / sizeof *offsets) {
        return false;
    }
    for (uint32_t i = 0; i < num; i++) {
        if (offsets[i] < sizeof *TABLE + sizeof *offsets * num || offsets[i] > TABLE_SIZE_MAX - sizeof(uint32_t) ||
            offsets[i] % sizeof(uint32_t) != 0) {
            return false;
        }
    }
    return true;
}

/* Where a vring is, in main's view: where the table says, or cut out of the carveout. 0: no room. */
static uint32_t vring_allocate(volatile struct fw_rsc_vdev_vring *vring, uint32_t align, struct heap *heap,
                               uint32_t index)
{
    uint32_t pa;

    if (vring->da != 0 && vring->da != FW_RSC_ADDR_ANY) {
        return main_address(vring->da);
    }
    if (FAULT_PAST_CARVEOUT && index == 1) {
        pa = heap->end - 64;
    } else {
        pa = heap_allocate(heap, vring_size(vring->num, align), align);
    }
    if (pa != 0) {
        vring->da = remote_address(pa);
    }
    return pa;
}

static bool vring_start(struct rptun_device *device, uint32_t index, struct vq_driver *queue, struct heap *heap)
{
    volatile struct fw_rsc_vdev_vring *vring = &device->vdev->vring[index];
    uint32_t align = FAULT_USED_ALIGN ? 64 : vring->align;
    uint32_t pa;

    if (!vring_num_is_usable(vring->num)) {
        LOG("vdev %u vring %u: %u entries: not a power of two up to %u", (unsigned)device->index, (unsigned)index,
            (unsigned)vring->num, (unsigned)VQ_NUM_MAX);
        return false;
    }
    if (align == 0) { /* would place the used ring at address 0 */
        LOG("vdev %u vring %u: align 0", (unsigned)device->index, (unsigned)index);
        return false;
    }
    pa = vring_allocate(vring, align, heap, index);
    if (pa == 0) {
        LOG("vdev %u vring %u: no room in its carveout", (unsigned)device->index, (unsigned)index);
        return false;
    }
    vring->pa = pa;
    vq_driver_init(queue, (void *)pa, vring->num, align);
    LOG(MESSAGE_VRING, (unsigned)device->index, (unsigned)index, (unsigned)pa, (unsigned)vring->da,
        (unsigned)vring->num, (unsigned)vring->align);
    return true;
}

static void *transmit_buffer_allocate(struct heap *heap, uint32_t size)
{
#if FAULT_DTCM_DESC
    static uint8_t pool[CONFIG_VRING_NUM * CONFIG_BUFFER_SIZE] PRIVATE_MEMORY;
    static uint32_t used;

    (void)heap;
    used += size;
    return used <= sizeof pool ? &pool[used - size] : NULL;
#else
    return (void *)heap_allocate(heap, size, BLOCK_ALIGN);
#endif
}

/* One buffer for each descriptor: those to receive are offered at once, those to transmit are kept at hand. */
static bool buffers_allocate(struct rptun_device *device, struct heap *heap)
{
    for (uint32_t i = 0; i < device->receive.ring.num; i++) {
        void *buffer = (void *)heap_allocate(heap, device->receive_size, BLOCK_ALIGN);

        if (buffer == NULL) {
            return false;
        }
        vq_driver_add(&device->receive, buffer, buffer_address(buffer), device->receive_size, VRING_DESC_F_WRITE);
    }
    for (device->idle_count = 0; device->idle_count < device->transmit.ring.num; device->idle_count++) {
        void *buffer = transmit_buffer_allocate(heap, device->transmit_size);

        if (buffer == NULL) {
            return false;
        }
        device->idle[device->idle_count] = buffer;
    }
    return true;
}

static bool device_send(struct rpmsg_link *link, uint32_t source, uint32_t destination, const void *payload,
                        uint16_t length)
{
    struct rptun_device *device = (struct rptun_device *)link;
    void *buffer;
    uint32_t size;

    if (!device->is_up || length > device->transmit_size - sizeof(struct rpmsg_header)) {
        return false;
    }
    while ((buffer = vq_driver_reclaim(&device->transmit, &size)) != NULL) {
        device->idle[device->idle_count++] = buffer;
    }
    if (device->idle_count == 0) {
        return false;
    }
    buffer = device->idle[--device->idle_count];
    size = rpmsg_write(buffer, source, destination, payload, length);
    vq_driver_add(&device->transmit, buffer, buffer_address(buffer), size, 0);
    device->sent++;
    if (vq_driver_must_notify(&device->transmit)) {
        mailbox_signal();
    }
    return true;
}

/* The virtio driver's start (virtio 1.3, 3.1.1), without FEATURES_OK, which RPMsg's legacy devices do not know. */
static bool device_start(struct rptun_device *device, volatile struct fw_rsc_carveout *carveout)
{
    volatile struct rpmsg_vdev *vdev = device->vdev;
    struct heap heap = {.next = main_address(carveout->da), .end = main_address(carveout->da) + carveout->len};

    vdev->vdev.status = 0;
    vdev->vdev.status = VIRTIO_ACKNOWLEDGE;
    vdev->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER;
    vdev->vdev.gfeatures = vdev->vdev.dfeatures & SUPPORTED_FEATURES;
    device->transmit_size = CONFIG_BUFFER_SIZE;
    device->receive_size = CONFIG_BUFFER_SIZE;
    if ((vdev->vdev.gfeatures & VIRTIO_RPMSG_F_BUFSZ) != 0) {
        device->transmit_size = vdev->config.h2r_buf_size;
        device->receive_size = vdev->config.r2h_buf_size;
    }

    if (!vring_start(device, 0, &device->receive, &heap) || !vring_start(device, 1, &device->transmit, &heap)) {
        return false;
    }
    if (!buffers_allocate(device, &heap)) {
        LOG("vdev %u: no room for buffers in its carveout", (unsigned)device->index);
        return false;
    }
    vq_driver_suppress_interrupts(&device->transmit); /* used transmit buffers are collected at the next send */

    device->link.send = device_send;
    device->link.endpoints = NULL;
    device->sent = 0;
    device->received = 0;
    device_started(device);
    device->is_up = true;
    if (!FAULT_NO_DRIVER_OK) {
        dmb(); /* rings and buffers before the status that announces them */
        vdev->vdev.status = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_DRIVER_OK;
    }
    LOG(MESSAGE_DRIVER_OK, (unsigned)device->index, (unsigned)vdev->vdev.gfeatures,
        (unsigned)(device->receive.ring.num + device->transmit.ring.num), (unsigned)device->receive_size);
    return true;
}

#if CONFIG_OUTSIDE
/* A vdev that the remote drives and that is worked outside the chip: it has places for its vrings from us, no more. */
static void vrings_place(struct rptun_device *device, volatile struct fw_rsc_carveout *carveout)
{
    volatile struct rpmsg_vdev *vdev = device->vdev;
    struct heap heap = {.next = main_address(carveout->da), .end = main_address(carveout->da) + carveout->len};

    for (uint32_t i = 0; i < vdev->vdev.num_of_vrings; i++) {
        volatile struct fw_rsc_vdev_vring *vring = &vdev->vring[i];
        uint32_t pa = vring_allocate(vring, vring->align, &heap, i);

        if (pa == 0) {
            LOG("vdev %u vring %u: no room in its carveout", (unsigned)device->index, (unsigned)i);
            return;
        }
        vring->pa = pa;
        LOG(MESSAGE_VRING, (unsigned)device->index, (unsigned)i, (unsigned)pa, (unsigned)vring->da,
            (unsigned)vring->num, (unsigned)vring->align);
    }
}
#endif

static void table_start(void)
{
    LOG(MESSAGE_TABLE, (unsigned)TABLE, (unsigned)TABLE->ver, (unsigned)TABLE->num);
    for (device_count = 0; device_count < RPTUN_DEVICES_MAX; device_count++) {
        struct rptun_device *device = &devices[device_count];
        volatile struct fw_rsc_carveout *carveout = table_entry(RSC_CARVEOUT, device_count, sizeof *carveout);

        device->vdev = table_entry(RSC_VDEV, device_count, sizeof *device->vdev);
        device->index = device_count;
        device->is_up = false;
        if (device->vdev == NULL || carveout == NULL) {
            break; /* a vdev and a carveout make a device, paired by index (RPTUN) */
        }
#if CONFIG_OUTSIDE
        if (device->vdev->vdev.reserved[0] == RPTUN_READER_IS_DEVICE) {
            vrings_place(device, carveout);
            break;
        }
#endif
        if (device->vdev->vdev.id != VIRTIO_ID_RPMSG || device->vdev->vdev.num_of_vrings != 2) {
            LOG("vdev %u: not an RPMsg device", (unsigned)device_count);
        } else if (!device_start(device, carveout)) {
            device->vdev->vdev.status |= VIRTIO_FAILED;
        }
    }
    if (device_count > 0) {
        mailbox_signal();
    } else {
        LOG("no vdev with a carveout in the table");
    }
}

static void device_poll(struct rptun_device *device)
{
    bool offered = false;
    uint32_t size;
    void *buffer;

    while (device->is_up && (buffer = vq_driver_reclaim(&device->receive, &size)) != NULL) {
        device->received++;
        rpmsg_deliver(&device->link, buffer, size < device->receive_size ? size : device->receive_size);
        vq_driver_add(&device->receive, buffer, buffer_address(buffer), device->receive_size,
                      VRING_DESC_F_WRITE);
        offered = true;
    }
    if (offered && vq_driver_must_notify(&device->receive)) {
        mailbox_signal();
    }
}

void rptun_init(rptun_device_started *started)
{
    device_started = started;
}

void rptun_poll(void)
{
    /* Reached only after a signal, never by looking first: what memory held before the remote's start-up may be the
     * table of an earlier run, valid to the last byte. READY a second time: the remote was started again. */
    if (!table_is_valid()) {
        LOG("no valid resource table at 0x%08x: version 0x%08x, %u entries", (unsigned)TABLE, (unsigned)TABLE->ver,
            (unsigned)TABLE->num);
        return;
    }
    if (TABLE->reserved[1] == RPTUN_READY) {
        dmb(); /* the word before the table that it vouches for */
        TABLE->reserved[1] = RPTUN_ACK;
        table_start();
    }
    for (uint32_t i = 0; i < device_count; i++) {
        device_poll(&devices[i]);
    }
}

bool rptun_stop(void)
{
    bool stopped;

    if (device_count == 0) {
        return false;
    }
    TABLE->reserved[0] = RPTUN_STOP;
    mailbox_signal();
    alarm_arm(STOP_TIMEOUT_MS);
    while (TABLE->reserved[0] != RPTUN_ACK && !alarm_has_expired()) {
        board_sleep();
    }
    alarm_disarm();
    stopped = TABLE->reserved[0] == RPTUN_ACK;
    for (uint32_t i = 0; i < device_count; i++) {
        devices[i].is_up = false;
        devices[i].vdev->vdev.status = 0;
    }
    device_count = 0;
    return stopped;
}

uint32_t rptun_device_count(void)
{
    return device_count;
}

struct rptun_device *rptun_device(uint32_t index)
{
    return &devices[index];
}
