/* A driver for vdev 1, whose device is outside the chip: remote/net.c or remote/block.c, by CONFIG_OUTSIDE. */
#ifndef OUTSIDE_H
#define OUTSIDE_H

#include <stdint.h>

/* Call after every signal of main: begins when the vrings have their places, and goes on when the device answers. */
void outside_poll(void);

/* So many frames or sectors more. */
void outside_again(uint32_t count);

#endif
