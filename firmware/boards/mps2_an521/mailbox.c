/* The message handling units as doorbells: four bits for each core in each of the two (SSE-200, MHU). */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define MHU(channel) (((channel) & 4u) != 0 ? 0x50004000u : 0x50003000u)
#define MHU_BIT(channel) (1u << ((channel) & 3u))
#define MHU_STAT(channel, core) (MHU(channel) + 0x10u * (core) + 0x0u)
#define MHU_SET(channel, core) (MHU(channel) + 0x10u * (core) + 0x4u)
#define MHU_CLR(channel, core) (MHU(channel) + 0x10u * (core) + 0x8u)

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
    *reg(MHU_SET(OUTGOING, OTHER)) = MHU_BIT(OUTGOING);
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
    *reg(MHU_CLR(INCOMING, SELF)) = MHU_BIT(INCOMING);
    (void)*reg(MHU_STAT(INCOMING, SELF)); /* the line is low before the return, or the handler runs twice */
    signalled = true;
    board_woken = true;
}
