/* From the end of the reset handler to main(): FPU, memory, the table. */
#include "core.h"
#include "cortex_m.h"
#include "faults.h"
#include "mem.h"
#include "resource_table.h"

#define SCB_VTOR 0xE000ED08u
#define SCB_SHCSR 0xE000ED24u
#define SCB_SHCSR_FAULTS_ENABLE (7u << 16) /* UsageFault, BusFault, MemManage */
#define SCB_CPACR 0xE000ED88u
#define SCB_CPACR_FPU_FULL (0xFu << 20)

extern const uint32_t vectors[];
extern uint32_t __data_start[], __data_end[], __bss_start[], __bss_end[];
extern const uint32_t __data_load[];

_Noreturn void start(void);
int main(void);

static void copy_words(uint32_t *to, const uint32_t *end, const uint32_t *from)
{
    while (to < end) {
        *to++ = *from++;
    }
}

#if CORE_IS_REMOTE
extern uint32_t __table_start[], __table_end[];
extern const uint32_t __table_load[];

/* The table as linked, all rings unresolved. What an earlier run left is made invalid first: a reader that
 * does not wait for our signal must not take a table of which half is old. */
static void publish_table(void)
{
    struct resource_table_header *header = (void *)__table_start;

    header->ver = 0;
    header->reserved[0] = 0;
    header->reserved[1] = 0;
    dsb();
    if (!FAULT_NO_COPY) {
        copy_words(__table_start + 1, __table_end, __table_load + 1);
        dmb();
        __table_start[0] = __table_load[0]; /* the version makes it valid: last */
    }
    dsb();
}
#endif

_Noreturn void start(void)
{
    *reg(SCB_VTOR) = (uint32_t)vectors;
    if (CORE_HAS_FPU) {
        reg_set(SCB_CPACR, SCB_CPACR_FPU_FULL);
    }
    reg_set(SCB_SHCSR, SCB_SHCSR_FAULTS_ENABLE);
    dsb();
    isb();

    copy_words(__data_start, __data_end, __data_load);
    for (uint32_t *word = __bss_start; word < __bss_end; word++) {
        *word = 0;
    }
#if CORE_IS_REMOTE
    publish_table();
#endif
    main();
    for (;;) {
        wait_for_interrupt();
    }
}
