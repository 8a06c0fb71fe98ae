/* Split virtqueues in the contiguous legacy layout, both sides (virtio 1.3, 2.7). One descriptor is one buffer. */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VQ_NUM_MAX 32u

enum {
    VRING_DESC_F_NEXT = 1,
    VRING_DESC_F_WRITE = 2,
    VRING_DESC_F_INDIRECT = 4,
    VRING_AVAIL_F_NO_INTERRUPT = 1,
    VRING_USED_F_NO_NOTIFY = 1,
};

struct vring_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct vring_avail {
    uint16_t flags;
    uint16_t idx;
    uint16_t ring[];
};

struct vring_used_elem {
    uint32_t id;
    uint32_t len;
};

struct vring_used {
    uint16_t flags;
    uint16_t idx;
    struct vring_used_elem ring[];
};

struct vring {
    uint32_t num;
    volatile struct vring_desc *desc;
    volatile struct vring_avail *avail;
    volatile struct vring_used *used;
};

/* Bytes from the start of the vring to its used ring, and in all. `align` is a power of two. */
size_t vring_used_offset(uint32_t num, uint32_t align);
size_t vring_size(uint32_t num, uint32_t align);

/* Whether a queue of `num` entries can be made: a power of two, VQ_NUM_MAX at most. */
bool vring_num_is_usable(uint32_t num);

/* The driver: offers buffers, gets them back when they are used. */
struct vq_driver {
    struct vring ring;
    uint16_t last_used;
    uint16_t free_head;
    uint16_t free_count;
    uint16_t next_free[VQ_NUM_MAX];
    void *buffer[VQ_NUM_MAX]; /* NULL while the descriptor is free */
};

/* Clears the vring and takes it. */
void vq_driver_init(struct vq_driver *queue, void *memory, uint32_t num, uint32_t align);

/* Tells the device that returned buffers need no interrupt. */
void vq_driver_suppress_interrupts(struct vq_driver *queue);

/* Offers a buffer that the device knows as `addr`; false when every descriptor is taken. */
bool vq_driver_add(struct vq_driver *queue, void *buffer, uint64_t addr, uint32_t len, uint16_t flags);

/* The next buffer that the device has used, with the bytes written into it, or NULL. */
void *vq_driver_reclaim(struct vq_driver *queue, uint32_t *len);

/* Whether the device wants to be told of what was added. */
bool vq_driver_must_notify(const struct vq_driver *queue);

/* The device: takes what is offered, in order. */
struct vq_device {
    struct vring ring;
    uint16_t next_avail;
    uint16_t next_used;
};

struct vq_buffer {
    uint16_t id;
    uint32_t addr;
    uint32_t len;
    uint16_t flags;
};

void vq_device_init(struct vq_device *queue, void *memory, uint32_t num, uint32_t align);

/* Looks at the next offered buffer and leaves it in the queue; false when there is none. */
bool vq_device_peek(const struct vq_device *queue, struct vq_buffer *buffer);

/* Takes the buffer that was looked at. */
void vq_device_take(struct vq_device *queue);

/* Returns a taken buffer with `len` bytes written. */
void vq_device_return(struct vq_device *queue, uint16_t id, uint32_t len);

/* Whether the driver is to tell of new buffers. On turning it on, peek again: one may have come before. */
void vq_device_want_notifications(struct vq_device *queue, bool wanted);

/* Whether the driver wants to be told of what was returned. */
bool vq_device_must_interrupt(const struct vq_device *queue);

#endif
