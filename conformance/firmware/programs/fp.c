/* Floating-point context (DDI0403E B1.5.7): FPCA, lazy and eager stacking, FPSCR, the frame. */
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
#define FPSCR()                                                 \
    ({                                                          \
        uint32_t value_;                                        \
        __asm volatile("vmrs %0, fpscr" : "=r"(value_)::"memory"); \
        value_;                                                 \
    })
#define SET_FPSCR(VALUE) __asm volatile("vmsr fpscr, %0" ::"r"(VALUE))
#define SVC() __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")

CASE(fp_first_instruction_sets_fpca)
{
    fpu_on();
    show("control", READ_SPECIAL(control));
    SET_S(0, 1);
    show("control", READ_SPECIAL(control));
}

CASE(fp_fpca_can_be_cleared)
{
    fpu_on();
    SET_S(0, 1);
    WRITE_SPECIAL(control, 0);
    show("control", READ_SPECIAL(control));
    SET_S(0, 1);
    show("control", READ_SPECIAL(control));
}

CASE(fp_no_frame_without_fpca)
{
    fpu_on();
    on(SVCALL, record);
    SVC();
    show("exc_return", noted.exc_return);
}

CASE(fp_frame_after_use)
{
    fpu_on();
    on(SVCALL, record);
    SET_S(0, 1);
    SVC();
    show("exc_return", noted.exc_return);
    show("control", READ_SPECIAL(control));
}

static uint32_t words[32];
__attribute__((used)) static uint32_t fp_frame, fp_exc_return, fp_fpccr, fp_fpcar, fp_control;
/* Looks without a floating-point instruction. */
ASM_HANDLER(looks, "mov r0, sp\n ldr r1, =fp_frame\n str r0, [r1]\n ldr r1, =fp_exc_return\n str lr, [r1]\n ldr r0, =0xE000EF34\n ldr r2, [r0]\n"
            "ldr r1, =fp_fpccr\n str r2, [r1]\n ldr r2, [r0, #4]\n ldr r1, =fp_fpcar\n str r2, [r1]\n mrs r2, control\n ldr r1, =fp_control\n str r2, [r1]\n bx lr\n .ltorg");

#define LAZY 0xC0000000u
static void show_look(void)
{
    show("exc_return", *(volatile uint32_t *)&fp_exc_return);
    show("lspact", *(volatile uint32_t *)&fp_fpccr & 1);
    show("fpcar in frame", *(volatile uint32_t *)&fp_fpcar - *(volatile uint32_t *)&fp_frame);
    show("control", *(volatile uint32_t *)&fp_control);
}

CASE(fp_lazy_state_while_active)
{
    fpu_on();
    on(SVCALL, looks);
    SET_S(0, 1);
    SVC();
    show_look();
    show("lspact after", FPCCR & 1);
}

static void fills(void)
{
    for (uint32_t index = 0; index < 32; index++)
        words[index] = 0xDEAD0000 + index;
}

/* The frame lies at a place that was filled before. */
#define SVC_ON(STACK)                                                                                                    \
    __asm volatile("mov r4, sp\n mov sp, %0\n svc #0\n mov sp, r4" ::"r"(STACK) : "r0", "r1", "r2", "r3", "r4", "r12", "lr", "cc", "memory")

__attribute__((aligned(8))) static uint32_t room[256];

CASE(fp_lazy_frame_is_not_written)
{
    fpu_on();
    on(SVCALL, looks);
    for (uint32_t index = 0; index < 256; index++)
        room[index] = 0xDEAD0000 + index;
    SET_S(0, 0x11);
    SET_S(15, 0x22);
    SVC_ON(room + 128);
    uint32_t *frame = room + 128 - 26;
    show("s0", *(volatile uint32_t *)&frame[8]);
    show("s15", *(volatile uint32_t *)&frame[23]);
    show("fpscr", *(volatile uint32_t *)&frame[24]);
    show("xpsr written", *(volatile uint32_t *)&frame[7] != 0xDEAD0000 + 109);
    show("s0", GET_S(0));
    (void)fills;
    (void)words;
}

CASE(fp_eager_frame_is_written)
{
    fpu_on();
    FPCCR = 0x80000000;
    DSB();
    on(SVCALL, looks);
    for (uint32_t index = 0; index < 256; index++)
        room[index] = 0xDEAD0000 + index;
    SET_S(0, 0x11);
    SET_S(15, 0x22);
    SET_FPSCR(0x80000000);
    SVC_ON(room + 128);
    uint32_t *frame = room + 128 - 26;
    show("s0", *(volatile uint32_t *)&frame[8]);
    show("s15", *(volatile uint32_t *)&frame[23]);
    show("fpscr", *(volatile uint32_t *)&frame[24]);
    show_look();
}

static uint32_t in_fpccr, in_fpscr;
static void uses_fp(void)
{
    SET_S(0, 0x99);
    in_fpccr = FPCCR;
    in_fpscr = FPSCR();
    SET_S(15, 0x99);
    SET_FPSCR(0x50000000);
}

CASE(fp_lazy_frame_is_written_by_the_first_use)
{
    fpu_on();
    on(SVCALL, uses_fp);
    for (uint32_t index = 0; index < 256; index++)
        room[index] = 0xDEAD0000 + index;
    SET_S(0, 0x11);
    SET_S(7, 0x77);
    SET_S(15, 0x22);
    SET_FPSCR(0xA0000000);
    SVC_ON(room + 128);
    uint32_t *frame = room + 128 - 26;
    show("s0", *(volatile uint32_t *)&frame[8]);
    show("s7", *(volatile uint32_t *)&frame[15]);
    show("s15", *(volatile uint32_t *)&frame[23]);
    show("fpscr", *(volatile uint32_t *)&frame[24]);
    show("lspact inside", in_fpccr & 1);
}

CASE(fp_registers_survive_a_handler_that_uses_them)
{
    fpu_on();
    on(SVCALL, uses_fp);
    SET_S(0, 0x11);
    SET_S(15, 0x22);
    SET_FPSCR(0xA0000000);
    SVC();
    show("s0", GET_S(0));
    show("s15", GET_S(15));
    show("fpscr", FPSCR());
}

CASE(fp_handler_begins_with_the_default_fpscr)
{
    fpu_on();
    FPDSCR = 0x02000000;
    on(SVCALL, uses_fp);
    SET_FPSCR(0xA0000000);
    SVC();
    show("inside", in_fpscr);
    show("after", FPSCR());
}

CASE(fp_fpdscr_reads_back)
{
    FPDSCR = 0xFFFFFFFF;
    show("fpdscr", FPDSCR);
}

CASE(fp_fpccr_reads_back)
{
    show("fpccr", FPCCR & LAZY);
    FPCCR = 0;
    show("fpccr", FPCCR & LAZY);
}

CASE(fp_without_aspen_no_fpca_and_no_frame)
{
    fpu_on();
    FPCCR = 0;
    DSB();
    on(SVCALL, record);
    SET_S(0, 1);
    show("control", READ_SPECIAL(control) & 4);
    SVC();
    show("exc_return", noted.exc_return);
}

static void nested_user(void)
{
    SET_S(1, 0x55);
    pend(IRQ(2));
    show("s1 in between", GET_S(1));
}

static void inner_user(void) { SET_S(1, 0x66); }

CASE(fp_nested_handlers_each_keep_theirs)
{
    fpu_on();
    on(IRQ(1), nested_user);
    on(IRQ(2), inner_user);
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x40);
    ISER = 6;
    SET_S(1, 0x44);
    pend(IRQ(1));
    show("s1", GET_S(1));
}

static void lazy_outer(void) { pend(IRQ(2)); }

CASE(fp_lazy_frame_of_the_thread_written_from_a_nested_handler)
{
    fpu_on();
    on(IRQ(1), lazy_outer);
    on(IRQ(2), inner_user);
    priority(IRQ(1), 0x80);
    priority(IRQ(2), 0x40);
    ISER = 6;
    SET_S(1, 0x44);
    pend(IRQ(1));
    show("s1", GET_S(1));
    show("lspact", FPCCR & 1);
}

CASE(fp_high_registers_are_the_callees)
{
    fpu_on();
    on(SVCALL, uses_fp);
    SET_S(16, 0x16);
    SET_S(31, 0x31);
    SVC();
    show("s16", GET_S(16));
    show("s31", GET_S(31));
}

CASE(fp_flags_by_compare)
{
    uint32_t flags;
    fpu_on();
    SET_S(0, 0x3F800000);
    SET_S(1, 0x40000000);
    __asm volatile("vcmp.f32 s0, s1\n vmrs apsr_nzcv, fpscr\n mrs %0, apsr" : "=r"(flags)::"cc");
    show("less", flags & 0xF0000000);
    SET_S(1, 0x7FC00000);
    __asm volatile("vcmp.f32 s0, s1\n vmrs apsr_nzcv, fpscr\n mrs %0, apsr" : "=r"(flags)::"cc");
    show("unordered", flags & 0xF0000000);
}

CASE(fp_division_by_zero_flag)
{
    fpu_on();
    SET_S(0, 0x3F800000);
    SET_S(1, 0);
    __asm volatile("vdiv.f32 s2, s0, s1");
    show("s2", GET_S(2));
    show("fpscr", FPSCR());
}

CASE(fp_inexact_flag_sticks)
{
    fpu_on();
    SET_S(0, 0x3F800000);
    SET_S(1, 0x40400000);
    __asm volatile("vdiv.f32 s2, s0, s1");
    show("fpscr", FPSCR());
    __asm volatile("vadd.f32 s2, s0, s0");
    show("fpscr", FPSCR());
}

CASE(fp_default_nan)
{
    fpu_on();
    SET_FPSCR(0x02000000);
    SET_S(0, 0x7F812345);
    SET_S(1, 0x3F800000);
    __asm volatile("vadd.f32 s2, s0, s1");
    show("s2", GET_S(2));
}

CASE(fp_flush_to_zero)
{
    fpu_on();
    SET_FPSCR(0x01000000);
    SET_S(0, 0x00000001);
    SET_S(1, 0x3F800000);
    __asm volatile("vmul.f32 s2, s0, s1");
    show("s2", GET_S(2));
    show("fpscr", FPSCR());
}

CASE(fp_fused_multiply_add)
{
    fpu_on();
    SET_S(0, 0x3F800001);
    SET_S(1, 0x3F800001);
    SET_S(2, 0xBF800002);
    __asm volatile("vfma.f32 s2, s0, s1");
    show("s2", GET_S(2));
}

static void fp_user(void)
{
    unprivileged();
    ATTEMPT("vmov s0, r1", "r"(0));
    privileged();
}

CASE(fp_privileged_access_only)
{
    note_faults();
    CPACR = 5u << 20;
    DSB();
    SET_S(0, 1);
    fp_user();
    CPACR = 0xF << 20;
    show_fault();
}

CASE(fp_switched_off_again)
{
    note_faults();
    fpu_on();
    SET_S(0, 1);
    WRITE_SPECIAL(control, 0);
    CPACR = 0;
    DSB();
    ATTEMPT("vmov s0, r1", "r"(0));
    show_fault();
}

CASE(fp_push_and_pop)
{
    uint32_t value;
    fpu_on();
    SET_S(4, 0x1234);
    __asm volatile("vpush {s4-s7}\n movs %0, #0\n vmov s4, %0\n vpop {s4-s7}\n vmov %0, s4" : "=&r"(value)::"cc", "memory");
    show("s4", value);
}

#if defined CORE_M7
CASE(fp_double_precision)
{
    uint32_t low, high;
    fpu_on();
    __asm volatile("vmov d0, %2, %3\n vmov d1, %4, %5\n vdiv.f64 d2, d0, d1\n vmov %0, %1, d2"
                   : "=r"(low), "=r"(high) : "r"(0), "r"(0x3FF00000), "r"(0), "r"(0x40080000));
    show("low", low);
    show("high", high);
}

CASE(fp_double_converted_to_single)
{
    fpu_on();
    __asm volatile("vmov d0, %0, %1\n vcvt.f32.f64 s4, d0" ::"r"(0x11111111), "r"(0x3FF11111));
    show("s4", GET_S(4));
}

CASE(fp_double_registers_in_the_frame)
{
    uint32_t low, high;
    fpu_on();
    on(SVCALL, uses_fp);
    __asm volatile("vmov d7, %0, %1" ::"r"(0x01234567), "r"(0x89ABCDEF));
    SVC();
    __asm volatile("vmov %0, %1, d7" : "=r"(low), "=r"(high));
    show("low", low);
    show("high", high);
}

CASE(fp_rounding_towards_nearest_away)
{
    uint32_t value;
    fpu_on();
    SET_S(0, 0x40200000);
    __asm volatile("vcvta.s32.f32 s1, s0\n vmov %0, s1" : "=r"(value));
    show("vcvta", value);
}
#else
CASE(fp_double_precision_is_undefined)
{
    note_faults();
    fpu_on();
    ATTEMPT(".inst.w 0xEE800B01", "r"(0)); /* VDIV.F64 D0, D0, D1 */
    show_fault();
}
#endif
