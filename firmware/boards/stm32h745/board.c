/* Clocks, sleep and the alarm. */
#include "board.h"

#include "cortex_m.h"
#include "internal.h"

/* RM0399, RCC: in this bank each core sees the enable bits of its own. */
#define RCC_AHB2ENR 0x580244DCu
#define RCC_AHB2ENR_SRAM3EN (1u << 31)
#define RCC_AHB4ENR 0x580244E0u
#define RCC_AHB4ENR_GPIODEN (1u << 3)
#define RCC_AHB4ENR_HSEMEN (1u << 25)

#define SYST_CSR 0xE000E010u
#define SYST_CSR_ENABLE_FROM_CORE 7u /* counter, exception, processor clock */
#define SYST_RVR 0xE000E014u
#define SYST_CVR 0xE000E018u
#define NVIC_ISER 0xE000E100u

volatile bool board_woken;
static volatile uint32_t alarm_left; /* milliseconds */

void interrupt_enable(unsigned line)
{
    *reg(NVIC_ISER + 4 * (line / 32)) = 1u << (line % 32);
}

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

void board_sleep(void)
{
    /* Masked, so that an interrupt between the look and WFI is not slept over: WFI wakes for it all the same. */
    interrupts_mask();
    if (!board_woken) {
        dsb();
        wait_for_interrupt();
    }
    board_woken = false;
    interrupts_unmask();
    isb();
}

void alarm_arm(uint32_t milliseconds)
{
    alarm_left = milliseconds;
    *reg(SYST_RVR) = CORE_HZ / 1000 - 1;
    *reg(SYST_CVR) = 0;
    *reg(SYST_CSR) = SYST_CSR_ENABLE_FROM_CORE;
}

bool alarm_has_expired(void)
{
    return alarm_left == 0;
}

void alarm_disarm(void)
{
    *reg(SYST_CSR) = 0;
}

void alarm_tick(void)
{
    if (alarm_left > 0 && --alarm_left == 0) {
        alarm_disarm();
        board_woken = true;
    }
}
