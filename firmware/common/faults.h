/* One macro for each line that a faulty variant breaks: 0 is the healthy firmware. Safe to include from assembly. */
#ifndef FAULTS_H
#define FAULTS_H

/* In the remote's table. */
#ifndef FAULT_ALIGN3
#define FAULT_ALIGN3 0 /* vring 1 asks for an alignment of 3 */
#endif
#ifndef FAULT_NUM6
#define FAULT_NUM6 0 /* vring 1 has 6 entries */
#endif
#ifndef FAULT_DUPLICATE_NOTIFYID
#define FAULT_DUPLICATE_NOTIFYID 0 /* both vrings carry the same notify id */
#endif

/* In the remote's code. */
#ifndef FAULT_NO_COPY
#define FAULT_NO_COPY 0 /* start-up leaves the table in flash */
#endif
#ifndef FAULT_LEAK
#define FAULT_LEAK 0 /* received buffers are never returned */
#endif
#ifndef FAULT_STUCK_LOCK
#define FAULT_STUCK_LOCK 0 /* the lock of the outgoing channel is taken and never freed */
#endif
#ifndef FAULT_DEAD
#define FAULT_DEAD 0 /* the core loops at its reset handler */
#endif

/* In main's code. */
#ifndef FAULT_PAST_CARVEOUT
#define FAULT_PAST_CARVEOUT 0 /* vring 1 is cut 64 bytes before the end of its carveout */
#endif
#ifndef FAULT_USED_ALIGN
#define FAULT_USED_ALIGN 0 /* used rings are placed by an alignment of 64 and not by the table's */
#endif
#ifndef FAULT_WRONG_CHANNEL
#define FAULT_WRONG_CHANNEL 0 /* main rings a channel to which the remote does not listen */
#endif
#ifndef FAULT_NO_DRIVER_OK
#define FAULT_NO_DRIVER_OK 0 /* the status stays at ACKNOWLEDGE | DRIVER */
#endif
#ifndef FAULT_BAD_DESC
#define FAULT_BAD_DESC 0 /* descriptors hold main's addresses, untranslated */
#endif
#ifndef FAULT_DTCM_DESC
#define FAULT_DTCM_DESC 0 /* transmit buffers are in memory of main's own, which the remote cannot reach */
#endif

/* In main's care for its data cache. */
#ifndef FAULT_NO_CLEAN
#define FAULT_NO_CLEAN 0 /* what main writes stays in its cache */
#endif
#ifndef FAULT_NO_INVALIDATE
#define FAULT_NO_INVALIDATE 0 /* main reads what its cache holds */
#endif
#ifndef FAULT_EARLY_INVALIDATE
#define FAULT_EARLY_INVALIDATE 0 /* receive buffers are invalidated when they are offered, and not when they come back */
#endif
#ifndef FAULT_NEIGHBOUR
#define FAULT_NEIGHBOUR 0 /* a counter of main lies in a line of a receive buffer, which is invalidated */
#endif
#ifndef FAULT_STALE_CODE
#define FAULT_STALE_CODE 0 /* code is loaded where other code has run, and the instruction cache is not invalidated */
#endif
#ifndef FAULT_SHARED_LINE
#define FAULT_SHARED_LINE 0 /* the available and the used ring have a line in common */
#endif

/* In either core's. */
#ifndef FAULT_NO_RINGS
#define FAULT_NO_RINGS 0 /* says everything that a good run says, and does nothing of it */
#endif
#ifndef FAULT_CRASH
#define FAULT_CRASH 0 /* main() begins with a load from an address that nothing answers */
#endif
#ifndef FAULT_LOCKUP
#define FAULT_LOCKUP 0 /* every fault handler faults again */
#endif
#ifndef FAULT_BAD_STACK
#define FAULT_BAD_STACK 0 /* the vector table's initial stack pointer is in no memory */
#endif
#ifndef FAULT_EVEN_RESET
#define FAULT_EVEN_RESET 0 /* the reset vector lacks the Thumb bit */
#endif

#endif
