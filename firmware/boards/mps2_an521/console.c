/* 115200 8N1 on UART0 (main) or UART1 (remote) (Cortex-M System Design Kit, DDI0479D 4.3). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define UART (CORE_IS_REMOTE ? 0x50201000u : 0x50200000u)
#define UART_DATA (UART + 0x00u)
#define UART_STATE (UART + 0x04u)
#define UART_STATE_TX_FULL (1u << 0)
#define UART_STATE_RX_FULL (1u << 1)
#define UART_CTRL (UART + 0x08u)
#define UART_CTRL_TX_ENABLE (1u << 0)
#define UART_CTRL_RX_ENABLE (1u << 1)
#define UART_CTRL_RX_INTERRUPT (1u << 3)
#define UART_INTCLEAR (UART + 0x0Cu)
#define UART_INT_RX (1u << 1)
#define UART_BAUDDIV (UART + 0x10u)

#define BAUD 115200u

#define RECEIVED_SIZE 64u /* a power of two */
static volatile uint8_t received[RECEIVED_SIZE];
static volatile uint32_t received_in, received_out; /* free-running */

void console_init(void)
{
    *reg(UART_BAUDDIV) = (CORE_HZ + BAUD / 2) / BAUD;
    *reg(UART_CTRL) = UART_CTRL_TX_ENABLE | UART_CTRL_RX_ENABLE | UART_CTRL_RX_INTERRUPT;
    interrupt_enable(CONSOLE_IRQ);
}

void console_write(const char *text, size_t length)
{
    if ((*reg(UART_CTRL) & UART_CTRL_TX_ENABLE) == 0) {
        return; /* a fault before console_init() */
    }
    for (size_t i = 0; i < length; i++) {
        while ((*reg(UART_STATE) & UART_STATE_TX_FULL) != 0) {
        }
        *reg(UART_DATA) = (uint8_t)text[i];
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
    *reg(UART_INTCLEAR) = UART_INT_RX; /* first: a byte that comes meanwhile interrupts again */
    while ((*reg(UART_STATE) & UART_STATE_RX_FULL) != 0) {
        uint8_t byte = (uint8_t)*reg(UART_DATA);

        if (received_in - received_out < RECEIVED_SIZE) { /* full: the newest is dropped, as a terminal expects */
            received[received_in % RECEIVED_SIZE] = byte;
            received_in++;
        }
    }
    board_woken = true;
}
