/* Memory protection: regions, privilege, and the faults that follow (DDI0403E B3.5; DDI0553B, MPU). */
#include "harness.h"

/* Rights of a region. The two that only Armv7-M has are under #ifndef CORE_M33. */
#ifdef CORE_M33
enum { PRIVILEGED_RW = 0, ALL_RW = 1, PRIVILEGED_RO = 2, ALL_RO = 3 };
#else
enum { NO_ACCESS = 0, PRIVILEGED_RW = 1, USER_RO = 2, ALL_RW = 3, PRIVILEGED_RO = 5, ALL_RO = 6 };
#endif
enum { RUN = 0, NEVER = 1 };
enum { ENABLE = 1, HFNMIENA = 2, PRIVDEFENA = 4 };

#define AREA 4096u
#define PAGE 1024u
#define MIXED 32u /* a region that is a part of a page */
static uint8_t area[AREA] __attribute__((aligned(4096)));
#define AT(offset) ((uint32_t)area + (offset))
#define WORD(offset) REG(AT(offset))

static void region(uint32_t number, uint32_t base, uint32_t size, uint32_t access, uint32_t never)
{
    MPU_RNR = number;
#ifdef CORE_M33
    MPU_RBAR = base | access << 1 | never;
    MPU_RASR = ((base + size - 1) & ~31u) | 1;
#else
    MPU_RBAR = base;
    MPU_RASR = never << 28 | access << 24 | (30u - (uint32_t)__builtin_clz(size)) << 1 | 1;
#endif
    DSB();
}

static void protect(uint32_t control)
{
    MPU_CTRL = control;
    DSB();
}

/* All memory for everybody but the area, which is as `access` says. */
static void all_but_the_area(uint32_t access, uint32_t never)
{
#ifdef CORE_M33
    region(0, 0, AT(0), ALL_RW, RUN);
    region(1, AT(AREA), 0xE0000000u - AT(AREA), ALL_RW, RUN);
#else
    MPU_RNR = 0;
    MPU_RBAR = 0;
    MPU_RASR = ALL_RW << 24 | 31 << 1 | 1; /* 4 GB */
#endif
    region(2, AT(0), AREA, access, never);
}

static void user_attempt_done(void)
{
    privileged();
    show_fault_address();
    show_fault();
}

/* mov r0, #0x55; bx lr */
static void put_code(uint32_t offset)
{
    WORD(offset) = 0x47702055;
    DSB();
}

#define LOAD(offset) ATTEMPT("ldr r2, [%0]", "r"(AT(offset)))
#define STORE(offset) ATTEMPT("mov r2, #0x77\n str r2, [%0]", "r"(AT(offset)))
#define CALL(offset) ATTEMPT("blx %0", "r"(AT(offset) | 1))
#define SEEN()                \
    do {                      \
        show_fault_address(); \
        show_fault();         \
    } while (0)

CASE(mpu_registers_read_back)
{
    MPU_RNR = 3;
    MPU_RBAR = 0x20001000;
#ifdef CORE_M33
    MPU_RASR = 0x20001FE1;
#else
    MPU_RASR = 0x0306041B;
#endif
    MPU_RNR = 2;
    show("other", MPU_RBAR & ~31u);
    MPU_RNR = 3;
    show("rnr", MPU_RNR);
    show("rbar", MPU_RBAR);
    show("second", MPU_RASR);
    show("ctrl", MPU_CTRL);
    MPU_CTRL = PRIVDEFENA;
    show("ctrl", MPU_CTRL);
}

CASE(mpu_disabled_regions_do_nothing)
{
    note_faults();
    region(0, AT(0), PAGE, PRIVILEGED_RO, NEVER);
    STORE(0);
    SEEN();
    show("stored", WORD(0));
}

CASE(mpu_read_only_refuses_a_store)
{
    note_faults();
    region(0, AT(0), PAGE, PRIVILEGED_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    LOAD(8);
    SEEN();
    STORE(8);
    SEEN();
    show("stored", WORD(8));
}

CASE(mpu_a_part_of_a_page_refuses_a_store)
{
    note_faults();
    region(0, AT(64), MIXED, PRIVILEGED_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    STORE(60);
    SEEN();
    STORE(96);
    SEEN();
    STORE(64);
    SEEN();
    show("below", WORD(60));
    show("behind", WORD(96));
    show("inside", WORD(64));
}

CASE(mpu_address_of_a_byte_store_is_exact)
{
    note_faults();
    region(0, AT(0), MIXED, PRIVILEGED_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("strb r2, [%0, #5]", "r"(AT(0)));
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_user_is_refused_what_is_privileged)
{
    note_faults();
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    LOAD(16);
    SEEN();
    unprivileged();
    LOAD(16);
    user_attempt_done();
}

CASE(mpu_user_reads_what_all_may_read)
{
    note_faults();
    all_but_the_area(ALL_RO, RUN);
    protect(ENABLE);
    unprivileged();
    LOAD(16);
    user_attempt_done();
    unprivileged();
    STORE(16);
    user_attempt_done();
}

CASE(mpu_user_writes_what_all_may_write)
{
    note_faults();
    all_but_the_area(ALL_RW, RUN);
    protect(ENABLE);
    unprivileged();
    STORE(16);
    user_attempt_done();
    show("stored", WORD(16));
}

/* Regions for what the programs need, and none at NOWHERE. */
static void all_but_nowhere(void)
{
#ifdef CORE_M33
    region(0, 0, 0x3F000000, ALL_RW, RUN);
#else
    region(0, 0, 0x20000000, ALL_RW, RUN);
    region(1, 0x20000000, 0x10000000, ALL_RW, RUN);
#endif
    region(2, 0x40000000, 0x20000000, ALL_RW, NEVER);
}

CASE(mpu_no_region_is_refused_without_background)
{
    note_faults();
    all_but_nowhere();
    protect(ENABLE);
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    SEEN();
}

CASE(mpu_background_leaves_the_rest_to_the_bus)
{
    note_faults();
    all_but_nowhere();
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    SEEN();
}

CASE(mpu_background_is_not_for_users)
{
    note_faults();
    all_but_nowhere();
    protect(ENABLE | PRIVDEFENA);
    unprivileged();
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    user_attempt_done();
}

CASE(mpu_call_into_a_region_that_runs)
{
    note_faults();
    put_code(0);
    all_but_the_area(ALL_RO, RUN);
    protect(ENABLE);
    CALL(0);
    SEEN();
}

CASE(mpu_call_into_a_region_that_never_runs)
{
    note_faults();
    put_code(0);
    all_but_the_area(ALL_RO, NEVER);
    protect(ENABLE);
    CALL(0);
    show("target", noted.frame[6] - AT(0));
    show("cfsr", noted.cfsr);
}

CASE(mpu_call_into_a_part_of_a_page_that_never_runs)
{
    note_faults();
    put_code(64);
    put_code(96);
    region(0, AT(64), MIXED, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    CALL(96);
    SEEN();
    CALL(64);
    show("target", noted.frame[6] - AT(64));
    show("cfsr", noted.cfsr);
}

CASE(mpu_user_calls_privileged_code)
{
    note_faults();
    put_code(0);
    all_but_the_area(PRIVILEGED_RO, RUN);
    protect(ENABLE);
    CALL(0);
    SEEN();
    unprivileged();
    CALL(0);
    privileged();
    show("target", noted.frame[6] - AT(0));
    show("cfsr", noted.cfsr);
}

CASE(mpu_execution_runs_into_a_region)
{
    note_faults();
    WORD(PAGE - 4) = 0xBF00BF00; /* nop, nop */
    put_code(PAGE);
    region(0, AT(PAGE), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    CALL(PAGE - 4);
    show("target", noted.frame[6] - AT(PAGE));
    show("cfsr", noted.cfsr);
}

CASE(mpu_a_wide_instruction_reaches_into_a_region)
{
    note_faults();
    WORD(PAGE - 4) = 0xF04FBF00; /* nop, mov.w r0, #1 */
    WORD(PAGE) = 0x47700001;
    DSB();
    region(0, AT(PAGE), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    CALL(PAGE - 4);
    show("target", noted.frame[6] - AT(PAGE));
    show("cfsr", noted.cfsr);
}

CASE(mpu_system_space_is_never_executed)
{
    note_faults();
    region(0, 0xE0200000, PAGE, ALL_RW, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("blx %0", "r"(0xE0200001));
    show("pc", noted.frame[6]);
    show("cfsr", noted.cfsr);
}

CASE(mpu_off_peripherals_are_never_executed)
{
    note_faults();
    ATTEMPT("blx %0", "r"(0x40004001));
    show("pc", noted.frame[6]);
    show("cfsr", noted.cfsr);
}

CASE(mpu_code_of_the_default_map_runs_again_when_it_is_switched_off)
{
    note_faults();
    put_code(0);
    region(0, AT(0), AREA, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    CALL(0);
    show("cfsr", noted.cfsr);
    CFSR = noted.cfsr;
    noted.count = 0;
    protect(0);
    CALL(0);
    SEEN();
}

CASE(mpu_a_changed_region_holds_at_once)
{
    note_faults();
    region(0, AT(0), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    STORE(0);
    SEEN();
    region(0, AT(0), PAGE, ALL_RW, RUN);
    STORE(0);
    SEEN();
    region(0, AT(PAGE), PAGE, ALL_RO, RUN);
    STORE(PAGE);
    SEEN();
}

static void open_region(void)
{
    mark('m');
    MPU_RNR = 0;
    MPU_RASR = 0;
    CFSR = CFSR;
    DSB();
}

CASE(mpu_handler_opens_the_region_and_the_store_happens)
{
    uint32_t base;
    note_faults();
    on(MEM_MANAGE, open_region);
    region(0, AT(0), MIXED, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    __asm volatile("mov %0, %1\n mov r2, #0x66\n str r2, [%0, #12]!" : "=&r"(base) : "r"(AT(0)) : "r2", "memory");
    show_trace();
    show("base", base - AT(0));
    show("stored", WORD(12));
}

CASE(mpu_fault_within_an_it_block_resumes_within_it)
{
    uint32_t before = 0, after = 0;
    note_faults();
    on(MEM_MANAGE, open_region);
    region(0, AT(0), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    __asm volatile("movs r2, #0\n ittt eq\n addeq %0, #1\n streq %2, [%3]\n addeq %1, #1"
                   : "+l"(before), "+l"(after) : "l"(0x44), "l"(AT(0)) : "r2", "cc", "memory");
    show_trace();
    show("before", before);
    show("after", after);
    show("stored", WORD(0));
}

CASE(mpu_load_multiple_keeps_its_base)
{
    note_faults();
    all_but_the_area(ALL_RW, RUN);
    region(2, AT(0), AREA, PRIVILEGED_RW, RUN);
    protect(ENABLE);
    unprivileged();
    ATTEMPT("mov r3, %0\n ldmia r3!, {r2, r12}", "r"(AT(16)));
    privileged();
    show("base", noted.frame[3] - AT(0));
    show_fault();
}

CASE(mpu_store_multiple_across_a_border)
{
    note_faults();
    region(0, AT(PAGE), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("mov r2, #1\n mov r12, #2\n add r3, %0, #-4\n stmia r3!, {r2, r12}", "r"(AT(PAGE)));
    show("base", noted.frame[3] - AT(0));
    show("below", WORD(PAGE - 4));
    show("inside", WORD(PAGE));
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_store_double_across_a_border)
{
    note_faults();
    region(0, AT(PAGE), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("mov r2, #1\n mov r3, #2\n strd r2, r3, [%0, #-4]", "r"(AT(PAGE)));
    show("inside", WORD(PAGE));
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_unaligned_load_across_a_border)
{
    note_faults();
    all_but_the_area(ALL_RW, RUN);
    region(2, AT(PAGE), PAGE, PRIVILEGED_RW, RUN);
#ifdef CORE_M33
    region(3, AT(0), PAGE, ALL_RW, RUN);
    region(4, AT(2 * PAGE), 2 * PAGE, ALL_RW, RUN);
#endif
    protect(ENABLE);
    unprivileged();
    ATTEMPT("ldr r2, [%0, #-2]", "r"(AT(PAGE)));
    privileged();
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_unaligned_store_across_a_border_stores_nothing)
{
    note_faults();
    region(0, AT(PAGE), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("mvn r2, #0\n str r2, [%0, #-2]", "r"(AT(PAGE)));
    show("below", WORD(PAGE - 4));
    show("inside", WORD(PAGE));
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_refused_exclusive_load)
{
    note_faults();
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    unprivileged();
    ATTEMPT("ldrex r2, [%0]", "r"(AT(8)));
    user_attempt_done();
}

CASE(mpu_refused_exclusive_store)
{
    note_faults();
    region(0, AT(0), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("ldrex r2, [%0]\n mov r2, #9\n strex r3, r2, [%0]", "r"(AT(8)));
    SEEN();
    show("stored", WORD(8));
}

CASE(mpu_refused_pop_of_pc)
{
    note_faults();
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    unprivileged();
    ATTEMPT("ldr pc, [%0]", "r"(AT(8)));
    user_attempt_done();
}

CASE(mpu_refused_table_branch)
{
    note_faults();
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    unprivileged();
    ATTEMPT("mov r2, #3\n tbb [%0, r2]", "r"(AT(8)));
    user_attempt_done();
}

CASE(mpu_refused_floating_point_store)
{
    note_faults();
    CPACR |= 0xFu << 20;
    DSB();
    region(0, AT(0), PAGE, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    /* vstmia r3!, {s0-s1} */
    ATTEMPT("mov r3, %0\n .inst.w 0xECA30A02", "r"(AT(8)));
    show("base", noted.frame[3] - AT(0));
    show("offset", noted.mmfar - AT(0));
    show_fault();
}

CASE(mpu_ldrt_is_a_users_load)
{
    note_faults();
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    ATTEMPT("ldrt r2, [%0, #20]", "r"(AT(0)));
    SEEN();
    LOAD(20);
    SEEN();
}

CASE(mpu_strt_is_a_users_store)
{
    note_faults();
    all_but_the_area(ALL_RO, RUN);
    region(2, AT(0), AREA, PRIVILEGED_RW, RUN);
    protect(ENABLE);
    ATTEMPT("mov r2, #1\n strbt r2, [%0, #20]", "r"(AT(0)));
    SEEN();
    show("stored", WORD(20));
}

CASE(mpu_ldrt_reads_what_users_may_read)
{
    note_faults();
    WORD(24) = 0x1234;
    all_but_the_area(ALL_RO, RUN);
    protect(ENABLE);
    ATTEMPT("ldrsht r2, [%0, #24]", "r"(AT(0)));
    SEEN();
}

static void load_as_user(void)
{
    ATTEMPT("ldrt r2, [%0]", "r"(AT(0)));
}

CASE(mpu_ldrt_in_a_handler_is_a_users_load)
{
    note_faults();
    on(SVCALL, load_as_user);
    priority(SVCALL, 0xC0);
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    SEEN();
}

static void store_in_area(void)
{
    WORD(0) = 0x99;
    mark('s');
}

CASE(mpu_handler_of_a_user_is_privileged)
{
    note_faults();
    on(PENDSV, store_in_area);
    all_but_the_area(PRIVILEGED_RW, RUN);
    protect(ENABLE);
    ICSR = PENDSVSET;
    DSB();
    on(IRQ(1), store_in_area);
    enable(1);
    CCR |= 2;
    unprivileged();
    STIR = 1;
    DSB();
    STORE(4);
    privileged();
    show_trace();
    show("stored", WORD(0));
    SEEN();
}

CASE(mpu_nmi_handler_is_not_protected)
{
    note_faults();
    on(NMI, store_in_area);
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    pend(NMI);
    show_trace();
    show("stored", WORD(0));
    STORE(4);
    SEEN();
}

CASE(mpu_hfnmiena_reads_in_an_nmi_handler_are_checked)
{
    note_faults();
    on(NMI, store_in_area);
    region(0, AT(PAGE), PAGE, ALL_RO, NEVER);
    protect(ENABLE | HFNMIENA | PRIVDEFENA);
    pend(NMI);
    show_trace();
    show("stored", WORD(0));
    STORE(PAGE);
    SEEN();
}

CASE(mpu_faultmask_takes_it_out_of_force)
{
    note_faults();
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    __asm volatile("mov r2, #0x31\n cpsid f\n str r2, [%0]\n cpsie f" ::"r"(AT(0)) : "r2", "memory");
    show("stored", WORD(0));
    STORE(0);
    SEEN();
}

CASE(mpu_refusal_without_its_handler_is_a_hardfault)
{
    note_faults();
    SHCSR = 0;
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    STORE(0);
    SEEN();
}

CASE(mpu_refusal_at_the_priority_of_its_handler_is_a_hardfault)
{
    note_faults();
    priority(MEM_MANAGE, 0x80);
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    WRITE_SPECIAL(basepri, 0x80);
    STORE(0);
    WRITE_SPECIAL(basepri, 0);
    SEEN();
}

static void after_bad_frame(void)
{
    uint32_t cfsr = CFSR;
    MPU_CTRL = 0;
    DSB();
    show("ipsr", READ_SPECIAL(ipsr));
    show("cfsr", cfsr);
    show("hfsr", HFSR);
    show("moved", AT(PAGE) - READ_SPECIAL(psp));
    show("written", WORD(PAGE - 32));
    show_trace();
    finish();
}

static void mark_svc(void) { mark('v'); }

/* Thread mode on a stack in the area, which is refused from now on. */
static void stand_on_the_area(void)
{
    __asm volatile("msr psp, %0\n mrs r2, control\n orr r2, #2\n msr control, r2\n isb\n svc #0\n b ." ::"r"(AT(PAGE)) : "r2");
}

CASE(mpu_stacking_is_refused)
{
    note_faults();
    on(MEM_MANAGE, after_bad_frame);
    on(SVCALL, mark_svc);
    priority(SVCALL, 0xC0);
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    stand_on_the_area();
}

CASE(mpu_stacking_is_refused_by_a_part_of_a_page)
{
    note_faults();
    on(MEM_MANAGE, after_bad_frame);
    on(SVCALL, mark_svc);
    priority(SVCALL, 0xC0);
    region(0, AT(PAGE - 32), MIXED, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    stand_on_the_area();
}

CASE(mpu_stacking_has_the_users_rights)
{
    note_faults();
    on(MEM_MANAGE, after_bad_frame);
    on(SVCALL, mark_svc);
    priority(SVCALL, 0xC0);
    all_but_the_area(PRIVILEGED_RW, NEVER);
    protect(ENABLE);
    __asm volatile("msr psp, %0\n mov r2, #3\n msr control, r2\n isb\n svc #0\n b ." ::"r"(AT(PAGE)) : "r2");
}

CASE(mpu_stacking_refused_and_the_handler_comes_first)
{
    note_faults();
    on(MEM_MANAGE, after_bad_frame);
    on(SVCALL, mark_svc);
    priority(MEM_MANAGE, 0x40);
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    stand_on_the_area();
}

CASE(mpu_stacking_refused_without_its_handler)
{
    note_faults();
    SHCSR = 0;
    on(HARD_FAULT, after_bad_frame);
    on(SVCALL, mark_svc);
    priority(SVCALL, 0xC0);
    region(0, AT(0), PAGE, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    stand_on_the_area();
}

static void take_the_stack_away(void)
{
    mark('v');
    all_but_the_area(PRIVILEGED_RW, NEVER);
    protect(ENABLE);
}

CASE(mpu_unstacking_has_the_users_rights)
{
    note_faults();
    on(MEM_MANAGE, after_bad_frame);
    on(SVCALL, take_the_stack_away);
    __asm volatile("msr psp, %0\n mov r2, #3\n msr control, r2\n isb\n svc #0\n b ." ::"r"(AT(PAGE)) : "r2");
}

CASE(mpu_user_has_no_system_control_space)
{
    note_faults();
    protect(0);
    unprivileged();
    ATTEMPT("ldr r2, [%0]", "r"(0xE000ED00));
    user_attempt_done();
}

CASE(mpu_user_cannot_switch_it_off)
{
    note_faults();
    all_but_the_area(ALL_RO, RUN);
    protect(ENABLE);
    unprivileged();
    ATTEMPT("mov r2, #0\n str r2, [%0]", "r"(0xE000ED94));
    privileged();
    show("ctrl", MPU_CTRL);
    SEEN();
}

CASE(mpu_ldrt_has_no_system_control_space)
{
    note_faults();
    ATTEMPT("ldrt r2, [%0]", "r"(0xE000ED00));
    SEEN();
}

CASE(mpu_user_has_stir_only_when_it_is_granted)
{
    note_faults();
    on(IRQ(1), mark_svc);
    enable(1);
    unprivileged();
    ATTEMPT("mov r2, #1\n str r2, [%0]\n dsb\n isb", "r"(0xE000EF00));
    user_attempt_done();
    CCR |= 2; /* USERSETMPEND */
    unprivileged();
    ATTEMPT("mov r2, #1\n str r2, [%0]\n dsb\n isb", "r"(0xE000EF00));
    user_attempt_done();
    show_trace();
}

CASE(mpu_regions_do_not_reach_the_private_bus)
{
    note_faults();
    region(0, 0xE000E000, 4096, ALL_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    MPU_RNR = 5;
    show("rnr", MPU_RNR);
    SEEN();
}

CASE(mpu_device_in_a_read_only_region)
{
    note_faults();
#ifdef CORE_M33
    uint32_t device = 0x50200000;
#else
    uint32_t device = 0x40004000;
#endif
    region(0, device, 4096, PRIVILEGED_RO, NEVER);
    protect(ENABLE | PRIVDEFENA);
    ATTEMPT("ldr r2, [%0, #4]", "r"(device));
    uint32_t loads = noted.count;
    ATTEMPT("mov r2, #65\n str r2, [%0]", "r"(device));
    protect(0);
    show("loads", loads);
    SEEN();
}

CASE(mpu_literals_need_no_more_than_reading)
{
    note_faults();
    WORD(0) = 0x47704800; /* ldr r0, [pc, #0]; bx lr */
    WORD(4) = 0x1234;
    DSB();
    region(0, AT(0), MIXED, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    CALL(0);
    SEEN();
}

#ifndef CORE_M33

CASE(mpu_no_access_is_for_nobody)
{
    note_faults();
    region(0, AT(0), PAGE, NO_ACCESS, RUN);
    protect(ENABLE | PRIVDEFENA);
    LOAD(4);
    SEEN();
}

CASE(mpu_user_reads_what_only_privileged_code_writes)
{
    note_faults();
    all_but_the_area(USER_RO, RUN);
    protect(ENABLE);
    STORE(4);
    SEEN();
    unprivileged();
    LOAD(4);
    user_attempt_done();
    unprivileged();
    STORE(4);
    user_attempt_done();
}

CASE(mpu_code_that_cannot_be_read_cannot_be_executed)
{
    note_faults();
    put_code(0);
    region(0, AT(0), PAGE, NO_ACCESS, RUN);
    protect(ENABLE | PRIVDEFENA);
    CALL(0);
    show("target", noted.frame[6] - AT(0));
    show("cfsr", noted.cfsr);
}

CASE(mpu_disabled_subregion_leaves_the_region_below)
{
    note_faults();
    region(0, AT(0), AREA, ALL_RO, RUN);
    region(1, AT(0), 2048, ALL_RW, RUN);
    MPU_RASR |= 2 << 8;
    protect(ENABLE | PRIVDEFENA);
    STORE(252);
    SEEN();
    STORE(256);
    SEEN();
    STORE(512);
    SEEN();
}

CASE(mpu_disabled_subregion_leaves_the_background)
{
    note_faults();
    region(1, AT(0), 256, ALL_RO, RUN);
    MPU_RASR |= 0x80 << 8;
    protect(ENABLE | PRIVDEFENA);
    STORE(220); /* in this order: QEMU remembers the background for the whole page */
    SEEN();
    STORE(224);
    SEEN();
}

CASE(mpu_small_regions_have_no_subregions)
{
    note_faults();
    region(1, AT(0), 128, ALL_RO, RUN);
    MPU_RASR |= 0xFF << 8;
    protect(ENABLE | PRIVDEFENA);
    STORE(64);
    SEEN();
}

CASE(mpu_higher_number_decides_an_overlap)
{
    note_faults();
    region(4, AT(0), PAGE, ALL_RW, RUN);
    region(1, AT(0), AREA, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    STORE(0);
    SEEN();
    STORE(PAGE);
    SEEN();
}

CASE(mpu_rbar_with_valid_selects_its_region)
{
    note_faults();
    MPU_RNR = 1;
    MPU_RBAR = AT(0) | 0x10 | 5;
    MPU_RASR = ALL_RO << 24 | 9 << 1 | 1;
    show("rnr", MPU_RNR);
    show("rbar", MPU_RBAR - AT(0));
    protect(ENABLE | PRIVDEFENA);
    STORE(0);
    SEEN();
}

CASE(mpu_aliases_program_four_regions)
{
    volatile uint32_t *registers = &MPU_RBAR;
    note_faults();
    for (uint32_t i = 0; i < 4; i++) {
        registers[2 * i] = (AT(0) + 32 * i) | 0x10 | i;
        registers[2 * i + 1] = (i & 1 ? ALL_RW : ALL_RO) << 24 | 4 << 1 | 1;
    }
    show("rnr", MPU_RNR);
    protect(ENABLE | PRIVDEFENA);
    for (uint32_t i = 0; i < 4; i++) {
        STORE(32 * i);
        show("refused", noted.count);
        CFSR = noted.cfsr;
        noted.count = 0;
    }
}

CASE(mpu_vectors_are_fetched_past_it)
{
    note_faults();
    on(PENDSV, mark_svc);
    region(0, VTOR, 512, NO_ACCESS, NEVER);
    protect(ENABLE | PRIVDEFENA);
    pend(PENDSV);
    show_trace();
}

#else

CASE(mpu_overlap_is_refused)
{
    note_faults();
    region(0, AT(0), 2 * PAGE, ALL_RW, RUN);
    region(1, AT(PAGE), 2 * PAGE, ALL_RW, RUN);
    protect(ENABLE | PRIVDEFENA);
    STORE(PAGE - 4);
    SEEN();
    STORE(PAGE);
    SEEN();
    STORE(2 * PAGE);
    SEEN();
}

CASE(mpu_overlap_within_a_page_is_refused)
{
    note_faults();
    region(0, AT(0), 128, ALL_RW, RUN);
    region(1, AT(96), 64, ALL_RW, RUN);
    protect(ENABLE | PRIVDEFENA);
    LOAD(92);
    SEEN();
    LOAD(96);
    SEEN();
    LOAD(128);
    SEEN();
}

CASE(mpu_region_ends_at_its_limit)
{
    note_faults();
    region(0, AT(64), 96, ALL_RO, RUN);
    protect(ENABLE | PRIVDEFENA);
    STORE(156);
    SEEN();
    STORE(160);
    SEEN();
}

CASE(mpu_region_whose_limit_lies_below_its_base_is_empty)
{
    note_faults();
    MPU_RNR = 0;
    MPU_RBAR = AT(64) | ALL_RO << 1;
    MPU_RASR = AT(32) | 1;
    protect(ENABLE | PRIVDEFENA);
    STORE(32);
    SEEN();
    STORE(64);
    SEEN();
}

CASE(mpu_aliases_reach_the_four_regions_around_rnr)
{
    volatile uint32_t *registers = &MPU_RBAR;
    MPU_RNR = 4;
    for (uint32_t i = 0; i < 4; i++)
        registers[2 * i] = AT(0) + 32 * i;
    for (uint32_t i = 4; i < 8; i++) {
        MPU_RNR = i;
        show("rbar", MPU_RBAR - AT(0));
    }
}

CASE(mpu_attributes_read_back)
{
    REG(0xE000EDC0) = 0x44FF0004;
    REG(0xE000EDC4) = 0x12345678;
    show("mair0", REG(0xE000EDC0));
    show("mair1", REG(0xE000EDC4));
}

#endif
