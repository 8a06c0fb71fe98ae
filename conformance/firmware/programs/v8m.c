/* What Armv8-M has and Armv7-M has not, seen from the Secure state (DDI0553B). */
#include "harness.h"
#ifdef CORE_M33

static void goes_below(void)
{
    WRITE_SPECIAL(psplim, (uint32_t)(process_stack + 240));
    ATTEMPT("mov r2, sp\n sub sp, #64\n str r2, [sp]\n mov sp, r2", "r"(0));
}

CASE(psplim_stops_a_subtraction_below)
{
    note_faults();
    with_psp(goes_below);
    show_fault();
}

static void pushes_below(void)
{
    uint32_t sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    WRITE_SPECIAL(psplim, (sp - 48) & ~7u); /* a frame still fits */
    ATTEMPT("mov r2, sp\n push {r0-r12, lr}\n mov sp, r2", "r"(0));
}

CASE(psplim_stops_a_push)
{
    note_faults();
    with_psp(pushes_below);
    show_fault();
}

static void stays_above(void)
{
    WRITE_SPECIAL(psplim, (uint32_t)(process_stack + 16));
    ATTEMPT("push {r0-r7}\n pop {r0-r7}", "r"(0));
}

CASE(psplim_lets_what_fits_pass)
{
    note_faults();
    with_psp(stays_above);
    show_fault();
}

static void svc_without_room(void)
{
    WRITE_SPECIAL(psplim, (uint32_t)(process_stack + 252));
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

static void shows_overflow(void)
{
    show("exception", READ_SPECIAL(ipsr));
    show("cfsr", CFSR);
    show("hfsr", HFSR);
    show("psp", READ_SPECIAL(psp) - (uint32_t)process_stack);
    show("shcsr", SHCSR & 0xFFFF);
    finish();
}

CASE(psplim_stops_exception_entry)
{
    SHCSR = 7u << 16;
    on(USAGE_FAULT, shows_overflow);
    on(HARD_FAULT, shows_overflow);
    priority(SVCALL, 0x80);
    with_psp(svc_without_room);
}

CASE(stack_limits_read_back)
{
    WRITE_SPECIAL(psplim, 0x20001237);
    show("psplim", READ_SPECIAL(psplim));
    WRITE_SPECIAL(msplim, 0x20000008);
    show("msplim", READ_SPECIAL(msplim));
    WRITE_SPECIAL(msplim, 0);
}

CASE(stack_limits_read_zero_without_privilege)
{
    uint32_t seen;
    WRITE_SPECIAL(psplim, 0x20001000);
    unprivileged();
    seen = READ_SPECIAL(psplim);
    WRITE_SPECIAL(psplim, 0x20002000);
    privileged();
    show("seen", seen);
    show("psplim", READ_SPECIAL(psplim));
}

CASE(msplim_stops_the_main_stack)
{
    note_faults();
    uint32_t here = (uint32_t)__builtin_frame_address(0);
    WRITE_SPECIAL(msplim, here - 512);
    ATTEMPT("mov r2, sp\n sub sp, #0x400\n mov sp, r2", "r"(0));
    WRITE_SPECIAL(msplim, 0);
    show_fault();
}

CASE(sau_registers_read_back)
{
    show("type", REG(0xE000EDD4));
    REG(0xE000EDD8) = 3;
    REG(0xE000EDDC) = 0x20000000;
    REG(0xE000EDE0) = 0x2000FFE1;
    show("rnr", REG(0xE000EDD8));
    show("rbar", REG(0xE000EDDC));
    show("rlar", REG(0xE000EDE0));
    REG(0xE000EDD8) = 2;
    show("other", REG(0xE000EDDC));
}

CASE(sau_control_reads_back)
{
    show("ctrl", REG(0xE000EDD0));
    REG(0xE000EDD0) = 2;
    show("ctrl", REG(0xE000EDD0));
    REG(0xE000EDD0) = 0;
}

CASE(acquire_and_release)
{
    static uint32_t word;
    uint32_t loaded;
    __asm volatile("movs r1, #7\n stl r1, [%1]\n lda %0, [%1]" : "=&r"(loaded) : "r"(&word) : "r1", "cc", "memory");
    show("loaded", loaded);
}

CASE(acquire_exclusive)
{
    static uint32_t word;
    uint32_t failed;
    __asm volatile("ldaex r1, [%1]\n adds r1, #3\n stlex %0, r1, [%1]" : "=&r"(failed) : "r"(&word) : "r1", "cc", "memory");
    show("failed", failed);
    show("word", *(volatile uint32_t *)&word);
}

CASE(secure_gateway_is_a_nop_in_secure_state)
{
    note_faults();
    ATTEMPT(".inst.w 0xE97FE97F", "r"(0)); /* SG */
    show_fault();
}

CASE(system_handler_of_secure_fault_has_a_priority)
{
    SHPR(7) = 0x60;
    show("secure fault", SHPR(7));
}

CASE(nvic_target_state_reads_back)
{
    REG(0xE000E380) = 0x10;
    show("itns", REG(0xE000E380));
}

CASE(aircr_secure_bits)
{
    show("aircr", AIRCR);
    AIRCR = VECTKEY | 1u << 14;
    show("prioritised", AIRCR);
}
#endif
