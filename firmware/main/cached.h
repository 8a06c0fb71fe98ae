/* What main does about its data cache where it holds memory that is shared: the `cached` pairs. Who includes this calls
 * what is below in the place of what it is named after.
 */
#ifndef CACHED_H
#define CACHED_H

#include "board.h"
#include "virtqueue.h"

size_t cached_vring_size(uint32_t num, uint32_t align);
void cached_driver_init(struct vq_driver *queue, void *memory, uint32_t num, uint32_t align);
bool cached_driver_add(struct vq_driver *queue, void *buffer, uint64_t addr, uint32_t len, uint16_t flags);
void *cached_driver_reclaim(struct vq_driver *queue, uint32_t *len);
bool cached_driver_must_notify(const struct vq_driver *queue);
void cached_mailbox_signal(void);
bool cached_mailbox_take(void);
void cached_board_sleep(void);

#if !defined(CACHED_ITSELF)
#define vring_size cached_vring_size
#define vq_driver_init cached_driver_init
#define vq_driver_add cached_driver_add
#define vq_driver_reclaim cached_driver_reclaim
#define vq_driver_must_notify cached_driver_must_notify
#define mailbox_signal cached_mailbox_signal
#define mailbox_take cached_mailbox_take
#define board_sleep cached_board_sleep
#endif

#endif
