/* The floating-point unit, which only the second core has, and doorbells (DDI0553B B3.22, lazy preservation). */
#include "harness.h"

static void fpu_on(void)
{
    CPACR |= 0xF << 20;
    DSB();
}
#define SET_S(NUMBER, VALUE) __asm volatile("vmov s" #NUMBER ", %0" ::"r"(VALUE))
#define GET_S(NUMBER)                                                 \
    ({                                                                \
        uint32_t value_;                                              \
        __asm volatile("vmov %0, s" #NUMBER : "=r"(value_)::"memory"); \
        value_;                                                       \
    })

BOTH(fpu_is_the_second_cores)
{
    note_faults();
    fpu_on();
    ATTEMPT("vmov s0, r0", "r"(0));
    show_fault();
}
BOTH(fpu_shows_in_the_feature_registers)
{
    show("mvfr0", REG(0xE000EF40));
    show("mvfr1", REG(0xE000EF44));
}

static void begin_fp(handler *h)
{
    fpu_on();
    noted.count = resume_at = 0;
    on(IRQ(BELL(0)), h);
    enable(BELL(0));
    MASK();
}

static void has_a_short_frame(void)
{
    begin_fp(record_bell);
    WRITE_SPECIAL(control, 0);
    other(rings_0);
    UNMASK();
    show("exc_return", noted.exc_return);
}
CASE(fp_frame_is_short_before_the_first_use) { other(has_a_short_frame); }

static void has_a_long_frame(void)
{
    begin_fp(record_bell);
    SET_S(0, 0x11);
    other(rings_0);
    UNMASK();
    show("exc_return", noted.exc_return);
    show("s0", GET_S(0));
    show("control", READ_SPECIAL(control));
}
CASE(fp_frame_is_long_after_a_use) { other(has_a_long_frame); }

static void spoils_all(void)
{
    hush(0, 1);
    __asm volatile("vmov.f32 s0, #1.0\n vmov.f32 s7, #2.0\n vmov.f32 s15, #3.0\n vmov.f32 s31, #4.0\n movs r0, #0\n vmsr fpscr, r0" ::: "r0");
    noted.count++;
}
static void keeps_its_registers(void)
{
    begin_fp(spoils_all);
    SET_S(0, 0x10);
    SET_S(7, 0x17);
    SET_S(15, 0x1F);
    __asm volatile("vmsr fpscr, %0" ::"r"(0x90000000));
    other(rings_0);
    UNMASK();
    show("count", noted.count);
    show("s0", GET_S(0));
    show("s7", GET_S(7));
    show("s15", GET_S(15));
    uint32_t fpscr;
    __asm volatile("vmrs %0, fpscr" : "=r"(fpscr));
    show("fpscr", fpscr);
}
CASE(fp_registers_kept_while_the_handler_uses_them) { other(keeps_its_registers); }

static void lends_and_looks(void)
{
    WORD(0) = FPCCR & 1;
    hush(0, 1);
    other(rings_1); /* nothing to hear it */
    WORD(1) = FPCCR & 1;
}
static void is_lazy(void)
{
    begin_fp(lends_and_looks);
    SET_S(3, 0x33);
    other(rings_0);
    UNMASK();
    show("lspact", WORD(0));
    show("lspact", WORD(1));
    show("lspact after", FPCCR & 1);
    show("s3", GET_S(3));
    hush(1, 1);
}
CASE(fp_frame_is_left_unwritten_while_nobody_needs_it) { other(is_lazy); }

static void adds_one(void)
{
    hush(0, 1);
    hush(1, 1);
    __asm volatile("vmov.f32 s4, #1.0\n vadd.f32 s4, s4, s4" ::: "memory");
    noted.count++;
}
static void is_broken_into(void)
{
    hush(0, 1);
    __asm volatile("vmov s5, %0" ::"r"(0x55));
    begin(rings_1);
    while (!noted.count)
        YIELD();
    end();
    show("s5 inside", GET_S(5));
}
static void nests(void)
{
    begin_fp(is_broken_into);
    on(IRQ(BELL(1)), adds_one);
    enable(BELL(1));
    priority(IRQ(BELL(0)), 0x80);
    SET_S(4, 0x44);
    SET_S(5, 0x66);
    other(rings_0);
    UNMASK();
    show("s4", GET_S(4));
    show("s5", GET_S(5));
    show("count", noted.count);
}
CASE(fp_context_of_nested_doorbells) { other(nests); }

static void counts_in_floating_point(void)
{
    WORD(2) = 0;
    begin_fp(adds_one);
    noted.count = 0;
    UNMASK();
    __asm volatile("vmov.f32 s1, #1.0\n vsub.f32 s0, s1, s1" ::: "memory");
    for (uint32_t round = 1; round <= 20; round++) {
        begin(rings_0);
        while (noted.count < round)
            __asm volatile("vmov s2, s0\n vmov s0, s2" ::: "memory");
        end();
        __asm volatile("vadd.f32 s0, s0, s1" ::: "memory");
    }
    show("sum", GET_S(0)); /* 20.0 */
}
CASE(fp_sum_with_doorbells_in_between) { other(counts_in_floating_point); }

static void takes_it_without_a_unit(void)
{
    mark('a');
    hush(0, 1);
}
static void uses_fp_and_rings(void)
{
    fpu_on();
    SET_S(0, 0x12345678);
    ring(0, 1);
    show("s0", GET_S(0));
}
CASE(fp_of_the_second_is_nothing_to_the_first)
{
    on(IRQ(BELL(0)), takes_it_without_a_unit);
    enable(BELL(0));
    other(uses_fp_and_rings);
    show_trace();
    show("control", READ_SPECIAL(control));
}
