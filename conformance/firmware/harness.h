/* What programs are written with. A program is a CASE: it runs after a system reset of its own, prints one line for
 * each observation, and what it prints must be the same on QEMU and on the engine under test. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>

struct program {
    const char *name;
    void (*run)(void);
    const char *source; /* of what is expected, for a MANUAL_CASE; else null */
    const char *expected;
};

/* One behaviour. The name is what the table prints: subject_behaviour. */
#define CASE(NAME) PROGRAM(NAME, 0, 0)

/* One behaviour that QEMU lacks or gets wrong: EXPECTED is every line it prints, by SOURCE (document, section). */
#define MANUAL_CASE(NAME, SOURCE, EXPECTED) PROGRAM(NAME, SOURCE, EXPECTED)

#define PROGRAM(NAME, SOURCE, EXPECTED)                                                            \
    static void NAME(void);                                                                        \
    __attribute__((section(".cases." #NAME), used)) static const struct program program_##NAME = { \
        #NAME, NAME, SOURCE, EXPECTED};                                                            \
    static void NAME(void)

/* --- observations */

void say(const char *text);                    /* a line */
void show(const char *label, uint32_t value);  /* "label 0x12345678" */
void mark(char letter);                        /* appends to the trace */
void show_trace(void);                         /* prints and clears the trace */

/* --- exceptions */

enum { NMI = 2, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT, SECURE_FAULT, SVCALL = 11, DEBUG_MONITOR, PENDSV = 14, SYSTICK };
#define IRQ(n) (16 + (n))

typedef void handler(void);
void on(uint32_t exception, handler *h); /* from now on; what has none prints "unexpected" and ends the program */

/* A handler in assembly alone, leaving included. */
#define ASM_HANDLER(NAME, CODE) \
    __attribute__((naked, used)) static void NAME(void) { __asm volatile(CODE); } struct program

/* A handler that notes what happened in `noted` and returns to `resume_at`, the IT state cleared; with `resume_at` 0
 * to where it came from. */
void record(void);

struct note {
    uint32_t count, exception, exc_return, frame[8], sp;
    uint32_t cfsr, hfsr, mmfar, bfar;
    uint32_t nested_exception; /* of the last but one, when several came */
};
extern volatile struct note noted;
extern volatile uint32_t resume_at;
extern volatile uint32_t began_at;

/* MemManage, BusFault and UsageFault enabled; these and HardFault noted by `record`. */
void note_faults(void);

/* Executes assembly, labels 90 and 91 around it; a noted fault goes on behind it. May use r0 to r3, r12, the flags. */
#define ATTEMPT(CODE, ...)                                                                                     \
    __asm volatile("ldr r0, =resume_at\n adr.w r1, 91f\n orr r1, r1, #1\n str r1, [r0]\n"                      \
                   "ldr r0, =began_at\n adr.w r1, 90f\n str r1, [r0]\n b 90f\n .balign 4\n 90:\n" CODE         \
                   "\n b 91f\n .balign 4\n 91:\n" ::__VA_ARGS__                                                \
                   : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory")

/* What was noted: exception, offset of the stacked PC from label 90, CFSR, HFSR; CFSR and HFSR are then cleared. */
void show_fault(void);
void show_fault_address(void); /* BFAR or MMFAR when valid; call it before show_fault */

void pend(uint32_t exception);   /* by ISPR, ICSR; with DSB and ISB */
void enable(uint32_t interrupt); /* by ISER */
void priority(uint32_t exception, uint32_t value);

void unprivileged(void); /* CONTROL.nPRIV: `privileged` leads back */
void privileged(void);   /* by SVC, through the handler that stands there unless `on` replaces it */
void make_privileged(void);
void with_psp(void (*function)(void)); /* runs it in Thread mode on a stack of its own, begun at process_stack + 256 */
extern uint32_t process_stack[256];

uint32_t cause_of_reset(void); /* how often this program was started before: 0, or 1 after its own reset */
__attribute__((noreturn)) void finish(void); /* ends the program, from any mode that may still print */

/* --- registers (DDI0403E B3.2, B3.4; DDI0553B for Armv8-M) */

#define REG(address) (*(volatile uint32_t *)(address))
#define BYTE(address) (*(volatile uint8_t *)(address))
#define HALF(address) (*(volatile uint16_t *)(address))
#define ICTR REG(0xE000E004)
#define ACTLR REG(0xE000E008)
#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)
#define SYST_CALIB REG(0xE000E01C)
#define ISER REG(0xE000E100)
#define ICER REG(0xE000E180)
#define ISPR REG(0xE000E200)
#define ICPR REG(0xE000E280)
#define IABR REG(0xE000E300)
#define IPR(n) BYTE(0xE000E400 + (n))
#define CPUID REG(0xE000ED00)
#define ICSR REG(0xE000ED04)
#define VTOR REG(0xE000ED08)
#define AIRCR REG(0xE000ED0C)
#define SCR REG(0xE000ED10)
#define CCR REG(0xE000ED14)
#define SHPR(n) BYTE(0xE000ED14 + (n)) /* by exception number, from 4 */
#define SHCSR REG(0xE000ED24)
#define CFSR REG(0xE000ED28)
#define HFSR REG(0xE000ED2C)
#define DFSR REG(0xE000ED30)
#define MMFAR REG(0xE000ED34)
#define BFAR REG(0xE000ED38)
#define CPACR REG(0xE000ED88)
#define MPU_TYPE REG(0xE000ED90)
#define MPU_CTRL REG(0xE000ED94)
#define MPU_RNR REG(0xE000ED98)
#define MPU_RBAR REG(0xE000ED9C)
#define MPU_RASR REG(0xE000EDA0)
#define DEMCR REG(0xE000EDFC)
#define STIR REG(0xE000EF00)
#define FPCCR REG(0xE000EF34)
#define FPCAR REG(0xE000EF38)
#define FPDSCR REG(0xE000EF3C)
#define DWT_CTRL REG(0xE0001000)
#define CYCCNT REG(0xE0001004)

#define NMIPENDSET (1u << 31)
#define PENDSVSET (1u << 28)
#define PENDSVCLR (1u << 27)
#define PENDSTSET (1u << 26)
#define PENDSTCLR (1u << 25)
#define VECTKEY 0x05FA0000u

/* No device and no memory answers here, on any of the boards. */
#ifdef CORE_M33
#define NOWHERE 0x3F000000u
#else
#define NOWHERE 0x3F000000u
#endif

#ifdef TWO_CORES
#include "two.h"
#else
#define is_second() 0
#define keep_for_the_first(c) (void)(c)
#define second_ends()
#define note_start()
#define serve()
#define prepare_the_second()
#define dismiss_the_second()
#endif

#define DSB() __asm volatile("dsb\n isb" ::: "memory")
#define READ_SPECIAL(name)                                              \
    ({                                                                  \
        uint32_t value_;                                                \
        __asm volatile("mrs %0, " #name : "=r"(value_)::"memory");      \
        value_;                                                         \
    })
#define WRITE_SPECIAL(name, value) __asm volatile("msr " #name ", %0\n isb" ::"r"(value) : "memory")

#endif
