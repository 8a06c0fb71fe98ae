#include "rpmsg.h"

#include "mem.h"

_Static_assert(sizeof(struct rpmsg_header) == 16 && sizeof(struct rpmsg_name_service) == 40, "on the wire");

uint32_t rpmsg_write(void *buffer, uint32_t source, uint32_t destination, const void *payload, uint16_t length)
{
    struct rpmsg_header *header = buffer;

    header->src = source;
    header->dst = destination;
    header->reserved = 0;
    header->len = length;
    header->flags = 0;
    memcpy(header + 1, payload, length);
    return (uint32_t)sizeof *header + length;
}

void rpmsg_add_endpoint(struct rpmsg_link *link, struct rpmsg_endpoint *endpoint)
{
    endpoint->link = link;
    endpoint->next = link->endpoints;
    link->endpoints = endpoint;
}

bool rpmsg_deliver(struct rpmsg_link *link, const void *buffer, uint32_t size)
{
    const struct rpmsg_header *header = buffer;

    if (size < sizeof *header || header->len > size - sizeof *header) {
        return true;
    }
    for (struct rpmsg_endpoint *each = link->endpoints; each != NULL; each = each->next) {
        if (each->address == header->dst) {
            return each->receive(each, header->src, (const uint8_t *)(header + 1), header->len);
        }
    }
    return true;
}

bool rpmsg_announce(const struct rpmsg_endpoint *endpoint, const char *name)
{
    struct rpmsg_name_service message = {.address = endpoint->address, .flags = RPMSG_NS_CREATE};
    size_t length = string_length(name);

    memcpy(message.name, name, length < RPMSG_NAME_SIZE ? length : RPMSG_NAME_SIZE);
    return endpoint->link->send(endpoint->link, endpoint->address, RPMSG_NS_ADDRESS, &message, sizeof message);
}

bool rpmsg_names(const struct rpmsg_name_service *message, const char *name)
{
    size_t length = string_length(name);

    return length <= RPMSG_NAME_SIZE && memcmp(message->name, name, length) == 0 &&
           (length == RPMSG_NAME_SIZE || message->name[length] == '\0');
}
