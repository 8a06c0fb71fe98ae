/* Clocks of the peripherals, console, mailbox, and from main the second core. A board also needs pins
 * (IOCON) and the clock source of the USARTs (SYSCON.FCCLKSEL), which the model does not ask for. */
#include "board.h"

#include "cortex_m.h"
#include "internal.h"
#include "release.h"

#define SYSCON_AHBCLKCTRLSET0 0x40000220u
#define AHBCLK0_MAILBOX (1u << 26)
#define SYSCON_AHBCLKCTRLSET1 0x40000224u
#define AHBCLK1_FLEXCOMM0_1 (3u << 11)

void board_init(void)
{
    *reg(SYSCON_AHBCLKCTRLSET0) = AHBCLK0_MAILBOX;
    *reg(SYSCON_AHBCLKCTRLSET1) = AHBCLK1_FLEXCOMM0_1;
    console_init();
    mailbox_init();
    if (!CORE_IS_REMOTE) {
        remote_release();
    }
}
