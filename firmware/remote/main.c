/* The remote core: publishes its table, echoes messages, logs to console and trace buffer. */
#include "board.h"
#include "core.h"
#include "cortex_m.h"
#include "device.h"
#include "faults.h"
#include "mem.h"
#include "memory_map.h"
#include "messages.h"
#include "outside.h"
#include "shell.h"
#include "table.h"
#include "text.h"
#include "trace.h"

int main(void);

static void put(char character)
{
    console_write(&character, 1);
    trace_put(character);
}

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_format(put, format, arguments);
    va_end(arguments);
    trace_put('\n');
    console_write("\r\n", 2);
}

static void command(const char *name, char *rest)
{
    if (string_equal(name, "status")) {
        for (uint32_t i = 0; i < CONFIG_VDEVS; i++) {
            struct device_status state = device_status(i);

            PRINT("vdev %u: status 0x%02x, %s, %u echoed\n", (unsigned)i, (unsigned)state.status,
                  state.is_up ? "up" : "waiting for main", (unsigned)state.echoed);
        }
    } else if (CONFIG_OUTSIDE && string_equal(name, "again")) {
        uint32_t count;

        if (shell_number(shell_word(&rest), &count) && count != 0) {
            outside_again(count);
        }
    } else if (string_equal(name, "log")) {
        LOG("%s", rest);
    } else if (string_equal(name, "help")) {
        PRINT("status: state and counts of each vdev\n");
        PRINT("log TEXT: append a line to the trace buffer\n");
    } else {
        PRINT("%s: unknown; help lists the commands\n", name);
    }
}

int main(void)
{
    if (FAULT_CRASH) {
        (void)*reg(0x70000000u);
    }
    board_init();
    trace_init();
    LOG("rptwin remote: " CORE_NAME " is up");
    devices_publish();
    LOG("resource table is published at 0x%08x", (unsigned)&CONFIG_TABLE_SYMBOL);
    shell_init(CONFIG_PRINTS ? "remote> " : "");
    if (FAULT_NO_RINGS) {
        LOG(MESSAGE_REMOTE_UP, 0u, SHARED_REMOTE + CARVEOUT_OFFSET(0), SHARED_REMOTE + CARVEOUT_OFFSET(0) + 0xF0);
    }
    for (;;) {
        if (mailbox_take()) {
            devices_poll();
        }
        shell_poll(command);
        board_sleep();
    }
}
