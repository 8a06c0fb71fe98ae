/* A doorbell that breaks into threads on either stack: frames, EXC_RETURN, switches (DDI0553B B3.18 to B3.22). */
#include "harness.h"

static void on_the_process_stack(void)
{
    uint32_t r0, r1;
    MASK();
    other(rings_0);
    __asm volatile("mov r0, #0x100\n mov r1, #0x200\n cpsie i\n adds r0, #1\n mov %0, r0\n mov %1, r1"
                   : "=&r"(r0), "=&r"(r1)::"r0", "r1", "r2", "r3", "r12", "cc", "memory");
    show("r0", r0);
    show("r1", r1);
}
static void show_entry(void)
{
    show("count", noted.count);
    show("exc_return", noted.exc_return);
    show("in process stack", noted.sp - (uint32_t)process_stack < sizeof process_stack);
    show("stacked r0", noted.frame[0]);
}
static void begin_stacks(void)
{
    noted.count = resume_at = 0;
    on(IRQ(BELL(0)), record_bell);
    enable(BELL(0));
}

BOTH(thread_on_the_process_stack)
{
    begin_stacks();
    with_psp(on_the_process_stack);
    show_entry();
}

BOTH(thread_on_the_main_stack)
{
    begin_stacks();
    on_the_process_stack();
    show_entry();
}

static void without_privilege(void)
{
    WRITE_SPECIAL(basepri, 0);
    unprivileged();
    begin(rings_0);
    while (!noted.count)
        YIELD();
    end();
    WORD(0) = READ_SPECIAL(control);
    privileged();
}
BOTH(thread_without_privilege_on_the_process_stack)
{
    begin_stacks();
    with_psp(without_privilege);
    show("count", noted.count);
    show("exc_return", noted.exc_return);
    show("control inside", WORD(0));
    show("control", READ_SPECIAL(control));
}

BOTH(thread_with_an_unaligned_stack)
{
    begin_stacks();
    MASK();
    other(rings_0);
    __asm volatile("sub sp, #4\n mov r3, sp\n bic r3, #4\n sub r3, sp, r3\n cpsie i\n add sp, #4" ::: "r0", "r1", "r2", "r3", "r12", "cc", "memory");
    show("padded", noted.frame[7] >> 9 & 1);
    show("unaligned by", noted.frame[3]);
    show("aligned", noted.sp & 7);
}

/* Two threads, switched by the doorbell's handler. */
static uint32_t second_stack[128] __attribute__((aligned(8)));
__attribute__((used)) static uint32_t other_psp;
__attribute__((used)) static void hushes(void)
{
    mark('s');
    hush(0, 1);
}
ASM_HANDLER(switches, "push {r4, lr}\n bl hushes\n pop {r4, lr}\n mrs r0, psp\n stmdb r0!, {r4-r11}\n ldr r1, =other_psp\n ldr r2, [r1]\n str r0, [r1]\n"
            "ldmia r2!, {r4-r11}\n msr psp, r2\n bx lr\n .ltorg");
static void second_thread(void)
{
    for (;;) {
        mark('2');
        MASK();
        other(rings_0);
        UNMASK();
    }
}
static void first_thread(void)
{
    for (int round = 0; round < 3; round++) {
        mark('1');
        MASK();
        other(rings_0);
        UNMASK();
    }
}
BOTH(threads_switched_by_the_doorbell)
{
    uint32_t *frame = second_stack + 128 - 16; /* r4 to r11, r0 to r3, r12, lr, pc, xpsr */
    frame[14] = (uint32_t)second_thread & ~1u;
    frame[15] = 0x01000000;
    other_psp = (uint32_t)frame;
    on(IRQ(BELL(0)), switches);
    enable(BELL(0));
    with_psp(first_thread);
    ICER = 1u << BELL(0);
    show_trace();
}

static void overflows(void)
{
    show("exception", READ_SPECIAL(ipsr));
    show("cfsr", CFSR);
    show("pending", ISPR >> BELL(0) & 1);
    finish();
}
static void has_no_room(void)
{
    MASK();
    other(rings_0);
    WRITE_SPECIAL(psplim, (uint32_t)(process_stack + 250));
    UNMASK();
}
CASE(thread_without_room_for_the_frame)
{
    begin_stacks();
    SHCSR = 7u << 16;
    on(USAGE_FAULT, overflows);
    on(HARD_FAULT, overflows);
    with_psp(has_no_room);
}

static void deepens(uint32_t level)
{
    volatile uint32_t here[8];
    for (uint32_t word = 0; word < 8; word++)
        here[word] = level * 16 + word;
    MASK();
    other(rings_0);
    UNMASK();
    if (level)
        deepens(level - 1);
    for (uint32_t word = 0; word < 8; word++)
        WORD(1) += here[word] != level * 16 + word;
}
BOTH(stack_as_it_was_behind_each_frame)
{
    WORD(1) = 0;
    begin_stacks();
    deepens(8);
    show("count", noted.count);
    show("changed", WORD(1));
}

static void calls_down(void)
{
    mark('(');
    hush(0, 1);
    pend(PENDSV);
    mark(')');
}
static void pendsv_rings(void)
{
    mark('p');
    other(rings_1);
    mark('q');
}
BOTH(handler_of_each_kind_between_threads)
{
    bells();
    on(IRQ(BELL(0)), calls_down);
    on(PENDSV, pendsv_rings);
    priority(PENDSV, 0x80);
    priority(IRQ(BELL(0)), 0x40);
    priority(IRQ(BELL(1)), 0xC0);
    other(rings_0);
    mark('.');
    show_trace();
}
