/* Nothing to clock: console, mailbox, and from main the second core. */
#include "board.h"

#include "internal.h"
#include "release.h"

void board_init(void)
{
    console_init();
    mailbox_init();
    if (!CORE_IS_REMOTE) {
        remote_release();
    }
}
