/* Doorbells among a core's own exceptions (DDI0553B B3.11, B3.13). */
#include "harness.h"

static void pendsv(void) { mark('p'); }
static void systick(void) { mark('t'); }
static void nmi(void) { mark('n'); }
static void svc(void) { __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory"); }

static volatile uint32_t heard;
static void bell_heard(void)
{
    heard++;
    bell_a();
}

static void prepare(uint32_t bell_priority)
{
    heard = 0;
    bells();
    on(IRQ(BELL(0)), bell_heard);
    on(PENDSV, pendsv);
    on(SYSTICK, systick);
    on(NMI, nmi);
    priority(IRQ(BELL(0)), bell_priority);
}

/* In a handler: rung, and heard before it goes on. */
static void is_interrupted(void)
{
    mark('(');
    begin(rings_0);
    while (!heard)
        YIELD();
    end();
    mark(')');
}
/* In a handler: rung, and not heard. */
static void is_not_interrupted(void)
{
    mark('(');
    other(rings_0);
    show("pending", ISPR >> BELL(0) & 1);
    mark(')');
}

BOTH(rung_in_pendsv_above_it)
{
    prepare(0x40);
    on(PENDSV, is_interrupted);
    priority(PENDSV, 0xC0);
    pend(PENDSV);
    show_trace();
}

BOTH(rung_in_pendsv_equal_to_it)
{
    prepare(0xC0);
    on(PENDSV, is_not_interrupted);
    priority(PENDSV, 0xC0);
    pend(PENDSV);
    show_trace();
}

BOTH(rung_in_svc_above_it)
{
    prepare(0x20);
    on(SVCALL, is_interrupted);
    priority(SVCALL, 0x80);
    svc();
    show_trace();
}

BOTH(rung_in_svc_below_it)
{
    prepare(0xA0);
    on(SVCALL, is_not_interrupted);
    priority(SVCALL, 0x80);
    svc();
    mark('.');
    show_trace();
}

BOTH(rung_in_systick_above_it)
{
    prepare(0x20);
    on(SYSTICK, is_interrupted);
    priority(SYSTICK, 0x80);
    pend(SYSTICK);
    show_trace();
}

BOTH(rung_in_systick_below_it)
{
    prepare(0xA0);
    on(SYSTICK, is_not_interrupted);
    priority(SYSTICK, 0x80);
    pend(SYSTICK);
    show_trace();
}

BOTH(rung_in_nmi)
{
    prepare(0);
    on(NMI, is_not_interrupted);
    pend(NMI);
    show_trace();
}

static void all_at_once(uint32_t bell, uint32_t tick, uint32_t pendsv_)
{
    prepare(bell);
    priority(SYSTICK, tick);
    priority(PENDSV, pendsv_);
    MASK();
    ICSR = PENDSVSET;
    ICSR = PENDSTSET;
    other(rings_0);
    UNMASK();
    show_trace();
}
BOTH(rung_with_systick_and_pendsv_all_equal) { all_at_once(0x80, 0x80, 0x80); }
BOTH(rung_with_systick_and_pendsv_above_both) { all_at_once(0x40, 0x80, 0x80); }
BOTH(rung_with_systick_and_pendsv_between_them) { all_at_once(0x80, 0x40, 0xC0); }
BOTH(rung_with_systick_and_pendsv_below_both) { all_at_once(0xC0, 0x80, 0x40); }

static void pends_pendsv(void)
{
    mark('(');
    hush(0, 1);
    ICSR = PENDSVSET;
    DSB();
    mark(')');
}
BOTH(rung_then_pendsv_does_the_rest)
{
    prepare(0x40);
    on(IRQ(BELL(0)), pends_pendsv);
    priority(PENDSV, 0xFF);
    other(rings_0);
    show_trace();
}
BOTH(rung_then_pendsv_above_it_at_once)
{
    prepare(0x80);
    on(IRQ(BELL(0)), pends_pendsv);
    priority(PENDSV, 0x40);
    other(rings_0);
    show_trace();
}
BOTH(rung_twice_then_one_pendsv)
{
    prepare(0x40);
    on(IRQ(BELL(0)), pends_pendsv);
    priority(PENDSV, 0xFF);
    MASK();
    other(rings_both);
    UNMASK();
    show_trace();
}

static void calls_svc(void)
{
    mark('(');
    hush(0, 1);
    svc();
    mark(')');
}
static void svc_handler(void) { mark('s'); }
BOTH(rung_and_the_handler_calls_svc)
{
    prepare(0x80);
    on(IRQ(BELL(0)), calls_svc);
    on(SVCALL, svc_handler);
    priority(SVCALL, 0x40);
    other(rings_0);
    show_trace();
}

BOTH(rung_in_a_group_of_equals)
{
    prepare(0x40);
    AIRCR = VECTKEY | 6 << 8;
    priority(PENDSV, 0x60);
    on(PENDSV, is_not_interrupted);
    pend(PENDSV);
    show_trace();
    AIRCR = VECTKEY;
}

__attribute__((used)) static void is_rung_in_a_fault(void)
{
    mark('f');
    is_interrupted();
    CFSR = CFSR;
}
ASM_HANDLER(behind_the_fault, "ldr r0, [sp, #24]\n adds r0, #2\n str r0, [sp, #24]\n b is_rung_in_a_fault");
BOTH(rung_in_usage_fault_above_it)
{
    prepare(0x40);
    on(USAGE_FAULT, behind_the_fault);
    priority(USAGE_FAULT, 0x80);
    SHCSR |= 1u << 18;
    DSB();
    __asm volatile("udf #1" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show_trace();
}

static volatile uint32_t exc_returns[2], ipsr_inside, icsr_inside;
__attribute__((used)) static void notes_return(uint32_t exc_return, uint32_t which)
{
    exc_returns[which] = exc_return;
    ipsr_inside = READ_SPECIAL(ipsr);
    icsr_inside = ICSR;
    heard++;
    hush(0, 1);
}
ASM_HANDLER(bell_in_handler, "mov r0, lr\n movs r1, #0\n b notes_return");
BOTH(rung_in_a_handler_returns_to_it)
{
    prepare(0x40);
    on(IRQ(BELL(0)), bell_in_handler);
    on(PENDSV, is_interrupted);
    priority(PENDSV, 0xC0);
    pend(PENDSV);
    show_trace();
    show("exc_return", exc_returns[0]);
    show("ipsr", ipsr_inside);
    show("icsr", icsr_inside);
}

/* Three deep, each interrupted by the next. */
static void second_level(void)
{
    mark('[');
    hush(0, 1);
    begin(rings_1);
    while (heard < 2)
        YIELD();
    end();
    mark(']');
}
static void third_level(void)
{
    heard = 2;
    bell_b();
}
static void first_level(void)
{
    mark('(');
    begin(rings_0);
    while (heard < 2)
        YIELD();
    end();
    mark(')');
}
BOTH(rung_in_a_handler_in_a_handler)
{
    prepare(0x80);
    on(IRQ(BELL(0)), second_level);
    on(IRQ(BELL(1)), third_level);
    on(PENDSV, first_level);
    priority(IRQ(BELL(1)), 0x40);
    priority(PENDSV, 0xC0);
    pend(PENDSV);
    show_trace();
}
