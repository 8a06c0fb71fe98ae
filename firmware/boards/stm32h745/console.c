/* 115200 8N1 on USART3 (Cortex-M7: ST-LINK's virtual COM port, PD8/PD9) or USART2 (Cortex-M4: PD5/PD6). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#if defined(CORE_CM7)
#define USART 0x40004800u
#define RCC_APB1LENR_USART (1u << 18)
#else
#define USART 0x40004400u
#define RCC_APB1LENR_USART (1u << 17)
#endif
#define RCC_APB1LENR 0x580244E8u

#define USART_CR1 (USART + 0x00u)
#define USART_CR1_UE (1u << 0)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_BRR (USART + 0x0Cu)
#define USART_ISR (USART + 0x1Cu)
#define USART_ISR_RXNE (1u << 5)
#define USART_ISR_TXE (1u << 7)
#define USART_ICR (USART + 0x20u)
#define USART_ICR_ORECF (1u << 3)
#define USART_RDR (USART + 0x24u)
#define USART_TDR (USART + 0x28u)

#define GPIOD_MODER 0x58020C00u
#define GPIOD_AFRL 0x58020C20u
#define GPIOD_AFRH 0x58020C24u

#define BAUD 115200u

#define RECEIVED_SIZE 64u /* a power of two */
static volatile uint8_t received[RECEIVED_SIZE];
static volatile uint32_t received_in, received_out; /* free-running */

#if defined(CORE_CM7)
static void field_set(uintptr_t address, uint32_t mask, uint32_t value)
{
    *reg(address) = (*reg(address) & ~mask) | value;
}

/* All four pins are main's business: one register configures them and two cores must not read-modify-write it.
 * What the remote prints earlier is lost on the wire; its trace buffer has it. */
static void pins_configure(void)
{
    field_set(GPIOD_AFRL, 0x0FF00000u, 0x07700000u); /* PD5, PD6: AF7 (datasheet, alternate functions) */
    field_set(GPIOD_AFRH, 0x000000FFu, 0x00000077u); /* PD8, PD9 */
    field_set(GPIOD_MODER, 0x000F3C00u, 0x000A2800u);
}
#endif

void console_init(void)
{
    reg_set(RCC_APB1LENR, RCC_APB1LENR_USART);
    (void)*reg(RCC_APB1LENR);
#if defined(CORE_CM7)
    pins_configure();
#endif
    *reg(USART_BRR) = (CORE_HZ + BAUD / 2) / BAUD;
    *reg(USART_CR1) = USART_CR1_UE | USART_CR1_RE | USART_CR1_TE | USART_CR1_RXNEIE;
    interrupt_enable(CONSOLE_IRQ);
}

void console_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((*reg(USART_ISR) & USART_ISR_TXE) == 0) {
        }
        *reg(USART_TDR) = (uint8_t)text[i];
    }
}

int console_read(void)
{
    uint8_t byte;

    if (received_in == received_out) {
        return -1;
    }
    byte = received[received_out % RECEIVED_SIZE];
    received_out++;
    return byte;
}

void console_interrupt(void)
{
    while ((*reg(USART_ISR) & USART_ISR_RXNE) != 0) {
        uint8_t byte = (uint8_t)*reg(USART_RDR);

        if (received_in - received_out < RECEIVED_SIZE) { /* full: the newest is dropped, as a terminal expects */
            received[received_in % RECEIVED_SIZE] = byte;
            received_in++;
        }
    }
    *reg(USART_ICR) = USART_ICR_ORECF; /* an overrun holds the interrupt until it is cleared */
    board_woken = true;
}
