/* Sends messages to the remote's echo endpoints and checks what comes back. */
#ifndef PING_H
#define PING_H

#include <stdbool.h>
#include <stdint.h>

#include "rptun.h"

/* Gives a device its name-service and ping endpoints. */
void ping_attach(struct rptun_device *device);

/* Pings every echo endpoint that has been announced since the last call, with messages of various lengths.
 * False when there was none. */
bool ping_new_endpoints(void);

/* Sends `count` messages of `length` bytes to the echo endpoint of each device. */
void ping_all(uint32_t count, uint16_t length);

#endif
