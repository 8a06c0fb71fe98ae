/* IT blocks with exceptions and faults inside; stores with write-back and multiple stores that raise an exception. */
#include "harness.h"

static void begin(void)
{
    on(IRQ(1), record);
    resume_at = 0;
    enable(1);
}

static void show_it(void)
{
    show("count", noted.count);
    show("it", noted.frame[7] & 0x0600FC00);
    show("r2", noted.frame[2]);
    show("r3", noted.frame[3]);
}

static uint32_t after_r2, after_r3;
/* r0: ISPR, r1: the bit of IRQ 1, Z set; r2 and r3 count. */
#define IN_IT(CODE)                                                                                              \
    __asm volatile("mov r0, %0\n movs r1, #2\n movs r2, #0\n movs r3, #0\n" CODE "\n str r2, [%1]\n str r3, [%2]" \
                   ::"r"(&ISPR), "r"(&after_r2), "r"(&after_r3)                                                   \
                   : "r0", "r1", "r2", "r3", "r12", "cc", "memory");                                              \
    show_it();                                                                                                    \
    show("after r2", after_r2);                                                                                   \
    show("after r3", after_r3)

CASE(it_interrupt_in_the_middle)
{
    begin();
    IN_IT("ittt eq\n streq r1, [r0]\n addeq r2, r2, #1\n addeq r3, r3, #1");
}

CASE(it_interrupt_at_the_end)
{
    begin();
    IN_IT("itt eq\n addeq r2, r2, #1\n streq r1, [r0]\n adds r3, #1");
}

CASE(it_interrupt_before_the_else_part)
{
    begin();
    IN_IT("itee eq\n streq r1, [r0]\n addne r2, r2, #1\n addne r3, r3, #8");
}

CASE(it_interrupt_before_three_more)
{
    begin();
    IN_IT("itttt eq\n streq r1, [r0]\n addeq r2, r2, #1\n addeq r3, r3, #1\n addeq r2, r2, #16");
}

CASE(it_interrupt_then_a_store_runs_once)
{
    static uint32_t word;
    begin();
    __asm volatile("movs r2, #0\n mov r0, %0\n movs r1, #2\n cmp r2, #0\n itttt eq\n streq r1, [r0]\n ldreq r2, [%1]\n addeq r2, r2, #1\n streq r2, [%1]"
                   ::"r"(&ISPR), "r"(&word) : "r0", "r1", "r2", "r3", "r12", "cc", "memory");
    show("word", *(volatile uint32_t *)&word);
    show_it();
}

CASE(it_condition_false_does_not_pend)
{
    begin();
    IN_IT("itt ne\n strne r1, [r0]\n addne r2, r2, #1\n adds r3, #1");
}

CASE(it_flags_changed_inside)
{
    uint32_t result;
    __asm volatile("movs %0, #0\n cmp %0, #0\n ittt eq\n cmpeq %0, #1\n addeq %0, %0, #4\n addeq %0, %0, #8" : "=&r"(result)::"cc");
    show("result", result);
}

CASE(it_narrow_adds_leaves_the_flags)
{
    uint32_t flags;
    __asm volatile("movs r0, #0\n cmp r0, #0\n it eq\n addeq r0, r0, #1\n mrs %0, apsr" : "=r"(flags)::"r0", "cc");
    show("flags", flags & 0xF0000000);
}

CASE(it_fault_in_the_middle)
{
    note_faults();
    ATTEMPT("movs r2, #0\n movs r3, #0\n cmp r2, #0\n itttt eq\n addeq r2, r2, #1\n ldreq r3, [%0]\n addeq r2, r2, #2\n addeq r2, r2, #4", "r"(NOWHERE));
    show("it", noted.frame[7] & 0x0600FC00);
    show("r2", noted.frame[2]);
    show_fault_address();
    show_fault();
}

CASE(it_fault_at_a_store)
{
    note_faults();
    ATTEMPT("movs r2, #0\n cmp r2, #0\n itt eq\n streq r2, [%0, #4]\n addeq r2, r2, #2", "r"(NOWHERE));
    show("it", noted.frame[7] & 0x0600FC00);
    show("r2", noted.frame[2]);
    show_fault_address();
    show_fault();
}

CASE(it_no_fault_where_the_condition_fails)
{
    note_faults();
    ATTEMPT("movs r2, #0\n cmp r2, #0\n itt ne\n ldrne r3, [%0]\n strne r3, [%0]", "r"(NOWHERE));
    show_fault();
}

/* The assembler has no UDF in an IT block: 0xBF02 is ITTT EQ. */
CASE(it_undefined_in_the_middle)
{
    note_faults();
    ATTEMPT("movs r2, #0\n cmp r2, #0\n .inst.n 0xBF02\n adds r2, #1\n udf #5\n adds r2, #2", "r"(0));
    show("it", noted.frame[7] & 0x0600FC00);
    show("r2", noted.frame[2]);
    show_fault();
}

CASE(it_svc_in_the_middle)
{
    on(SVCALL, record);
    resume_at = 0;
    IN_IT("ittt eq\n addeq r2, r2, #1\n svceq #4\n addeq r3, r3, #1");
}

CASE(it_svc_where_the_condition_fails)
{
    on(SVCALL, record);
    resume_at = 0;
    IN_IT("itt ne\n svcne #4\n addne r3, r3, #1");
}

CASE(it_floating_point_off_in_the_middle)
{
    note_faults();
    ATTEMPT("movs r2, #0\n cmp r2, #0\n ittt eq\n addeq r2, r2, #1\n vmoveq s0, r2\n addeq r2, r2, #2", "r"(0));
    show("it", noted.frame[7] & 0x0600FC00);
    show("r2", noted.frame[2]);
    show_fault();
}

CASE(it_hint_in_the_middle)
{
    uint32_t result;
    __asm volatile("movs %0, #0\n cmp %0, #0\n itttt eq\n addeq %0, %0, #1\n seveq\n wfeeq\n addeq %0, %0, #2" : "=&r"(result)::"cc");
    show("result", result);
}

ASM_HANDLER(adds_conditionally, "movs r0, #1\n negs r0, r0\n mrs r2, apsr\n ldr r3, =seen_flags\n str r2, [r3]\n bx lr\n .ltorg");
__attribute__((used)) static uint32_t seen_flags;

CASE(it_handler_begins_without_it)
{
    on(IRQ(1), adds_conditionally);
    enable(1);
    __asm volatile("mov r0, %0\n movs r1, #2\n movs r2, #0\n cmp r2, #0\n ittt eq\n streq r1, [r0]\n addeq r2, r2, #1\n addeq r2, r2, #1"
                   ::"r"(&ISPR) : "r0", "r1", "r2", "r3", "r12", "cc", "memory");
    show("flags", *(volatile uint32_t *)&seen_flags & 0xF0000000);
}

/* --- write-back and multiples */

#define STORES(CODE)                                                                                   \
    __asm volatile("mov r0, %0\n movs r1, #2\n movs r2, #0\n movs r3, #0\n" CODE "\n mov r3, r0\n"      \
                   "sub r3, r3, %0\n str r3, [%1]\n str r2, [%2]"                                       \
                   ::"r"(&ISPR), "r"(&after_r3), "r"(&after_r2)                                         \
                   : "r0", "r1", "r2", "r3", "r12", "cc", "memory");                                    \
    show("count", noted.count);                                                                        \
    show("base in frame", noted.frame[0] - (uint32_t)&ISPR);                                           \
    show("r2 in frame", noted.frame[2]);                                                               \
    show("base after", after_r3);                                                                      \
    show("r2 after", after_r2)

CASE(store_post_index_that_raises)
{
    begin();
    STORES("str r1, [r0], #4\n adds r2, #1");
}

CASE(store_pre_index_that_raises)
{
    begin();
    STORES("sub r0, #8\n str r1, [r0, #8]!\n adds r2, #1");
}

CASE(store_double_that_raises_by_its_first)
{
    begin();
    STORES("strd r1, r3, [r0]\n adds r2, #1");
}

CASE(store_double_that_raises_by_its_second)
{
    begin();
    STORES("sub r0, #4\n strd r3, r1, [r0], #4\n adds r2, #1");
}

CASE(store_multiple_that_raises)
{
    begin();
    STORES("stmia r0!, {r1, r3}\n adds r2, #1");
}

static volatile uint32_t taken;
static void counts(void) { taken++; }

CASE(store_multiple_takes_each_interrupt_once)
{
    on(IRQ(1), counts);
    on(IRQ(2), counts);
    ISER = 6;
    __asm volatile("movs r1, #2\n movs r2, #4\n mov r0, %0\n strd r1, r2, [r0]\n strd r1, r1, [r0]\n nop\n nop" ::"r"(&ISPR) : "r0", "r1", "r2", "r3", "r12", "cc", "memory", "lr");
    show("taken", taken);
    ICPR = 6;
}

CASE(store_byte_that_changes_a_priority)
{
    begin();
    priority(IRQ(1), 0x80);
    WRITE_SPECIAL(basepri, 0x80);
    pend(IRQ(1));
    __asm volatile("movs r2, #0\n movs r1, #0x40\n strb r1, [%0]\n adds r2, #1\n nop" ::"r"(&IPR(1)) : "r1", "r2", "r0", "r3", "r12", "cc", "memory");
    show("r2", noted.frame[2]);
    show("count", noted.count);
}

CASE(store_that_enables_what_waits)
{
    begin();
    ICER = 2;
    pend(IRQ(1));
    __asm volatile("movs r2, #0\n movs r1, #2\n str r1, [%0]\n adds r2, #1\n nop" ::"r"(&ISER) : "r1", "r2", "r0", "r3", "r12", "cc", "memory");
    show("r2", noted.frame[2]);
    show("count", noted.count);
}

CASE(store_to_icsr_is_taken_before_the_next)
{
    on(PENDSV, record);
    resume_at = 0;
    __asm volatile("movs r2, #0\n mov r1, #0x10000000\n str r1, [%0]\n adds r2, #1\n nop" ::"r"(&ICSR) : "r1", "r2", "r0", "r3", "r12", "cc", "memory");
    show("r2", noted.frame[2]);
    show("count", noted.count);
}

CASE(store_to_stir_is_taken_before_the_next)
{
    begin();
    __asm volatile("movs r2, #0\n mov r1, #1\n str r1, [%0]\n adds r2, #1\n nop" ::"r"(&STIR) : "r1", "r2", "r0", "r3", "r12", "cc", "memory");
    show("r2", noted.frame[2]);
    show("count", noted.count);
}

/* --- exclusives */

static uint32_t lock;
static void nothing(void) {}

CASE(exclusive_pair_succeeds)
{
    uint32_t failed;
    __asm volatile("ldrex r1, [%1]\n adds r1, #1\n strex %0, r1, [%1]" : "=&r"(failed) : "r"(&lock) : "r1", "cc", "memory");
    show("failed", failed);
    show("lock", *(volatile uint32_t *)&lock);
}

CASE(exclusive_store_alone_fails)
{
    uint32_t failed;
    __asm volatile("clrex\n movs r1, #1\n strex %0, r1, [%1]" : "=&r"(failed) : "r"(&lock) : "r1", "cc", "memory");
    show("failed", failed);
    show("lock", *(volatile uint32_t *)&lock);
}

CASE(exclusive_second_store_fails)
{
    uint32_t first, second;
    __asm volatile("ldrex r1, [%2]\n strex %0, r1, [%2]\n strex %1, r1, [%2]" : "=&r"(first), "=&r"(second) : "r"(&lock) : "r1", "memory");
    show("first", first);
    show("second", second);
}

CASE(exclusive_cleared_by_clrex)
{
    uint32_t failed;
    __asm volatile("ldrex r1, [%1]\n clrex\n strex %0, r1, [%1]" : "=&r"(failed) : "r"(&lock) : "r1", "memory");
    show("failed", failed);
}

CASE(exclusive_cleared_by_an_exception)
{
    uint32_t failed;
    on(SVCALL, nothing);
    __asm volatile("ldrex r4, [%1]\n svc #0\n strex %0, r4, [%1]" : "=&r"(failed) : "r"(&lock) : "r4", "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("failed", failed);
}

static void takes_lock(void)
{
    uint32_t failed;
    __asm volatile("ldrex r1, [%1]\n strex %0, r1, [%1]" : "=&r"(failed) : "r"(&lock) : "r1", "memory");
    show("inside", failed);
}

CASE(exclusive_pair_inside_a_handler)
{
    uint32_t failed;
    on(SVCALL, takes_lock);
    __asm volatile("ldrex r4, [%1]\n svc #0\n strex %0, r4, [%1]" : "=&r"(failed) : "r"(&lock) : "r4", "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("outside", failed);
}

static void leaves_it_open(void)
{
    __asm volatile("ldrex r1, [%0]" ::"r"(&lock) : "r1", "memory");
}

CASE(exclusive_left_open_by_a_handler)
{
    uint32_t failed;
    on(SVCALL, leaves_it_open);
    __asm volatile("svc #0\n movs r1, #1\n strex %0, r1, [%1]" : "=&r"(failed) : "r"(&lock) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show("failed", failed);
}

CASE(exclusive_byte_and_halfword)
{
    uint32_t byte, half;
    __asm volatile("ldrexb r1, [%2]\n movs r1, #0x5A\n strexb %0, r1, [%2]\n ldrexh r1, [%2]\n movs r1, #0x66\n strexh %1, r1, [%2]"
                   : "=&r"(byte), "=&r"(half) : "r"(&lock) : "r1", "cc", "memory");
    show("byte", byte);
    show("half", half);
    show("lock", *(volatile uint32_t *)&lock);
}
