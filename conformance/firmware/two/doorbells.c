/* Doorbells between the cores: the message handling units (SSE-200 Technical Overview) and what the NVIC makes of them.
 * What is rung is rung by the other core; most of it is done on each of the two. */
#include "harness.h"

static void status(void)
{
    show("own 0", MHU_STATUS(0, this_core()));
    show("own 1", MHU_STATUS(1, this_core()));
    show("other 0", MHU_STATUS(0, 1 - this_core()));
    show("other 1", MHU_STATUS(1, 1 - this_core()));
}

static void pending(void)
{
    show("pending", ISPR >> BELL(0) & 3);
    show("active", IABR >> BELL(0) & 3);
}

BOTH(bell_is_taken)
{
    bells();
    other(rings_0);
    show_trace();
}

BOTH(bell_of_the_second_unit_is_taken)
{
    bells();
    other(rings_1);
    show_trace();
}

BOTH(bell_shows_in_the_status_of_its_core)
{
    other(rings_0);
    status();
    other(rings_1);
    status();
    hush(0, 1);
    status();
    hush(1, 1);
    status();
}

static void rings_each_bit(void)
{
    for (uint32_t bit = 0; bit < 4; bit++)
        ring(0, 1u << bit);
}

BOTH(bell_bits_add_up)
{
    other(rings_each_bit);
    status();
    hush(0, 0xF);
}

static void rings_too_many(void) { ring(0, 0xFFFFFFF5); }
BOTH(bell_has_four_bits)
{
    other(rings_too_many);
    status();
    hush(0, 0xF);
}

BOTH(bell_zero_rings_nothing)
{
    bells();
    MHU_SET(0, 1 - this_core()) = 0;
    MHU_SET(0, this_core()) = 0;
    DSB();
    status();
    pending();
}

BOTH(bell_clears_what_is_named)
{
    other(rings_each_bit);
    hush(0, 5);
    status();
    hush(0, 0);
    status();
    hush(0, 0xF0);
    status();
    hush(0, 0xA);
    status();
}

BOTH(bell_set_by_the_core_itself)
{
    bells();
    MHU_SET(0, this_core()) = 1;
    DSB();
    mark('.');
    MHU_SET(1, this_core()) = 8;
    DSB();
    show_trace();
}

/* The exception is taken behind the store that raises it. */
static void rings_itself(uint32_t unit)
{
    resume_at = 0;
    on(IRQ(BELL(unit)), record_bell);
    enable(BELL(unit));
    __asm volatile("movs r2, #0\n adds r2, #1\n str %1, [%0]\n dsb\n isb\n adds r2, #16\n"
                   ::"r"(&MHU_SET(unit, this_core())), "r"(1) : "r2", "cc", "memory");
    show("r2", noted.frame[2]);
    show("count", noted.count);
}
BOTH(bell_set_by_the_core_itself_is_taken_behind_the_store)
{
    rings_itself(0);
    rings_itself(1);
}

BOTH(bell_through_the_other_alias)
{
    bells();
    REG(ALIAS(&MHU_SET(0, this_core()))) = 2;
    DSB();
    show_trace();
    REG(ALIAS(&MHU_SET(1, 1 - this_core()))) = 4;
    status();
    show("by alias", REG(ALIAS(&MHU_STATUS(1, 1 - this_core()))));
    REG(ALIAS(&MHU_CLEAR(1, 1 - this_core()))) = 4;
    status();
}

static void is_heard_nowhere(void) { show("taken", noted.count); }
BOTH(bell_does_not_interrupt_who_rings)
{
    on(IRQ(BELL(0)), record_bell);
    enable(BELL(0));
    noted.count = 0;
    ring(0, 1);
    show("taken", noted.count);
    pending();
    other(is_heard_nowhere);
    MHU_CLEAR(0, 1 - this_core()) = 1;
}

static uint32_t rounds;
static void hushes_the_third_time(void)
{
    mark('a');
    if (++rounds == 3)
        hush(0, 1);
}
BOTH(bell_that_is_not_cleared_comes_again)
{
    rounds = 0;
    bells();
    on(IRQ(BELL(0)), hushes_the_third_time);
    other(rings_0);
    show_trace();
    pending();
}

static void only_marks(void)
{
    mark('a');
    ICER = 1u << BELL(0);
    DSB();
}
BOTH(bell_disabled_in_its_handler_stays_pending)
{
    bells();
    on(IRQ(BELL(0)), only_marks);
    other(rings_0);
    show_trace();
    pending();
    on(IRQ(BELL(0)), bell_a);
    enable(BELL(0));
    show_trace();
    pending();
}

static void takes_it_back(void)
{
    MHU_CLEAR(0, 1 - this_core()) = 1;
    DSB();
}
BOTH(bell_taken_back_stays_pending)
{
    bells();
    MASK();
    other(rings_0);
    await_pending(BELL(0));
    other(takes_it_back);
    status();
    pending();
    UNMASK();
    show_trace();
}

BOTH(bell_unpended_while_it_rings_is_pending_again)
{
    MASK();
    other(rings_0);
    await_pending(BELL(0));
    ICPR = 1u << BELL(0);
    DSB();
    pending();
    hush(0, 1);
    pending();
    ICPR = 1u << BELL(0);
    DSB();
    pending();
    UNMASK();
}

BOTH(bell_cleared_and_unpended_is_not_taken)
{
    bells();
    MASK();
    other(rings_0);
    await_pending(BELL(0));
    hush(0, 1);
    ICPR = 1u << BELL(0);
    UNMASK();
    show("trace is empty", 1);
    mark('.');
    show_trace();
}

BOTH(bell_not_enabled_waits)
{
    on(IRQ(BELL(0)), bell_a);
    other(rings_0);
    await_pending(BELL(0));
    mark('.');
    pending();
    enable(BELL(0));
    mark('.');
    show_trace();
}

static void rings_twice(void)
{
    ring(0, 1);
    ring(0, 1);
    ring(0, 1);
}
BOTH(bell_rung_again_before_it_is_taken_counts_once)
{
    bells();
    MASK();
    other(rings_twice);
    await_pending(BELL(0));
    UNMASK();
    show_trace();
}

static void shows_status_and_hushes(void)
{
    mark('a');
    WORD(0) = MHU_STATUS(0, this_core());
    hush(0, 0xF);
}
static void rings_two_bits(void)
{
    ring(0, 1);
    ring(0, 4);
}
BOTH(bell_of_two_bits_is_one_interrupt)
{
    bells();
    on(IRQ(BELL(0)), shows_status_and_hushes);
    MASK();
    other(rings_two_bits);
    await_pending(BELL(0));
    UNMASK();
    show_trace();
    show("status", WORD(0));
}

static void rings_bit_1(void) { ring(0, 2); }
static void hushes_one_of_two(void)
{
    mark('(');
    if (!rounds++) {
        other(rings_bit_1);
        hush(0, 1);
    } else {
        hush(0, 2);
    }
    mark(')');
}
BOTH(bell_of_another_bit_keeps_the_line_high)
{
    rounds = 0;
    bells();
    on(IRQ(BELL(0)), hushes_one_of_two);
    other(rings_0);
    show_trace();
    status();
}

static void hushes_and_is_rung_again(void)
{
    mark('(');
    hush(0, 1);
    if (!rounds++) {
        other(rings_0);
        await_pending(BELL(0));
        pending();
    }
    mark(')');
}
BOTH(bell_rung_again_in_its_handler_is_pending_and_active)
{
    rounds = 0;
    bells();
    on(IRQ(BELL(0)), hushes_and_is_rung_again);
    other(rings_0);
    show_trace();
    pending();
}

BOTH(bell_of_the_lower_number_first)
{
    bells();
    MASK();
    other(rings_both);
    await_pending(BELL(0));
    await_pending(BELL(1));
    UNMASK();
    show_trace();
}

BOTH(bell_of_higher_priority_first)
{
    bells();
    priority(IRQ(BELL(0)), 0x80);
    priority(IRQ(BELL(1)), 0x40);
    MASK();
    other(rings_both);
    await_pending(BELL(0));
    UNMASK();
    show_trace();
}

static void is_rung_by_1_inside(void)
{
    mark('(');
    hush(0, 1);
    other(rings_1);
    await_pending(BELL(1));
    mark(')');
}
static void is_preempted_by_1(void)
{
    uint32_t before = noted.count;
    mark('(');
    hush(0, 1);
    begin(rings_1);
    while (noted.count == before)
        YIELD();
    end();
    mark(')');
}
static void counts_and_marks(void)
{
    noted.count++;
    bell_b();
}
BOTH(bell_of_higher_priority_preempts)
{
    bells();
    on(IRQ(BELL(0)), is_preempted_by_1);
    on(IRQ(BELL(1)), counts_and_marks);
    priority(IRQ(BELL(0)), 0x80);
    priority(IRQ(BELL(1)), 0x40);
    other(rings_0);
    show_trace();
}

BOTH(bell_of_equal_priority_waits)
{
    bells();
    on(IRQ(BELL(0)), is_rung_by_1_inside);
    other(rings_0);
    show_trace();
}

BOTH(bell_of_lower_priority_waits)
{
    bells();
    on(IRQ(BELL(0)), is_rung_by_1_inside);
    priority(IRQ(BELL(0)), 0x40);
    priority(IRQ(BELL(1)), 0x80);
    other(rings_0);
    show_trace();
}

static uint32_t frames[2];
ASM_HANDLER(first_in_chain, "ldr r0, =frames\n str sp, [r0]\n push {r4, lr}\n bl bell_a\n pop {r4, pc}\n .ltorg");
ASM_HANDLER(second_in_chain, "ldr r0, =frames\n str sp, [r0, #4]\n push {r4, lr}\n bl bell_b\n pop {r4, pc}\n .ltorg");
BOTH(bells_chain_on_one_frame)
{
    bells();
    on(IRQ(BELL(0)), first_in_chain);
    on(IRQ(BELL(1)), second_in_chain);
    MASK();
    other(rings_both);
    await_pending(BELL(0));
    UNMASK();
    show_trace();
    show("apart", *(volatile uint32_t *)&frames[0] - *(volatile uint32_t *)&frames[1]);
}

static void goes_below(void)
{
    mark('(');
    hush(0, 1);
    pending();
    WORD(1) = ICSR;
    IPR(BELL(0)) = 0xC0;
    DSB();
    mark(')');
}
BOTH(bell_is_named_in_icsr)
{
    bells();
    on(IRQ(BELL(0)), goes_below);
    MASK();
    other(rings_0);
    await_pending(BELL(0));
    show("icsr", ICSR);
    UNMASK();
    show("icsr inside", WORD(1));
    show("icsr after", ICSR);
    show_trace();
}

static void spurious(void)
{
    mark('s');
    WORD(2) = MHU_STATUS(0, this_core());
}
BOTH(bell_pended_by_stir_shows_no_status)
{
    bells();
    on(IRQ(BELL(0)), spurious);
    WORD(2) = 0xFF;
    STIR = BELL(0);
    DSB();
    show_trace();
    show("status", WORD(2));
}

/* --- many */

static void answers(void)
{
    hush(0, 1);
    if (WORD(this_core()) < 100) {
        WORD(this_core())++;
        ring(0, 1);
    }
}
static void takes_part(void)
{
    on(IRQ(BELL(0)), answers);
    enable(BELL(0));
    reach(1);
    await_stage(1);
    if (!is_second())
        ring(0, 1);
    while (WORD(0) < 100 || WORD(1) < 100)
        YIELD();
    ICER = 1u << BELL(0);
    DSB();
}
CASE(bells_ping_pong_a_hundred_times)
{
    begin(takes_part);
    takes_part();
    end();
    show("first", WORD(0));
    show("second", WORD(1));
}

static void rings_when_heard(void)
{
    for (uint32_t count = 1; count <= 50; count++) {
        ring(count & 1, 1u << (count & 3));
        while (WORD(10) < count)
            YIELD();
    }
}
static void counts_0(void)
{
    hush(0, 0xF);
    WORD(11)++;
    WORD(10)++;
}
static void counts_1(void)
{
    hush(1, 0xF);
    WORD(12)++;
    WORD(10)++;
}
BOTH(bells_all_arrive)
{
    WORD(10) = WORD(11) = WORD(12) = 0;
    bells();
    on(IRQ(BELL(0)), counts_0);
    on(IRQ(BELL(1)), counts_1);
    other(rings_when_heard);
    show("all", WORD(10));
    show("of unit 0", WORD(11));
    show("of unit 1", WORD(12));
}

static void counts_own(void)
{
    hush(0, 1);
    WORD(20 + this_core())++;
}
static void rings_and_hears(void)
{
    on(IRQ(BELL(0)), counts_own);
    enable(BELL(0));
    reach(1);
    await_stage(1);
    for (uint32_t count = 1; count <= 20; count++) {
        ring(0, 1);
        while (WORD(20 + 1 - this_core()) < count || WORD(20 + this_core()) < count)
            YIELD();
        reach(1 + count);
        await_stage(1 + count);
    }
}
CASE(bells_cross)
{
    begin(rings_and_hears);
    rings_and_hears();
    end();
    show("first", WORD(20));
    show("second", WORD(21));
}
