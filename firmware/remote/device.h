/* The device side of the table's vdevs: an echo endpoint on each. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>

/* Tells main that the table is in place. */
void devices_publish(void);

/* Call after every signal of main. */
void devices_poll(void);

/* State and counts of a vdev. */
struct device_status {
    uint8_t status;
    bool is_up;
    uint32_t echoed;
};
struct device_status device_status(uint32_t index);

#endif
