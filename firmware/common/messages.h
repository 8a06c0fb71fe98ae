/* What both cores say during bring-up: in one place, because the `no-rings` variant says the same and lies. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "core.h"

#define MESSAGE_HELLO "rptwin main: " CORE_NAME " is up, waiting for the remote"
#define MESSAGE_TABLE "resource table at 0x%08x: version %u, %u entries"
#define MESSAGE_VRING "vdev %u vring %u at 0x%08x (remote 0x%08x), %u entries, align %u"
#define MESSAGE_DRIVER_OK "vdev %u is at DRIVER_OK, features 0x%x, %u buffers of %u bytes"
#define MESSAGE_NAMED "vdev %u: %s is at address %u"
#define MESSAGE_PINGS "vdev %u: %u pings: %u good, %u bad, %u lost"
#define MESSAGE_REMOTE_UP "vdev %u: driver ok, vrings at 0x%08x and 0x%08x"

#endif
