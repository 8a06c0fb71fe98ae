#define CACHED_ITSELF
#include "cached.h"

#include "cache.h"
#include "faults.h"
#include "memory_map.h"

#define QUEUES_MAX 4u
#define TABLE ((const volatile void *)(SHARED_MAIN + TABLE_OFFSET))
#define TABLE_SIZE (TRACE_OFFSET - TABLE_OFFSET)

static const struct vq_driver *queues[QUEUES_MAX];
static uint32_t queue_count;

static void clean(const volatile void *start, size_t size)
{
    if (!FAULT_NO_CLEAN) {
        cache_clean(start, size);
    }
}

static void invalidate(const volatile void *start, size_t size)
{
    if (!FAULT_NO_INVALIDATE) {
        cache_invalidate(start, size);
    }
}

/* Descriptors and available ring: what main writes. */
static void ring_clean(const struct vq_driver *queue)
{
    const volatile uint8_t *start = (const volatile uint8_t *)queue->ring.desc;

    clean(start, (size_t)((const volatile uint8_t *)&queue->ring.avail->ring[queue->ring.num + 1] - start));
}

/* What the remote writes. */
static void used_invalidate(const struct vq_driver *queue)
{
    invalidate(queue->ring.used, sizeof *queue->ring.used + queue->ring.num * sizeof(struct vring_used_elem));
}

/* Up to the end of its last line: what comes next has lines of its own. */
size_t cached_vring_size(uint32_t num, uint32_t align)
{
    size_t size = vring_size(num, align);

    return FAULT_NEIGHBOUR ? size : (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

#if FAULT_STALE_CODE
/* Loads `movs r0, #result; bx lr` into AXI SRAM, and calls it. */
static uint32_t overlay(uint32_t result)
{
    volatile uint32_t *code = (volatile uint32_t *)0x24000000u;

    *code = 0x47702000u | result;
    cache_clean(code, sizeof *code);
    return ((uint32_t(*)(void))((uintptr_t)code | 1u))();
}
#endif

void cached_driver_init(struct vq_driver *queue, void *memory, uint32_t num, uint32_t align)
{
#if FAULT_STALE_CODE
    overlay(queue_count);
#endif
    vq_driver_init(queue, memory, num, align);
    clean(memory, vring_size(num, align));
    for (uint32_t i = 0; i < queue_count; i++) {
        if (queues[i] == queue) {
            return;
        }
    }
    if (queue_count < QUEUES_MAX) {
        queues[queue_count++] = queue;
    }
}

bool cached_driver_add(struct vq_driver *queue, void *buffer, uint64_t addr, uint32_t len, uint16_t flags)
{
    if ((flags & VRING_DESC_F_WRITE) == 0) {
        clean(buffer, len);
    } else if (FAULT_EARLY_INVALIDATE) {
        invalidate(buffer, len);
    }
    return vq_driver_add(queue, buffer, addr, len, flags);
}

#if FAULT_NEIGHBOUR
/* Counts messages in the gap before the first receive buffer. */
static void count(void *buffer)
{
    static volatile uint32_t *received;

    if (received == NULL) {
        received = (volatile uint32_t *)buffer - 1;
        *received = 0;
    }
    (*received)++;
}
#endif

void *cached_driver_reclaim(struct vq_driver *queue, uint32_t *len)
{
    void *buffer;

    used_invalidate(queue);
    buffer = vq_driver_reclaim(queue, len);
    if (buffer != NULL && *len != 0) {
#if FAULT_NEIGHBOUR
        count(buffer);
#endif
        if (!FAULT_EARLY_INVALIDATE) {
            invalidate(buffer, *len < CONFIG_BUFFER_SIZE ? *len : CONFIG_BUFFER_SIZE);
        }
    }
    return buffer;
}

bool cached_driver_must_notify(const struct vq_driver *queue)
{
    ring_clean(queue);
    used_invalidate(queue);
    return vq_driver_must_notify(queue);
}

void cached_mailbox_signal(void)
{
    for (uint32_t i = 0; i < queue_count; i++) {
        ring_clean(queues[i]);
    }
    clean(TABLE, TABLE_SIZE);
    mailbox_signal();
}

bool cached_mailbox_take(void)
{
    bool taken = mailbox_take();

    if (taken) {
        invalidate(TABLE, TABLE_SIZE);
    }
    return taken;
}

void cached_board_sleep(void)
{
    clean(TABLE, TABLE_SIZE);
    board_sleep();
    invalidate(TABLE, TABLE_SIZE);
}
