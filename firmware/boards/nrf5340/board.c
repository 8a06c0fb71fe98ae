/* Clocks, and what only the application core may do: open its RAM to the network core, and let that core go. */
#include "board.h"

#include "cortex_m.h"
#include "internal.h"

/* PS, CLOCK */
#define CLOCK (PERIPHERALS + 0x5000u)
#define CLOCK_TASKS_HFCLKSTART (CLOCK + 0x000u)
#define CLOCK_EVENTS_HFCLKSTARTED (CLOCK + 0x100u)

#if defined(CORE_APP)
#define CACHE_MODE 0x50001514u
#define CACHE_MODE_RAM 1u
#define SPU_EXTDOMAIN0_PERM 0x50003440u
#define SPU_EXTDOMAIN_SECATTR (1u << 4)
#define RESET_NETWORK_FORCEOFF 0x50005614u

/* P1.00 and P1.01 are the network core's console, on this board's second virtual COM port. */
#define P1_PIN_CNF(n) (0x50842800u + 0x200u + 4u * (n))
#define PIN_CNF_MCUSEL_NETWORK (1u << 28)

static void network_core_start(void)
{
    *reg(SPU_EXTDOMAIN0_PERM) = SPU_EXTDOMAIN_SECATTR; /* our RAM is secure: so must be who shares it (PS, SPU) */
    *reg(P1_PIN_CNF(0)) = PIN_CNF_MCUSEL_NETWORK;
    *reg(P1_PIN_CNF(1)) = PIN_CNF_MCUSEL_NETWORK;
    dsb();
    *reg(RESET_NETWORK_FORCEOFF) = 0;
}
#endif

void board_init(void)
{
    *reg(CLOCK_EVENTS_HFCLKSTARTED) = 0;
    *reg(CLOCK_TASKS_HFCLKSTART) = 1; /* the crystal: the internal oscillator is too coarse for a UART */
    while (*reg(CLOCK_EVENTS_HFCLKSTARTED) == 0) {
    }
    console_init();
    mailbox_init();
#if defined(CORE_APP)
    *reg(CACHE_MODE) = CACHE_MODE_RAM; /* nothing is cached: its memory is of more use as RAM */
    network_core_start();
#endif
}
