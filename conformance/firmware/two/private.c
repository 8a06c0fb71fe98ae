/* What each core has of its own: NVIC, SysTick, SCB, MPU, masks (DDI0553B B3, B11; SSE-200 Technical Overview). */
#include "harness.h"

static void ticks(void)
{
    mark('t');
    SYST_CSR = 0;
}
static void is_quiet(void)
{
    show("csr", SYST_CSR & 3);
    show("reload", SYST_RVR);
    on(SYSTICK, ticks);
    mark('.');
    show_trace();
}
BOTH(systick_is_private)
{
    on(SYSTICK, ticks);
    SYST_RVR = 1000;
    SYST_CVR = 0;
    SYST_CSR = 7;
    while (SYST_CSR & 1)
        YIELD();
    show_trace();
    SYST_RVR = 0x123456;
    other(is_quiet);
    show("reload", SYST_RVR);
    SYST_RVR = 0;
}

static void ticks_ten_times(void)
{
    if (++WORD(this_core()) == 10)
        SYST_CSR = 0;
}
static void starts_ticking(void)
{
    on(SYSTICK, ticks_ten_times);
    SYST_RVR = this_core() ? 777 : 1111;
    SYST_CVR = 0;
    SYST_CSR = 7;
    while (WORD(this_core()) < 10)
        YIELD();
}
CASE(systick_of_both_at_once)
{
    begin(starts_ticking);
    starts_ticking();
    end();
    show("first", WORD(0));
    show("second", WORD(1));
}

static void shows_nvic(void)
{
    show("enabled", ISER);
    show("pending", ISPR);
    show("priority", IPR(3));
    show("vtor", VTOR == WORD(9));
}
BOTH(nvic_is_private)
{
    MASK();
    ISER = 8;
    ISPR = 8;
    IPR(3) = 0x60;
    WORD(9) = VTOR;
    DSB();
    shows_nvic();
    other(shows_nvic);
    ICER = ICPR = 8;
    IPR(3) = 0;
    UNMASK();
}

static void shows_masks(void)
{
    show("primask", READ_SPECIAL(primask));
    show("basepri", READ_SPECIAL(basepri));
    show("faultmask", READ_SPECIAL(faultmask));
}
BOTH(masks_are_private)
{
    WRITE_SPECIAL(basepri, 0x40);
    MASK();
    shows_masks();
    other(shows_masks);
    UNMASK();
    WRITE_SPECIAL(basepri, 0);
}

static void shows_scb(void)
{
    show("ccr", CCR & 0x18);
    show("scr", SCR);
    show("shcsr", SHCSR);
    show("pendsv", SHPR(PENDSV));
    show("aircr", AIRCR & 0x700);
}
BOTH(scb_is_private)
{
    CCR |= 0x10;
    SCR = 0x10;
    SHCSR = 7u << 16;
    SHPR(PENDSV) = 0xE0;
    AIRCR = VECTKEY | 3 << 8;
    shows_scb();
    other(shows_scb);
    CCR &= ~0x10u;
    SCR = SHCSR = 0;
    SHPR(PENDSV) = 0;
    AIRCR = VECTKEY;
}

static void divides_by_zero(void)
{
    uint32_t result;
    __asm volatile("movs r0, #5\n movs r1, #0\n udiv %0, r0, r1" : "=r"(result)::"r0", "r1");
    show("quotient", result);
}
BOTH(division_traps_on_one_core_only)
{
    note_faults();
    CCR |= 0x10;
    other(divides_by_zero);
    ATTEMPT("movs r2, #0\n udiv r2, r2, r2", "r"(0));
    show_fault();
    CCR &= ~0x10u;
}

#define AREA (SHARED + 0x120000)
static void stores_into_the_area(void)
{
    show("ctrl", MPU_CTRL);
    MPU_RNR = 0;
    show("rbar", MPU_RBAR & ~31u);
    REG(AREA + 32) = 7;
}
BOTH(mpu_is_private)
{
    REG(AREA + 32) = 0;
    note_faults();
    MPU_RNR = 0;
    MPU_RBAR = AREA | 2 << 1; /* read-only */
    MPU_RASR = (AREA + 224) | 1;
    MPU_CTRL = 5; /* the background for the rest */
    DSB();
    ATTEMPT("str r2, [%0, #32]", "r"(AREA));
    show_fault_address();
    show_fault();
    other(stores_into_the_area);
    show("stored by the other", REG(AREA + 32));
    MPU_CTRL = 0;
    DSB();
    MPU_RBAR = MPU_RASR = 0;
}

static void faults(void)
{
    note_faults();
    ATTEMPT("ldr r2, [%0]", "r"(NOWHERE));
    show("cfsr", noted.cfsr);
}
BOTH(fault_of_the_other_core_leaves_no_mark)
{
    other(faults);
    show("cfsr", CFSR);
    show("hfsr", HFSR);
    show("own", noted.count && noted.exception == BUS_FAULT && noted.cfsr == 0);
}

__attribute__((used)) static void tells_of_its_fault(void)
{
    WORD(4) = READ_SPECIAL(ipsr);
    WORD(5) = CFSR;
    ring(0, 1);
    CFSR = CFSR;
}
ASM_HANDLER(tells_and_skips, "ldr r0, [sp, #24]\n adds r0, #2\n str r0, [sp, #24]\n b tells_of_its_fault");
static void has_a_fault(void)
{
    on(USAGE_FAULT, tells_and_skips);
    SHCSR = 1u << 18;
    DSB();
    __asm volatile("udf #3" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}
BOTH(fault_of_the_other_core_told_by_doorbell)
{
    bells();
    other(has_a_fault);
    show_trace();
    show("exception", WORD(4));
    show("cfsr", WORD(5));
}

static void pends_everything(void)
{
    mark('(');
    ICSR = PENDSVSET;
    ICSR = PENDSTSET;
    STIR = 3;
    DSB();
    mark(')');
}
static void p(void) { mark('p'); }
static void t(void) { mark('t'); }
static void i(void) { mark('i'); }
static void listens(void)
{
    on(PENDSV, p);
    on(SYSTICK, t);
    on(IRQ(3), i);
    enable(3);
}
static void pends(void)
{
    listens();
    pends_everything();
    show_trace();
}
BOTH(pending_is_private)
{
    listens();
    other(pends);
    mark('.');
    show_trace();
    ICER = 8;
}

static void shows_stacks(void)
{
    show("msp", READ_SPECIAL(msp) - (uint32_t)__builtin_frame_address(0) < 64);
    show("psp", READ_SPECIAL(psp));
    show("control", READ_SPECIAL(control));
    show("psplim", READ_SPECIAL(psplim));
}
BOTH(stacks_are_private)
{
    WRITE_SPECIAL(psp, 0x38001000);
    WRITE_SPECIAL(psplim, 0x38000800);
    other(shows_stacks);
    show("psp", READ_SPECIAL(psp));
    WRITE_SPECIAL(psplim, 0);
    WRITE_SPECIAL(psp, 0);
}

static void stores_its_number(void) { REG(0x50011000 + 0x10) = 0; }
BOTH(registers_at_one_address_for_each_core)
{
    REG(0x50010000 + 4) = 0;
    stores_its_number();
    other(stores_its_number);
    show("identity", CPU_IDENTITY);
    show("version", REG(0x50020000));
}

static void goes_astray(void)
{
    WORD(6) = 1;
    while (!WORD(7))
        YIELD();
}
static void bell_astray(void)
{
    mark('a');
    hush(0, 1);
    goes_astray();
}
static void is_kept_in_its_handler(void)
{
    on(IRQ(BELL(0)), bell_astray);
    enable(BELL(0));
    while (!WORD(7))
        YIELD();
    show_trace();
}
CASE(core_in_a_handler_for_long_leaves_the_other_alone)
{
    begin(is_kept_in_its_handler);
    ring(0, 1);
    while (!WORD(6))
        YIELD();
    on(PENDSV, p);
    pend(PENDSV);
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    show_trace();
    WORD(7) = 1;
    end();
}
