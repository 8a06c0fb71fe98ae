#include "virtqueue.h"

#include "cortex_m.h"
#include "mem.h"

_Static_assert(sizeof(struct vring_desc) == 16 && sizeof(struct vring_used_elem) == 8, "virtio 1.3, 2.7");

#define NO_DESCRIPTOR 0xFFFFu

size_t vring_used_offset(uint32_t num, uint32_t align)
{
    /* flags, idx, ring and used_event follow the descriptors. */
    size_t end = sizeof(struct vring_desc) * num + sizeof(uint16_t) * (3 + num);

    return (end + align - 1) & ~((size_t)align - 1);
}

size_t vring_size(uint32_t num, uint32_t align)
{
    return vring_used_offset(num, align) + sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * num;
}

bool vring_num_is_usable(uint32_t num)
{
    return num != 0 && num <= VQ_NUM_MAX && (num & (num - 1)) == 0;
}

static void vring_place(struct vring *ring, void *memory, uint32_t num, uint32_t align)
{
    uint8_t *start = memory;

    ring->num = num;
    ring->desc = memory;
    ring->avail = (void *)(start + sizeof(struct vring_desc) * num);
    ring->used = (void *)(start + vring_used_offset(num, align));
}

void vq_driver_init(struct vq_driver *queue, void *memory, uint32_t num, uint32_t align)
{
    memset(memory, 0, vring_size(num, align));
    vring_place(&queue->ring, memory, num, align);
    queue->last_used = 0;
    queue->free_head = 0;
    queue->free_count = (uint16_t)num;
    for (uint16_t i = 0; i < num; i++) {
        queue->next_free[i] = (uint16_t)(i + 1);
        queue->buffer[i] = NULL;
    }
    queue->next_free[num - 1] = NO_DESCRIPTOR;
}

void vq_driver_suppress_interrupts(struct vq_driver *queue)
{
    queue->ring.avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
}

bool vq_driver_add(struct vq_driver *queue, void *buffer, uint64_t addr, uint32_t len, uint16_t flags)
{
    uint16_t id = queue->free_head;
    uint16_t idx = queue->ring.avail->idx;

    if (queue->free_count == 0) {
        return false;
    }
    queue->free_head = queue->next_free[id];
    queue->free_count--;
    queue->buffer[id] = buffer;

    queue->ring.desc[id].addr = addr;
    queue->ring.desc[id].len = len;
    queue->ring.desc[id].flags = flags;
    queue->ring.desc[id].next = 0;
    queue->ring.avail->ring[idx % queue->ring.num] = id;
    dmb(); /* descriptor and entry before the index that publishes them (virtio 1.3, 2.7.13.3.1) */
    queue->ring.avail->idx = (uint16_t)(idx + 1);
    return true;
}

void *vq_driver_reclaim(struct vq_driver *queue, uint32_t *len)
{
    while (queue->last_used != queue->ring.used->idx) {
        dmb(); /* index before the element that it covers */
        volatile struct vring_used_elem *element = &queue->ring.used->ring[queue->last_used % queue->ring.num];
        uint32_t id = element->id;

        *len = element->len;
        queue->last_used++;
        if (id < queue->ring.num && queue->buffer[id] != NULL) {
            void *buffer = queue->buffer[id];

            queue->buffer[id] = NULL;
            queue->next_free[id] = queue->free_head;
            queue->free_head = (uint16_t)id;
            queue->free_count++;
            return buffer;
        }
        /* An id that is not with the device: the other side is broken; do not make it worse. */
    }
    return NULL;
}

bool vq_driver_must_notify(const struct vq_driver *queue)
{
    dmb(); /* the new index before the flags (virtio 1.3, 2.7.13.4.1) */
    return (queue->ring.used->flags & VRING_USED_F_NO_NOTIFY) == 0;
}

void vq_device_init(struct vq_device *queue, void *memory, uint32_t num, uint32_t align)
{
    vring_place(&queue->ring, memory, num, align);
    queue->next_avail = 0;
    queue->next_used = 0;
}

bool vq_device_peek(const struct vq_device *queue, struct vq_buffer *buffer)
{
    if (queue->next_avail == queue->ring.avail->idx) {
        return false;
    }
    dmb(); /* index before the entry and the descriptor that it covers */
    buffer->id = queue->ring.avail->ring[queue->next_avail % queue->ring.num];
    volatile struct vring_desc *desc = &queue->ring.desc[buffer->id % queue->ring.num];
    buffer->addr = (uint32_t)desc->addr;
    buffer->len = desc->len;
    buffer->flags = desc->flags;
    return true;
}

void vq_device_take(struct vq_device *queue)
{
    queue->next_avail++;
}

void vq_device_return(struct vq_device *queue, uint16_t id, uint32_t len)
{
    volatile struct vring_used_elem *element = &queue->ring.used->ring[queue->next_used % queue->ring.num];

    element->id = id;
    element->len = len;
    dmb(); /* buffer and element before the index that publishes them (virtio 1.3, 2.7.8.2) */
    queue->ring.used->idx = ++queue->next_used;
}

void vq_device_want_notifications(struct vq_device *queue, bool wanted)
{
    queue->ring.used->flags = wanted ? 0 : VRING_USED_F_NO_NOTIFY;
    dmb(); /* the flags before the next look at the index */
}

bool vq_device_must_interrupt(const struct vq_device *queue)
{
    dmb(); /* the new index before the flags */
    return (queue->ring.avail->flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
}
