/* 115200 8N1 on FLEXCOMM0 (main) or FLEXCOMM1 (remote) (UM11126, USART). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define USART (CORE_IS_REMOTE ? 0x40087000u : 0x40086000u)
#define USART_CFG (USART + 0x000u)
#define USART_CFG_8_BITS_ON (1u << 2 | 1u)
#define USART_BRG (USART + 0x020u)
#define USART_OSR (USART + 0x028u)
#define USART_FIFOCFG (USART + 0xE00u)
#define USART_FIFOSTAT (USART + 0xE04u)
#define USART_TX_NOT_FULL (1u << 5)
#define USART_RX_NOT_EMPTY (1u << 6)
#define USART_FIFOTRIG (USART + 0xE08u)
#define USART_FIFOINTENSET (USART + 0xE10u)
#define USART_RX_LEVEL (1u << 3)
#define USART_FIFOWR (USART + 0xE20u)
#define USART_FIFORD (USART + 0xE30u)
#define FLEXCOMM_PSELID (USART + 0xFF8u)

#define RECEIVED_SIZE 64u /* a power of two */
static volatile uint8_t received[RECEIVED_SIZE];
static volatile uint32_t received_in, received_out; /* free-running */

void console_init(void)
{
    *reg(FLEXCOMM_PSELID) = 1; /* USART */
    *reg(USART_OSR) = 13 - 1;  /* 12 MHz / 13 / 8 = 115385 */
    *reg(USART_BRG) = 8 - 1;
    *reg(USART_FIFOCFG) = 3;
    *reg(USART_FIFOTRIG) = 2; /* one byte interrupts */
    *reg(USART_FIFOINTENSET) = USART_RX_LEVEL;
    *reg(USART_CFG) = USART_CFG_8_BITS_ON;
    interrupt_enable(CONSOLE_IRQ);
}

void console_write(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        while ((*reg(USART_FIFOSTAT) & USART_TX_NOT_FULL) == 0) {
        }
        *reg(USART_FIFOWR) = (uint8_t)text[i];
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
    while ((*reg(USART_FIFOSTAT) & USART_RX_NOT_EMPTY) != 0) {
        uint8_t byte = (uint8_t)*reg(USART_FIFORD);

        if (received_in - received_out < RECEIVED_SIZE) { /* full: the newest is dropped, as a terminal expects */
            received[received_in % RECEIVED_SIZE] = byte;
            received_in++;
        }
    }
    board_woken = true;
}
