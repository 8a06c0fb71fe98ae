/* The main core: RPTUN master, pings, and a shell. */
#include "board.h"
#include "cortex_m.h"
#include "faults.h"
#include "mem.h"
#include "memory_map.h"
#include "messages.h"
#include "ping.h"
#include "rptun.h"
#include "shell.h"
#include "text.h"

int main(void);

static void put(char character)
{
    console_write(&character, 1);
}

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_format(put, format, arguments);
    va_end(arguments);
    console_write("\r\n", 2);
}

static void command_ping(char *rest)
{
    uint32_t count, length;

    if (!shell_number(shell_word(&rest), &count) || !shell_number(shell_word(&rest), &length) || count == 0 ||
        length > RPMSG_PAYLOAD_MAX) {
        LOG("usage: ping N LEN, N from 1, LEN from 0 to %u", (unsigned)RPMSG_PAYLOAD_MAX);
        return;
    }
    if (rptun_device_count() == 0) {
        LOG("the remote is not up");
        return;
    }
    ping_all(count, (uint16_t)length);
}

static void command_status(void)
{
    if (rptun_device_count() == 0) {
        LOG("the remote is not up");
    }
    for (uint32_t i = 0; i < rptun_device_count(); i++) {
        const struct rptun_device *device = rptun_device(i);

        LOG("vdev %u: status 0x%02x, %u sent, %u received", (unsigned)i, (unsigned)device->vdev->vdev.status,
            (unsigned)device->sent, (unsigned)device->received);
    }
}

static void command(const char *name, char *rest)
{
    if (string_equal(name, "ping")) {
        command_ping(rest);
    } else if (string_equal(name, "status")) {
        command_status();
    } else if (string_equal(name, "stop")) {
        LOG("%s", rptun_stop() ? "stopped" : "the remote does not answer");
    } else if (string_equal(name, "help")) {
        LOG("ping N LEN: send N messages of LEN bytes and check the echo");
        LOG("status: state and counts of each vdev");
        LOG("stop: take RPTUN down");
    } else {
        LOG("%s: unknown; help lists the commands", name);
    }
}

/* FAULT_NO_RINGS: a healthy run's words, with nothing behind them. */
static void pretend(void)
{
    static const char *const echo_names[] = CONFIG_ECHO_NAMES;

    LOG(MESSAGE_TABLE, (unsigned)(SHARED_MAIN + TABLE_OFFSET), 1u, 3u);
    for (unsigned ring = 0; ring < 2; ring++) {
        unsigned offset = CARVEOUT_OFFSET(0) + 0xF0 * ring;

        LOG(MESSAGE_VRING, 0u, ring, SHARED_MAIN + offset, SHARED_REMOTE + offset, (unsigned)CONFIG_VRING_NUM,
            (unsigned)CONFIG_VRING_ALIGN);
    }
    LOG(MESSAGE_DRIVER_OK, 0u, 5u, 2u * CONFIG_VRING_NUM, (unsigned)CONFIG_BUFFER_SIZE);
    LOG(MESSAGE_NAMED, 0u, echo_names[0], CONFIG_FIRST_ADDRESS);
    LOG(MESSAGE_PINGS, 0u, (unsigned)CONFIG_PINGS, (unsigned)CONFIG_PINGS, 0u, 0u);
}

int main(void)
{
    if (FAULT_CRASH) {
        (void)*reg(0x70000000u);
    }
    board_init();
    LOG(MESSAGE_HELLO);
    rptun_init(ping_attach);
    shell_init(CONFIG_PRINTS ? "main> " : "");
    if (FAULT_NO_RINGS) {
        pretend();
    }
    for (;;) {
        if (mailbox_take() && !FAULT_NO_RINGS) {
            rptun_poll();
            if (ping_new_endpoints()) {
                shell_prompt();
            }
        }
        shell_poll(command);
        board_sleep();
    }
}
