/* The IPC as doorbells (PS, IPC): task, channel and event of one number belong together on both cores. */
#include "board.h"
#include "cortex_m.h"
#include "internal.h"

#define CHANNELS 16u

#if defined(CORE_APP)
#define IPC 0x5002A000u
#define MUTEX 0x50030000u
#define INCOMING CONFIG_REMOTE_TO_MAIN
#define OUTGOING (FAULT_WRONG_CHANNEL ? CONFIG_MAIN_TO_REMOTE + 5 : CONFIG_MAIN_TO_REMOTE)
#else
#define IPC 0x41012000u
#define MUTEX 0x40030000u
#define INCOMING CONFIG_MAIN_TO_REMOTE
#define OUTGOING CONFIG_REMOTE_TO_MAIN
#endif
#define IPC_TASKS_SEND(n) (IPC + 4u * (n))
#define IPC_EVENTS_RECEIVE(n) (IPC + 0x100u + 4u * (n))
#define IPC_INTENSET (IPC + 0x304u)
#define IPC_SEND_CNF(n) (IPC + 0x510u + 4u * (n))
#define IPC_RECEIVE_CNF(n) (IPC + 0x590u + 4u * (n))
#define MUTEX_TAKE(n) (MUTEX + 0x400u + 4u * (n)) /* reads 0 for whoever gets it; writing 0 gives it back (PS, MUTEX) */

static volatile bool signalled;

void mailbox_init(void)
{
    if (FAULT_STUCK_LOCK) {
        (void)*reg(MUTEX_TAKE(OUTGOING));
    }
    for (unsigned n = 0; n < CHANNELS; n++) {
        *reg(IPC_SEND_CNF(n)) = 1u << n;
        *reg(IPC_RECEIVE_CNF(n)) = 1u << n;
    }
    *reg(IPC_INTENSET) = 1u << INCOMING;
    interrupt_enable(MAILBOX_IRQ);
}

/* Rung under a lock of the chip, as on a board whose doorbells have one: the `stuck-lock` pair is about that. */
void mailbox_signal(void)
{
    dsb(); /* what the signal is about is in memory before it */
    while (*reg(MUTEX_TAKE(OUTGOING)) != 0) {
    }
    *reg(IPC_TASKS_SEND(OUTGOING)) = 1;
    *reg(MUTEX_TAKE(OUTGOING)) = 0;
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
    *reg(IPC_EVENTS_RECEIVE(INCOMING)) = 0;
    (void)*reg(IPC_EVENTS_RECEIVE(INCOMING)); /* the line is low before the return, or the handler runs twice */
    signalled = true;
    board_woken = true;
}
