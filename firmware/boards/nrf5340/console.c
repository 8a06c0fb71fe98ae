/* 115200 8N1 on UARTE0 of each core, both on the board's virtual COM ports (PS, UARTE). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"
#include "mem.h"

#define UARTE (PERIPHERALS + (CORE_IS_REMOTE ? 0x13000u : 0x8000u))
#define UARTE_TASKS_STARTRX (UARTE + 0x000u)
#define UARTE_TASKS_STARTTX (UARTE + 0x008u)
#define UARTE_EVENTS_ENDRX (UARTE + 0x110u)
#define UARTE_EVENTS_ENDTX (UARTE + 0x120u)
#define UARTE_INTENSET (UARTE + 0x304u)
#define UARTE_INTEN_ENDRX (1u << 4)
#define UARTE_ENABLE (UARTE + 0x500u)
#define UARTE_ENABLE_ENABLED 8u
#define UARTE_PSEL_TXD (UARTE + 0x50Cu)
#define UARTE_PSEL_RXD (UARTE + 0x514u)
#define UARTE_BAUDRATE (UARTE + 0x524u)
#define UARTE_BAUDRATE_115200 0x01D60000u
#define UARTE_RXD_PTR (UARTE + 0x534u)
#define UARTE_RXD_MAXCNT (UARTE + 0x538u)
#define UARTE_TXD_PTR (UARTE + 0x544u)
#define UARTE_TXD_MAXCNT (UARTE + 0x548u)

#if defined(CORE_APP)
#define GPIO_PORT 0x50842500u /* P0 */
#define TX_PIN 20u
#define RX_PIN 22u
#define PSEL(pin) (pin)
#else
#define GPIO_PORT 0x418C0800u /* P1 */
#define TX_PIN 1u
#define RX_PIN 0u
#define PSEL(pin) (1u << 5 | (pin))
#endif
#define GPIO_OUTSET (GPIO_PORT + 0x008u)
#define GPIO_DIRSET (GPIO_PORT + 0x018u)

/* EasyDMA reaches RAM only (PS, EasyDMA). */
static struct {
    uint8_t transmit[32];
    volatile uint8_t receive;
} dma __attribute__((section(".bss.dma")));

#define RECEIVED_SIZE 64u /* a power of two */
static volatile uint8_t received[RECEIVED_SIZE];
static volatile uint32_t received_in, received_out; /* free-running */

void console_init(void)
{
    *reg(GPIO_OUTSET) = 1u << TX_PIN; /* an idle line is high */
    *reg(GPIO_DIRSET) = 1u << TX_PIN;
    *reg(UARTE_PSEL_TXD) = PSEL(TX_PIN);
    *reg(UARTE_PSEL_RXD) = PSEL(RX_PIN);
    *reg(UARTE_BAUDRATE) = UARTE_BAUDRATE_115200;
    *reg(UARTE_ENABLE) = UARTE_ENABLE_ENABLED;
    *reg(UARTE_TXD_PTR) = (uint32_t)dma.transmit;
    *reg(UARTE_RXD_PTR) = (uint32_t)&dma.receive;
    *reg(UARTE_RXD_MAXCNT) = 1; /* an end, and its interrupt, for each byte: the FIFO keeps what comes meanwhile */
    *reg(UARTE_INTENSET) = UARTE_INTEN_ENDRX;
    interrupt_enable(CONSOLE_IRQ);
    *reg(UARTE_TASKS_STARTRX) = 1;
}

void console_write(const char *text, size_t length)
{
    if (*reg(UARTE_ENABLE) == 0) {
        return; /* a fault before console_init() */
    }
    while (length > 0) {
        size_t count = length < sizeof dma.transmit ? length : sizeof dma.transmit;

        memcpy(dma.transmit, text, count);
        *reg(UARTE_TXD_MAXCNT) = count;
        *reg(UARTE_EVENTS_ENDTX) = 0;
        dsb();
        *reg(UARTE_TASKS_STARTTX) = 1;
        while (*reg(UARTE_EVENTS_ENDTX) == 0) {
        }
        text += count;
        length -= count;
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
    uint8_t byte = dma.receive;

    *reg(UARTE_EVENTS_ENDRX) = 0;
    *reg(UARTE_TASKS_STARTRX) = 1;
    if (received_in - received_out < RECEIVED_SIZE) { /* full: the newest is dropped, as a terminal expects */
        received[received_in % RECEIVED_SIZE] = byte;
        received_in++;
    }
    board_woken = true;
}
