/* CPU 1 waits after reset until main has said where it boots (SSE-200, System control). */
#include "release.h"

#include "config.h"
#include "cortex_m.h"

#define SYSCTL_INITSVTOR1 0x50021114u
#define SYSCTL_CPUWAIT 0x50021118u
#define CPUWAIT_CPU1 (1u << 1)

/* Where the remote's image has its vectors: the linker scripts know. */
extern const uint32_t __remote_vectors[], __remote_vectors_other[];

void remote_release(void)
{
    *reg(SYSCTL_INITSVTOR1) = (uint32_t)(CONFIG_OTHER ? __remote_vectors_other : __remote_vectors);
    dsb();
    *reg(SYSCTL_CPUWAIT) &= ~CPUWAIT_CPU1;
}
