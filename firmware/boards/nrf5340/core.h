/* The two cores of the nRF5340 (Product Specification: PS). Safe to include from assembly. */
#ifndef CORE_H
#define CORE_H

#include "config.h"
#include "faults.h"

#define CORE_NAME "Cortex-M33"
#define CORE_HZ 64000000 /* of both after reset (PS, CLOCK) */
#define BOARD_HAS_RESET 0

/* PS, Memory, Instantiation */
#if defined(CORE_APP)
#define CORE_IS_REMOTE 0
#define CORE_HAS_FPU 1
#define INTERRUPTS 69
#define CONSOLE_IRQ 8  /* SERIAL0 */
#define MAILBOX_IRQ 42 /* IPC */
#define PERIPHERALS 0x50000000
#else
#define CORE_IS_REMOTE 1
#define CORE_HAS_FPU 0
#define INTERRUPTS 30
#define CONSOLE_IRQ 19
#define MAILBOX_IRQ 18
#define PERIPHERALS 0x41000000
#endif

#endif
