#include "ping.h"

#include "board.h"
#include "mem.h"
#include "messages.h"
#include "text.h"

#define REPLY_TIMEOUT_MS 100u

struct ping {
    struct rpmsg_endpoint name_service;
    struct rpmsg_endpoint endpoint; /* its peer is the echo endpoint, once announced */
    uint32_t index;
    bool is_new;
    uint32_t number; /* of the message under way: the seed of its payload */
    uint16_t length;
    bool is_waiting;
    bool is_good;
};

struct tally {
    uint32_t sent, good, bad, lost;
};

static struct ping pings[RPTUN_DEVICES_MAX];
static const char *const echo_names[] = CONFIG_ECHO_NAMES;

static uint8_t pattern(uint32_t number, uint32_t offset)
{
    return (uint8_t)(number * 31 + offset);
}

static bool name_service_receive(struct rpmsg_endpoint *endpoint, uint32_t source, const uint8_t *payload,
                                 uint16_t length)
{
    struct rpmsg_name_service message;

    (void)source;
    if (length != sizeof message) {
        return true;
    }
    memcpy(&message, payload, sizeof message);
    for (uint32_t i = 0; i < RPTUN_DEVICES_MAX; i++) {
        struct ping *ping = &pings[i];

        if (endpoint != &ping->name_service || !rpmsg_names(&message, echo_names[i])) {
            continue;
        }
        ping->is_new = message.flags == RPMSG_NS_CREATE;
        ping->endpoint.peer = ping->is_new ? message.address : RPMSG_ADDRESS_ANY;
        LOG(MESSAGE_NAMED, (unsigned)i, echo_names[i], (unsigned)message.address);
    }
    return true;
}

static bool reply_receive(struct rpmsg_endpoint *endpoint, uint32_t source, const uint8_t *payload, uint16_t length)
{
    struct ping *ping = &pings[0];

    while (endpoint != &ping->endpoint) {
        ping++;
    }
    if (!ping->is_waiting || source != endpoint->peer) {
        return true;
    }
    ping->is_waiting = false;
    ping->is_good = length == ping->length;
    for (uint32_t i = 0; ping->is_good && i < length; i++) {
        ping->is_good = payload[i] == pattern(ping->number, i);
    }
    return true;
}

void ping_attach(struct rptun_device *device)
{
    struct ping *ping = &pings[device->index];

    ping->index = device->index;
    ping->is_new = false;
    ping->is_waiting = false;
    ping->name_service = (struct rpmsg_endpoint){.address = RPMSG_NS_ADDRESS, .receive = name_service_receive};
    ping->endpoint = (struct rpmsg_endpoint){
        .address = CONFIG_FIRST_ADDRESS, .peer = RPMSG_ADDRESS_ANY, .receive = reply_receive};
    rpmsg_add_endpoint(&device->link, &ping->name_service);
    rpmsg_add_endpoint(&device->link, &ping->endpoint);
}

/* One message and its answer; false when it could not even be sent. */
static bool exchange(struct ping *ping, uint16_t length, struct tally *tally)
{
    static uint8_t payload[RPMSG_PAYLOAD_MAX];
    struct rpmsg_link *link = ping->endpoint.link;

    ping->number++;
    ping->length = length;
    for (uint32_t i = 0; i < length; i++) {
        payload[i] = pattern(ping->number, i);
    }
    ping->is_waiting = true;
    if (!link->send(link, ping->endpoint.address, ping->endpoint.peer, payload, length)) {
        LOG("vdev %u: no transmit buffer is free", (unsigned)ping->index);
        ping->is_waiting = false;
        return false;
    }
    tally->sent++;
    alarm_arm(REPLY_TIMEOUT_MS);
    while (ping->is_waiting && !alarm_has_expired()) {
        board_sleep();
        if (mailbox_take()) {
            rptun_poll();
        }
    }
    alarm_disarm();
    if (ping->is_waiting) {
        ping->is_waiting = false;
        tally->lost++;
    } else if (ping->is_good) {
        tally->good++;
    } else {
        tally->bad++;
    }
    return true;
}

static void report(const struct ping *ping, const struct tally *tally)
{
    LOG(MESSAGE_PINGS, (unsigned)ping->index, (unsigned)tally->sent, (unsigned)tally->good, (unsigned)tally->bad,
        (unsigned)tally->lost);
}

bool ping_new_endpoints(void)
{
    static const uint16_t lengths[CONFIG_PINGS] = {1, 4, 16, 17, 63, 64, 128, 255, 400, RPMSG_PAYLOAD_MAX};
    bool any = false;

    for (uint32_t i = 0; i < rptun_device_count(); i++) {
        struct tally tally = {0, 0, 0, 0};

        if (!pings[i].is_new) {
            continue;
        }
        pings[i].is_new = false;
        any = true;
        for (uint32_t n = 0; n < CONFIG_PINGS && exchange(&pings[i], lengths[n], &tally); n++) {
        }
        report(&pings[i], &tally);
    }
    return any;
}

void ping_all(uint32_t count, uint16_t length)
{
    for (uint32_t i = 0; i < rptun_device_count(); i++) {
        struct tally tally = {0, 0, 0, 0};

        if (!rptun_device(i)->is_up || pings[i].endpoint.peer == RPMSG_ADDRESS_ANY) {
            LOG("vdev %u: nobody to ping", (unsigned)i);
            continue;
        }
        for (uint32_t n = 0; n < count && exchange(&pings[i], length, &tally); n++) {
        }
        report(&pings[i], &tally);
    }
}
