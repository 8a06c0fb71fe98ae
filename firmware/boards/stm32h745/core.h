/* The two cores of the STM32H745 (RM0399). Safe to include from assembly. */
#ifndef CORE_H
#define CORE_H

#include "config.h"
#include "faults.h"

#define USART2_IRQ 38 /* RM0399, NVIC, the same on both NVICs */
#define USART3_IRQ 39
#define INTERRUPTS 150
#define BOARD_HAS_RESET 1
#define CORE_HAS_FPU 1

/* Both cores run on the HSI, the clock after reset (RM0399, RCC): 64 MHz everywhere, no start-up that can fail. */
#define CORE_HZ 64000000

#if defined(CORE_CM7)
#define CORE_NAME "Cortex-M7"
#define CORE_IS_REMOTE 0
#define CONSOLE_IRQ USART3_IRQ
#define MAILBOX_IRQ 125 /* HSEM1 */
#else
#define CORE_NAME "Cortex-M4"
#define CORE_IS_REMOTE 1
#define CONSOLE_IRQ USART2_IRQ
#define MAILBOX_IRQ 126 /* HSEM2 */
#endif

#endif
