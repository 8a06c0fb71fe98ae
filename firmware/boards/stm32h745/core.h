/* The two cores of the STM32H745 (RM0399). Safe to include from assembly. */
#ifndef CORE_H
#define CORE_H

#include "config.h"
#include "faults.h"

#define USART2_IRQ 38 /* RM0399, NVIC, the same on both NVICs */
#define USART3_IRQ 39
#define INTERRUPTS 150

#if defined(CORE_CM7)
#define CONSOLE_IRQ USART3_IRQ
#define MAILBOX_IRQ 125 /* HSEM1 */
#else
#define CONSOLE_IRQ USART2_IRQ
#define MAILBOX_IRQ 126 /* HSEM2 */
#endif

#endif
