/* Sleep, the alarm and the interrupts: the same on every Cortex-M (DDI0403E B3.3, B3.4). */
#include "cortex_m.h"

#include "board.h"
#include "internal.h"

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
