/* Cortex-M7 caches and the one region that must not be cached (DDI0403E B2.2, B3.5; DDI0489 for the M7). */
#include "cache.h"

#include "config.h"
#include "cortex_m.h"
#include "memory_map.h"

#define SCB_CCR 0xE000ED14u
#define SCB_CCR_IC (1u << 17)
#define SCB_CCR_DC (1u << 16)
#define SCB_CCSIDR 0xE000ED80u
#define SCB_CSSELR 0xE000ED84u
#define SCB_ICIALLU 0xE000EF50u
#define SCB_DCIMVAC 0xE000EF5Cu
#define SCB_DCISW 0xE000EF60u
#define SCB_DCCMVAC 0xE000EF68u

#define MPU_CTRL 0xE000ED94u
#define MPU_CTRL_ENABLE_WITH_DEFAULT_MAP 5u
#define MPU_RNR 0xE000ED98u
#define MPU_RBAR 0xE000ED9Cu
#define MPU_RASR 0xE000EDA0u
#define MPU_RASR_XN (1u << 28)
#define MPU_RASR_FULL_ACCESS (3u << 24)
#define MPU_RASR_NORMAL_NON_CACHEABLE (1u << 19) /* TEX 1, C 0, B 0 */
#define MPU_RASR_SHAREABLE (1u << 18)
#define MPU_RASR_ENABLE 1u

static void shared_memory_uncache(void)
{
    dmb();
    *reg(MPU_RNR) = 0;
    *reg(MPU_RBAR) = SHARED_MAIN;
    *reg(MPU_RASR) = MPU_RASR_XN | MPU_RASR_FULL_ACCESS | MPU_RASR_NORMAL_NON_CACHEABLE | MPU_RASR_SHAREABLE |
                     (SHARED_SIZE_LOG2 - 1) << 1 | MPU_RASR_ENABLE;
    *reg(MPU_CTRL) = MPU_CTRL_ENABLE_WITH_DEFAULT_MAP;
    dsb();
    isb();
}

/* Cache RAM holds anything after power-on: every line is made invalid before the cache is turned on. */
static void data_cache_invalidate(void)
{
    uint32_t geometry;
    uint32_t sets, ways, way_shift;

    *reg(SCB_CSSELR) = 0;
    dsb();
    geometry = *reg(SCB_CCSIDR);
    sets = ((geometry >> 13) & 0x7FFF) + 1;
    ways = ((geometry >> 3) & 0x3FF) + 1;
    way_shift = ways > 1 ? (uint32_t)__builtin_clz(ways - 1) : 0;
    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            *reg(SCB_DCISW) = way << way_shift | set << ((geometry & 7) + 4);
        }
    }
    dsb();
}

#if CONFIG_CACHED
static void each_line(uint32_t reg_address, const volatile void *start, size_t size)
{
    uintptr_t line = (uintptr_t)start & ~(uintptr_t)(CACHE_LINE - 1);

    dsb();
    for (; line < (uintptr_t)start + size; line += CACHE_LINE) {
        *reg(reg_address) = line;
    }
    dsb();
    isb();
}

void cache_clean(const volatile void *start, size_t size)
{
    each_line(SCB_DCCMVAC, start, size);
}

void cache_invalidate(const volatile void *start, size_t size)
{
    each_line(SCB_DCIMVAC, start, size);
}
#endif

void caches_enable(void)
{
    if (!CONFIG_CACHED) {
        shared_memory_uncache();
    }

    *reg(SCB_ICIALLU) = 0;
    dsb();
    isb();
    data_cache_invalidate();
    reg_set(SCB_CCR, SCB_CCR_IC | SCB_CCR_DC);
    dsb();
    isb();
}
