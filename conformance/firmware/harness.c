/* Runs every program once, each after a system reset, and prints what it observes. */
#include "harness.h"
#include "injected.h"

#ifdef CORE_M33
#define UART 0x50200000u
#else
#define UART 0x40004000u
#endif
#define VECTORS 128

/* Written by the host before the start: the number of the first program, and whether those run that QEMU cannot. */
__attribute__((section(".kept"))) volatile uint32_t first_program;
__attribute__((section(".kept"))) volatile uint32_t with_manual;
__attribute__((section(".kept"))) volatile uint32_t only_one;
__attribute__((section(".kept"))) static volatile uint32_t started; /* MAGIC once the run has begun */
__attribute__((section(".kept"))) static volatile uint32_t current;
__attribute__((section(".kept"))) static volatile uint32_t starts; /* of the current program */
#define MAGIC 0xC0F0A5A5u

extern const struct program __cases_start[], __cases_end[];

__attribute__((section(".vectors"))) static volatile uint32_t vectors[VECTORS];
__attribute__((aligned(8))) uint32_t process_stack[256];
volatile struct note noted;
volatile uint32_t resume_at, began_at;
static char trace[256];
static uint32_t trace_length;

/* --- text */

static void put(char c)
{
    if (is_second()) {
        keep_for_the_first(c);
        return;
    }
    while (REG(UART + 4) & 1)
        ;
    REG(UART) = (uint8_t)c;
}

static void puts_(const char *text)
{
    while (*text)
        put(*text++);
}

static void put_hex(uint32_t value)
{
    puts_("0x");
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
}

void say(const char *text)
{
    puts_(text);
    put('\n');
}

void show(const char *label, uint32_t value)
{
    puts_(label);
    put(' ');
    put_hex(value);
    put('\n');
}

void mark(char letter)
{
    if (trace_length < sizeof trace - 1)
        trace[trace_length++] = letter;
}

void show_trace(void)
{
    trace[trace_length] = 0;
    puts_("trace ");
    say(trace);
    trace_length = 0;
}

/* --- exceptions */

void on(uint32_t exception, handler *h)
{
    vectors[exception] = (uint32_t)h;
    DSB();
}

__attribute__((used)) void record_entry(uint32_t *frame, uint32_t exc_return)
{
    noted.nested_exception = noted.exception;
    noted.count++;
    noted.exception = READ_SPECIAL(ipsr);
    noted.exc_return = exc_return;
    noted.sp = (uint32_t)frame;
    for (int i = 0; i < 8; i++)
        noted.frame[i] = frame[i];
    noted.cfsr = CFSR;
    noted.hfsr = HFSR;
    noted.mmfar = MMFAR;
    noted.bfar = BFAR;
    if (resume_at) {
        frame[6] = resume_at & ~1u;
        frame[7] = (frame[7] & ~0x0600FC00u) | 0x01000000u;
    }
}

static void unexpected(void)
{
    show("unexpected", READ_SPECIAL(ipsr));
    show("cfsr", CFSR);
    show("hfsr", HFSR);
    finish();
}

void note_faults(void)
{
    for (uint32_t exception = HARD_FAULT; exception <= USAGE_FAULT; exception++)
        on(exception, record);
    SHCSR |= 7u << 16;
    DSB();
}

void show_fault(void)
{
    if (!noted.count) {
        say("no fault");
        return;
    }
    show("exception", noted.exception);
    show("pc", noted.frame[6] - began_at);
    show("cfsr", noted.cfsr);
    show("hfsr", noted.hfsr);
    if (noted.count > 1)
        show("count", noted.count);
    CFSR = noted.cfsr;
    HFSR = noted.hfsr;
    noted.count = 0;
}

void show_fault_address(void)
{
    if (noted.cfsr & 0x80)
        show("mmfar", noted.mmfar);
    if (noted.cfsr & 0x8000)
        show("bfar", noted.bfar);
}

void pend(uint32_t exception)
{
    if (exception == NMI)
        ICSR = NMIPENDSET;
    else if (exception == PENDSV)
        ICSR = PENDSVSET;
    else if (exception == SYSTICK)
        ICSR = PENDSTSET;
    else
        ISPR = 1u << (exception - 16);
    DSB();
}

void enable(uint32_t interrupt)
{
    ISER = 1u << interrupt;
    DSB();
}

void priority(uint32_t exception, uint32_t value)
{
    if (exception >= 16)
        IPR(exception - 16) = (uint8_t)value;
    else
        SHPR(exception) = (uint8_t)value;
    DSB();
}

void unprivileged(void)
{
    WRITE_SPECIAL(control, READ_SPECIAL(control) | 1);
}

void make_privileged(void)
{
    WRITE_SPECIAL(control, READ_SPECIAL(control) & ~1u);
}

void privileged(void)
{
    __asm volatile("svc #0" ::: "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

/* --- the run */

uint32_t cause_of_reset(void)
{
    return starts - 1;
}

__attribute__((noreturn)) static void restart(void)
{
    __asm volatile("dsb" ::: "memory");
    AIRCR = VECTKEY | 4;
    for (;;)
        ;
}

void finish(void)
{
    if (trace_length)
        show_trace();
    if (is_second())
        second_ends();
    dismiss_the_second();
    current++;
    starts = 0;
    restart();
}

__attribute__((used)) void run(void)
{
    note_start();
    REG(UART + 16) = 16; /* BAUDDIV, the least that QEMU takes */
    REG(UART + 8) = 1;   /* CTRL: transmit */
    if (started != MAGIC) {
        started = MAGIC;
        current = first_program;
        starts = 0;
    }
    vectors[0] = (uint32_t)__builtin_frame_address(0);
    for (uint32_t number = 1; number < VECTORS; number++)
        vectors[number] = (uint32_t)unexpected;
    vectors[SVCALL] = (uint32_t)make_privileged;
    VTOR = (uint32_t)vectors;
    DSB();
    if (is_second())
        serve();
    prepare_the_second();
    if (injected_count) {
        run_injected();
        say("== end");
        for (;;)
            ;
    }
    const struct program *program = __cases_start + current;
    while (program < __cases_end && program->source && !with_manual) {
        current++;
        program++;
    }
    if (program >= __cases_end || (only_one && current != first_program)) {
        say("== end");
        for (;;)
            ;
    }
    if (starts++ == 0) {
        puts_("== ");
        show(program->name, current);
        if (program->source) {
            puts_("== by ");
            say(program->source);
            puts_(program->expected);
            if (program->expected[0])
                put('\n');
            say("== seen");
        }
    }
    program->run();
    finish();
}
