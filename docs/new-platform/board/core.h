/* The two cores of the LPC55S69 (UM11126). Safe to include from assembly. */
#ifndef CORE_H
#define CORE_H

#include "config.h"
#include "faults.h"

#define CORE_NAME "Cortex-M33"
#define CORE_HZ 12000000
#define BOARD_HAS_RESET 0
#define INTERRUPTS 60
#define MAILBOX_IRQ 31

#if defined(CORE_CPU0)
#define CORE_IS_REMOTE 0
#define CORE_HAS_FPU 1
#define CONSOLE_IRQ 14 /* FLEXCOMM0 */
#define INCOMING CONFIG_REMOTE_TO_MAIN
#else
#define CORE_IS_REMOTE 1
#define CORE_HAS_FPU 0
#define CONSOLE_IRQ 15 /* FLEXCOMM1 */
#define INCOMING CONFIG_MAIN_TO_REMOTE
#endif

#endif
