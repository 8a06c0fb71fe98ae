/* The RPTUN master: finds the remote's table, gives it rings and buffers, and drives its RPMsg devices. */
#ifndef RPTUN_H
#define RPTUN_H

#include <stdbool.h>
#include <stdint.h>

#include "resource_table.h"
#include "rpmsg.h"
#include "virtqueue.h"

#define RPTUN_DEVICES_MAX 2u

struct rptun_device {
    struct rpmsg_link link; /* first: a link is cast back to its device */
    uint32_t index;
    volatile struct rpmsg_vdev *vdev;
    bool is_up;
    struct vq_driver receive;  /* vring 0: the remote fills what we offer */
    struct vq_driver transmit; /* vring 1 */
    uint32_t transmit_size;    /* bytes of one transmit buffer */
    uint32_t receive_size;
    void *idle[VQ_NUM_MAX]; /* transmit buffers at hand */
    uint32_t idle_count;
    uint32_t sent;
    uint32_t received;
};

/* Called for each device when its rings are up, before DRIVER_OK: the place to add endpoints. */
typedef void rptun_device_started(struct rptun_device *device);

void rptun_init(rptun_device_started *started);

/* Call after every signal of the remote. */
void rptun_poll(void);

/* Asks the remote to stop and takes its devices down; false when it does not answer. */
bool rptun_stop(void);

/* The devices of the table that is in use. */
uint32_t rptun_device_count(void);
struct rptun_device *rptun_device(uint32_t index);

#endif
