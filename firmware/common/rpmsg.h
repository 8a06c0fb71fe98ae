/* RPMsg: message header, name service and endpoints, the same on both sides (Linux rpmsg; OpenAMP). */
#ifndef RPMSG_H
#define RPMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define RPMSG_NAME_SIZE 32
#define RPMSG_NS_ADDRESS 53u
#define RPMSG_ADDRESS_ANY 0xFFFFFFFFu
#define RPMSG_PAYLOAD_MAX (CONFIG_BUFFER_SIZE - sizeof(struct rpmsg_header))

enum { RPMSG_NS_CREATE = 0, RPMSG_NS_DESTROY = 1 };

struct rpmsg_header {
    uint32_t src;
    uint32_t dst;
    uint32_t reserved;
    uint16_t len; /* of the payload, which follows */
    uint16_t flags;
};

struct rpmsg_name_service {
    char name[RPMSG_NAME_SIZE]; /* not terminated when it is full */
    uint32_t address;
    uint32_t flags;
};

struct rpmsg_link;

struct rpmsg_endpoint {
    struct rpmsg_link *link;
    uint32_t address;
    uint32_t peer; /* ANY until it is known */
    /* False: not now; the message stays in the queue and is given again. */
    bool (*receive)(struct rpmsg_endpoint *endpoint, uint32_t source, const uint8_t *payload, uint16_t length);
    struct rpmsg_endpoint *next;
};

/* One vdev, seen from one side. */
struct rpmsg_link {
    /* False: no buffer is free. */
    bool (*send)(struct rpmsg_link *link, uint32_t source, uint32_t destination, const void *payload, uint16_t length);
    struct rpmsg_endpoint *endpoints;
};

/* Fills a buffer; gives the bytes used. `length` is RPMSG_PAYLOAD_MAX at most. */
uint32_t rpmsg_write(void *buffer, uint32_t source, uint32_t destination, const void *payload, uint16_t length);

void rpmsg_add_endpoint(struct rpmsg_link *link, struct rpmsg_endpoint *endpoint);

/* Gives the message in a buffer of `size` bytes to its endpoint; what nobody waits for is dropped. */
bool rpmsg_deliver(struct rpmsg_link *link, const void *buffer, uint32_t size);

/* Announces an endpoint under a name. */
bool rpmsg_announce(const struct rpmsg_endpoint *endpoint, const char *name);

/* Whether a received name-service message is about this name. */
bool rpmsg_names(const struct rpmsg_name_service *message, const char *name);

#endif
