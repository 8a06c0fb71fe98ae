/* CPU1 waits after reset until main has said where it boots (UM11126, SYSCON). */
#include "release.h"

#include "cortex_m.h"

#define SYSCON_CPUCTRL 0x40000800u
#define CPUCTRL_KEY (0xC0C4u << 16)
#define CPUCTRL_CPU1CLKEN (1u << 3)
#define CPUCTRL_CPU1RSTEN (1u << 5)
#define SYSCON_CPBOOT 0x40000804u

/* Where the remote's image has its vectors: the linker script knows. */
extern const uint32_t __remote_vectors[];

void remote_release(void)
{
    *reg(SYSCON_CPBOOT) = (uint32_t)__remote_vectors;
    dsb();
    *reg(SYSCON_CPUCTRL) = CPUCTRL_KEY | CPUCTRL_CPU1CLKEN | CPUCTRL_CPU1RSTEN;
    *reg(SYSCON_CPUCTRL) = CPUCTRL_KEY | CPUCTRL_CPU1CLKEN;
}
