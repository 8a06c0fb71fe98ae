/* The inter-CPU mailbox: 32 bits to each core, each a channel (UM11126, Inter-CPU mailbox). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define MAILBOX_IRQ_OF(core) (0x4008B000u + 0x10u * (1u - (core))) /* IRQ0 interrupts CPU1 */
#define MAILBOX_SET(core) (MAILBOX_IRQ_OF(core) + 0x4u)
#define MAILBOX_CLR(core) (MAILBOX_IRQ_OF(core) + 0x8u)

#if defined(CORE_CPU0)
#define SELF 0u
#define OTHER 1u
#define OUTGOING (FAULT_WRONG_CHANNEL ? CONFIG_MAIN_TO_REMOTE + 5u : CONFIG_MAIN_TO_REMOTE)
#else
#define SELF 1u
#define OTHER 0u
#define OUTGOING CONFIG_REMOTE_TO_MAIN
#endif

static volatile bool signalled;

/* A signal that came before us waits in the status register, and this takes it. */
void mailbox_init(void)
{
    interrupt_enable(MAILBOX_IRQ);
}

void mailbox_signal(void)
{
    dsb(); /* what the signal is about is in memory before it */
    *reg(MAILBOX_SET(OTHER)) = 1u << OUTGOING;
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
    *reg(MAILBOX_CLR(SELF)) = 1u << INCOMING;
    (void)*reg(MAILBOX_IRQ_OF(SELF)); /* the line is low before the return, or the handler runs twice */
    signalled = true;
    board_woken = true;
}
