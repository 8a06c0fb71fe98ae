/* Clocks. */
#include "board.h"

#include "cortex_m.h"
#include "internal.h"
#if defined(CORE_CM7)
#include "cache.h"
#endif

/* RM0399, RCC: in this bank each core sees the enable bits of its own. */
#define RCC_AHB2ENR 0x580244DCu
#define RCC_AHB2ENR_SRAM3EN (1u << 31)
#define RCC_AHB4ENR 0x580244E0u
#define RCC_AHB4ENR_GPIODEN (1u << 3)
#define RCC_AHB4ENR_HSEMEN (1u << 25)

void board_init(void)
{
    reg_set(RCC_AHB4ENR, RCC_AHB4ENR_HSEMEN | RCC_AHB4ENR_GPIODEN);
#if defined(CORE_CM7)
    reg_set(RCC_AHB2ENR, RCC_AHB2ENR_SRAM3EN); /* a D2 memory: always on for the Cortex-M4, on request for the M7 */
    caches_enable();
#endif
    (void)*reg(RCC_AHB2ENR); /* a clock is on two cycles after its bit: read back (RM0399, RCC) */
    dsb();
    console_init();
    mailbox_init();
}
