/* The two cores of the MPS2 AN521 (SSE-200 Technical Overview; AN521). Safe to include from assembly. */
#ifndef CORE_H
#define CORE_H

#include "config.h"
#include "faults.h"

#define CORE_NAME "Cortex-M33"
#define CORE_HZ 20000000
#define BOARD_HAS_RESET 0
#define INTERRUPTS 124

#if defined(CORE_CPU0)
#define CORE_IS_REMOTE 0
#define CORE_HAS_FPU 0
#define CONSOLE_IRQ 32 /* UART0, received */
#define INCOMING CONFIG_REMOTE_TO_MAIN
#else
#define CORE_IS_REMOTE 1
#define CORE_HAS_FPU 1
#define CONSOLE_IRQ 34 /* UART1, received */
#define INCOMING CONFIG_MAIN_TO_REMOTE
#endif

/* Channels 0 to 3 are MHU0's, 4 to 7 MHU1's, and so on; both have one interrupt number on both NVICs. */
#if INCOMING & 4
#define MAILBOX_IRQ 7
#else
#define MAILBOX_IRQ 6
#endif

#endif
