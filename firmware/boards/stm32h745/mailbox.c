/* The hardware semaphores as doorbells: freeing one interrupts whoever enabled its notification (RM0399, HSEM). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define HSEM 0x58026400u
#define HSEM_R(n) (HSEM + 4u * (n))
#define HSEM_RLR(n) (HSEM + 0x80u + 4u * (n))
#define HSEM_LOCK (1u << 31)
#define HSEM_COREID(core) ((core) << 8)

#if defined(CORE_CM7)
#define SELF HSEM_COREID(3u)
#define HSEM_INTERRUPTS (HSEM + 0x100u)
#define INCOMING CONFIG_REMOTE_TO_MAIN
#define OUTGOING (FAULT_WRONG_CHANNEL ? CONFIG_MAIN_TO_REMOTE + 5 : CONFIG_MAIN_TO_REMOTE)
#else
#define SELF HSEM_COREID(1u)
#define HSEM_INTERRUPTS (HSEM + 0x110u)
#define INCOMING CONFIG_MAIN_TO_REMOTE
#define OUTGOING CONFIG_REMOTE_TO_MAIN
#endif
#define HSEM_IER (HSEM_INTERRUPTS + 0x0u)
#define HSEM_ICR (HSEM_INTERRUPTS + 0x4u)
#define HSEM_MISR (HSEM_INTERRUPTS + 0xCu)

static volatile bool signalled;

void mailbox_init(void)
{
    if (FAULT_STUCK_LOCK) {
        *reg(HSEM_R(OUTGOING)) = HSEM_LOCK | SELF | 1u;
    }
    /* The status is not cleared first: a signal that came before us waits there, and this takes it. */
    *reg(HSEM_IER) = 1u << INCOMING;
    interrupt_enable(MAILBOX_IRQ);
}

void mailbox_signal(void)
{
    dsb(); /* what the signal is about is in memory before it */
    while (*reg(HSEM_RLR(OUTGOING)) != (HSEM_LOCK | SELF)) {
    }
    *reg(HSEM_R(OUTGOING)) = SELF;
}

bool mailbox_take(void)
{
    bool taken;

    interrupts_mask();
    taken = signalled;
    signalled = false;
    interrupts_unmask();
    return taken;
}

void mailbox_interrupt(void)
{
    *reg(HSEM_ICR) = *reg(HSEM_MISR);
    dsb(); /* the line is low before the return, or the handler runs twice */
    signalled = true;
    board_woken = true;
}
