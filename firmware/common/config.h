/* What a variant chooses, with the demo pair's choice as the default. Safe to include from assembly. */
#ifndef CONFIG_H
#define CONFIG_H

#include "faults.h"

/* The `other` pair differs from the demo in everything that a tool must not take for granted. */
#ifndef CONFIG_OTHER
#define CONFIG_OTHER 0
#endif

#if CONFIG_OTHER
#define CONFIG_ECHO_NAMES {"loopback-a", "loopback-b"}
#define CONFIG_TABLE_SYMBOL board_resources
#define CONFIG_FIRST_ADDRESS 2048u
#define CONFIG_VRING_NUM 16
#define CONFIG_VRING_ALIGN 64
#define CONFIG_MAIN_TO_REMOTE 12
#define CONFIG_REMOTE_TO_MAIN 9
#else
#define CONFIG_ECHO_NAMES {"rptwin-echo", "rptwin-echo-b"} /* of vdev 0, of vdev 1 */
#define CONFIG_TABLE_SYMBOL resource_table
#define CONFIG_FIRST_ADDRESS 1024u /* of dynamic RPMsg addresses */
#define CONFIG_VRING_NUM 8
#define CONFIG_VRING_ALIGN 16
#define CONFIG_MAIN_TO_REMOTE 0 /* mailbox channels */
#define CONFIG_REMOTE_TO_MAIN 1
#endif

#ifndef CONFIG_CACHED
#define CONFIG_CACHED 0 /* 1: shared memory stays in main's data cache, which cleans and invalidates it */
#endif
#if CONFIG_CACHED
#define CACHE_LINE 32u /* bytes */
#undef CONFIG_VRING_ALIGN
#define CONFIG_VRING_ALIGN (FAULT_SHARED_LINE ? 4u : CACHE_LINE)
#endif

#ifndef CONFIG_VDEVS
#define CONFIG_VDEVS 1 /* 1 or 2 */
#endif
#ifndef CONFIG_STATIC_VRINGS
#define CONFIG_STATIC_VRINGS 0 /* 1: the table says where the vrings are; 0: main cuts them out of the carveout */
#endif
#ifndef CONFIG_PRINTS
#define CONFIG_PRINTS 1
#endif

#ifndef CONFIG_OUTSIDE
#define CONFIG_OUTSIDE 0 /* 1, 2: vdev 1 is a network card or a disk that the remote drives, its device outside the chip */
#endif

#define CONFIG_BUFFER_SIZE 512 /* bytes, RPMsg header included */
#define CONFIG_PINGS 10        /* main sends them by itself once an echo endpoint is known */

#endif
