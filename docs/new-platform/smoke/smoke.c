/* Smoke test of a platform, for both cores (the Makefile defines REMOTE for the second): the remote rings, main brings
 * the vdev up and rings back, the remote answers, and each says what it has heard. No RAM but the stack and the table. */
#include <stdint.h>

/* --- the chip: the numbers of lpc55s69.repl; those of the memories are in main.ld and remote.ld -------------------- */
#ifdef REMOTE
#define NAME "remote: "
#define UART 0x40087000u /* FLEXCOMM1 */
#define MINE 0x4008B000u /* mailbox: IRQ0 interrupts CPU1 */
#define OTHER 0x4008B010u
#else
#define NAME "main: "
#define UART 0x40086000u /* FLEXCOMM0 */
#define MINE 0x4008B010u /* mailbox: IRQ1 interrupts CPU0 */
#define OTHER 0x4008B000u
#endif
#define MAILBOX_IRQ 31
#define SYSCON 0x40000000u

static volatile uint32_t *reg(uintptr_t address) { return (volatile uint32_t *)address; }

/* Clocks, the other core's release: whatever the chip wants before the rest. */
static void board_init(void)
{
    *reg(SYSCON + 0x220) = 1u << 26;  /* AHBCLKCTRLSET0: mailbox */
    *reg(SYSCON + 0x224) = 3u << 11;  /* AHBCLKCTRLSET1: FLEXCOMM0 and 1 */
    *reg(UART + 0xFF8) = 1;           /* PSELID: USART */
    *reg(UART + 0xE00) = 3;           /* FIFOCFG: both FIFOs on */
    *reg(UART + 0x000) = 1u << 2 | 1; /* CFG: 8 bits, on */
#ifndef REMOTE
    *reg(SYSCON + 0x804) = 0x00040000u;          /* CPBOOT */
    *reg(SYSCON + 0x800) = 0xC0C4u << 16 | 0x28; /* CPUCTRL: CPU1 clocked, in reset */
    *reg(SYSCON + 0x800) = 0xC0C4u << 16 | 0x08; /* let go */
#endif
}

static void print(const char *text)
{
    while (*text != 0) {
        while ((*reg(UART + 0xE04) & 1u << 5) == 0) { /* FIFOSTAT: TXNOTFULL */
        }
        *reg(UART + 0xE20) = (uint8_t)*text++; /* FIFOWR */
    }
}

static void mailbox_clear(void) { *reg(MINE + 0x8) = 1; }
static void mailbox_ring(void) { *reg(OTHER + 0x4) = 1; }

/* --- any Cortex-M ---------------------------------------------------------------------------------------------------- */

/* A resource table with one RPMsg vdev, its two vrings after it (OpenAMP, remoteproc's rsc_table.h). */
struct table {
    uint32_t version, entries, reserved[2], offset;
    uint32_t type, id, notify_id, device_features, driver_features, config_length;
    volatile uint8_t status;
    uint8_t vrings, padding[2];
    struct {
        uint32_t da, align, num, notify_id, pa;
    } vring[2];
};

extern struct table __shared;

#ifdef REMOTE
#define VRING(n) {(uint32_t)&__shared + 0x1000 * ((n) + 1), 16, 4, (n), 0}
__attribute__((section(".resource_table"), used)) struct table table = {
    .version = 1, .entries = 1, .offset = 20, .type = 3, .id = 7, .notify_id = 2, .vrings = 2, .vring = {VRING(0), VRING(1)},
};
#endif

void reset(void)
{
    board_init();
    print(NAME "boots\n");
    *reg(0xE000E100) = 1u << MAILBOX_IRQ; /* NVIC_ISER0 */
#ifdef REMOTE
    mailbox_ring();
#endif
    for (;;) {
        __asm__ volatile("wfi");
    }
}

static void mailbox(void)
{
    mailbox_clear();
#ifdef REMOTE
    print(NAME "main rang\n");
    mailbox_ring();
#else
    if (__shared.status == 0) {
        print(NAME "the remote rang\n");
        __shared.status = 7;                  /* ACKNOWLEDGE, DRIVER, DRIVER_OK */
        __asm__ volatile("dsb" ::: "memory"); /* the remote sees it before it is rung */
        mailbox_ring();
    } else {
        print(NAME "the mailbox rings both ways\n");
    }
#endif
}

static void fault(void)
{
    for (;;) {
    }
}

extern uint32_t __stack_top;
__attribute__((section(".vectors"), used)) void *const vectors[16 + MAILBOX_IRQ + 1] = {
    [0] = &__stack_top, [1] = reset, [2] = fault, [3] = fault, [16 + MAILBOX_IRQ] = mailbox,
};
