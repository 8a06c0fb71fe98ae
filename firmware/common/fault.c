/* The end of the road for every exception that is not expected: say which and where, then stop. */
#include "cortex_m.h"
#include "faults.h"
#include "text.h"

#define SCB_ICSR 0xE000ED04u
#define SCB_CFSR 0xE000ED28u
#define SCB_HFSR 0xE000ED2Cu
#define SCB_MMFAR 0xE000ED34u
#define SCB_BFAR 0xE000ED38u

#define NOTHING_ANSWERS 0x70000000u

/* What an exception pushes (DDI0403E B1.5.6). */
struct exception_frame {
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr;
};

_Noreturn void fault_report(const struct exception_frame *frame);

static _Noreturn void fault_stop(void)
{
    interrupts_mask();
    for (;;) {
        wait_for_interrupt();
    }
}

_Noreturn void fault_report(const struct exception_frame *frame)
{
    if (FAULT_LOCKUP) {
        (void)*reg(NOTHING_ANSWERS);
    }
    PRINT("\nexception %u at pc %08x, lr %08x\n", (unsigned)(*reg(SCB_ICSR) & 0x1FF), (unsigned)frame->pc,
          (unsigned)frame->lr);
    PRINT("cfsr %08x hfsr %08x mmfar %08x bfar %08x\n", (unsigned)*reg(SCB_CFSR), (unsigned)*reg(SCB_HFSR),
          (unsigned)*reg(SCB_MMFAR), (unsigned)*reg(SCB_BFAR));
    fault_stop();
}
