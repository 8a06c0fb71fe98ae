/* Which exception is taken when (DDI0403E B1.5.4, B3.4). */
#include "harness.h"

static void irq1(void) { mark('1'); }
static void irq2(void) { mark('2'); }

CASE(nvic_pended_interrupt_is_taken)
{
    on(IRQ(1), irq1);
    enable(1);
    pend(IRQ(1));
    show_trace();
}

CASE(nvic_lowest_number_first_among_equals)
{
    on(IRQ(1), irq1);
    on(IRQ(2), irq2);
    ISER = 6;
    WRITE_SPECIAL(primask, 1);
    ISPR = 4;
    ISPR = 2;
    WRITE_SPECIAL(primask, 0);
    show_trace();
}

CASE(fault_load_from_nowhere)
{
    note_faults();
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show_fault_address();
    show_fault();
}
