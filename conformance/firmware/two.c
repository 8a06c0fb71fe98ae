/* How the two cores work together: two.h. */
#include "harness.h"

__attribute__((section(".kept"), used)) volatile uint32_t yields; /* written by the host: YIELD() has an effect */
struct start at_start;
extern char __stack_top[];
void reset_handler(void);

void note_start(void)
{
    at_start.vtor = VTOR;
    at_start.control = READ_SPECIAL(control);
    at_start.primask = READ_SPECIAL(primask);
    at_start.basepri = READ_SPECIAL(basepri);
    at_start.faultmask = READ_SPECIAL(faultmask);
    at_start.ipsr = READ_SPECIAL(ipsr);
    at_start.msp = READ_SPECIAL(msp);
    at_start.systick = SYST_CSR & 3; /* which clock SysTick has is the board's matter */
    at_start.enabled = ISER;
}

void keep_for_the_first(char c)
{
    static const char mark_of_second[] = "1: ";
    static uint32_t begun; /* a line */
    for (const char *each = mark_of_second; !begun && *each; each++)
        shared->said[shared->said_length++ % SAID_ROOM] = *each;
    begun = c != '\n';
    shared->said[shared->said_length++ % SAID_ROOM] = c;
}

/* Prints what the second core has said, line by line. */
static void hear(void)
{
    static char line[80];
    uint32_t length = 0;
    for (uint32_t i = 0; i < shared->said_length; i++) {
        char c = shared->said[i % SAID_ROOM];
        line[length] = 0;
        if (c == '\n') {
            say(line);
            length = 0;
        } else if (length < sizeof line - 1) {
            line[length++] = c;
        }
    }
    shared->said_length = 0;
}

__attribute__((noreturn)) void second_ends(void)
{
    DSB();
    shared->ended = 1;
    for (;;)
        YIELD();
}

void prepare_the_second(void)
{
    for (uint32_t *word = (uint32_t *)SHARED; word < (uint32_t *)shared->said; word++)
        *(volatile uint32_t *)word = 0;
    shared->yields = yields;
}

/* As a reset leaves the core, as far as programs change it. QEMU's second core goes through a system reset unchanged. */
static void clean(void)
{
    SYST_CSR = 0;
    ICER = ICPR = 0xFFFFFFFF;
    for (uint32_t interrupt = 0; interrupt < 32; interrupt++)
        IPR(interrupt) = 0;
    for (uint32_t exception = MEM_MANAGE; exception < 16; exception++)
        SHPR(exception) = 0;
    ICSR = PENDSVCLR | PENDSTCLR;
    AIRCR = VECTKEY;
    MPU_CTRL = SCR = SHCSR = CPACR = 0;
    CCR = 0x201;
    CFSR = CFSR;
    HFSR = HFSR;
    FPCCR = 0xC0000004;
    WRITE_SPECIAL(psplim, 0);
    WRITE_SPECIAL(control, 0);
    WRITE_SPECIAL(basepri, 0);
    WRITE_SPECIAL(faultmask, 0);
    WRITE_SPECIAL(primask, 0);
}

__attribute__((noreturn)) static void rest(void)
{
    clean();
    shared->restart = 0;
    shared->resting = 1;
    while (!shared->restart) {
        shared->beat++;
        YIELD();
    }
    __asm volatile("msr msp, %0\n bx %1" ::"r"(__stack_top), "r"(reset_handler));
    __builtin_unreachable();
}

void dismiss_the_second(void)
{
    if (!shared->ready)
        return;
    begin(rest);
    while (!shared->resting)
        YIELD();
}

void be_cold(void)
{
    uint32_t before = shared->beat;
    for (int look = 0; look < 4; look++)
        YIELD();
    if (shared->beat == before)
        return;
    say("== cold");
    for (;;)
        ;
}

void release_at(uint32_t table)
{
    INITSVTOR1 = table;
    DSB();
    CPUWAIT = 0;
    shared->restart = 1;
}

void release(void)
{
    release_at((uint32_t)__other_vectors);
    while (!shared->ready)
        YIELD();
}

static void serve_sequence(void)
{
    uint32_t wanted = shared->wanted;
    if (wanted & WANTED_STORE)
        *shared->touched = ~*shared->touched;
    for (uint32_t unit = 0; unit < 2; unit++) {
        if (wanted >> unit & 1)
            ring(unit, 1);
    }
    DSB();
    shared->wanted = 0;
}

/* Does what the other core has asked for, if anything. */
static void look(void)
{
    if (shared->wanted && shared->runner != this_core())
        serve_sequence();

    uint32_t offset = shared->job[this_core()];
    if (!offset)
        return;
    shared->busy[this_core()] = 1;
    shared->job[this_core()] = 0;
    DSB();
    ((job *)((uint32_t)image_vectors + offset))();
    DSB();
    shared->busy[this_core()] = 0;
}

__attribute__((noreturn)) void serve(void)
{
    shared->ready = 1;
    for (;;) {
        look();
        YIELD();
    }
}

void begin(job *work)
{
    if (!shared->ready)
        release();
    DSB();
    shared->job[1 - this_core()] = (uint32_t)work - (uint32_t)image_vectors;
}

/* After each look at what the other core does. */
static void meanwhile(void)
{
    if (!is_second() && shared->ended) {
        hear();
        finish();
    }
    YIELD();
}

void end(void)
{
    while (shared->job[1 - this_core()] || shared->busy[1 - this_core()]) {
        look();
        meanwhile();
    }
    DSB();
    if (!is_second())
        hear();
}

void other(job *work)
{
    begin(work);
    end();
}

void both(job *work)
{
    if (!shared->ready)
        release();
    work();
    ICER = 3u << BELL(0);
    DSB();
    other(work);
}

void reach(uint32_t stage)
{
    DSB();
    shared->stage[this_core()] = stage;
}

void await_stage(uint32_t stage)
{
    while (shared->stage[1 - this_core()] < stage)
        meanwhile();
    DSB();
}

/* --- mailboxes */

void ring(uint32_t unit, uint32_t bits)
{
    MHU_SET(unit, 1 - this_core()) = bits;
    DSB();
}

void hush(uint32_t unit, uint32_t bits)
{
    MHU_CLEAR(unit, this_core()) = bits;
    (void)MHU_STATUS(unit, this_core());
    DSB();
}

void await_pending(uint32_t interrupt)
{
    while (!(ISPR >> interrupt & 1))
        YIELD();
}

void rings_0(void)
{
    ring(0, 1);
}

void rings_1(void)
{
    ring(1, 1);
}

void rings_both(void)
{
    ring(1, 1);
    ring(0, 1);
}

void bell_a(void)
{
    mark('a');
    hush(0, 0xF);
}

void bell_b(void)
{
    mark('b');
    hush(1, 0xF);
}

void bells(void)
{
    on(IRQ(BELL(0)), bell_a);
    on(IRQ(BELL(1)), bell_b);
    ISER = 3u << BELL(0);
    DSB();
}

void record_entry(uint32_t *frame, uint32_t exc_return);
__attribute__((used)) static void record_and_hush(uint32_t *frame, uint32_t exc_return)
{
    record_entry(frame, exc_return);
    hush(0, 0xF);
    hush(1, 0xF);
}

__attribute__((naked)) void record_bell(void)
{
    __asm volatile("tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n mov r1, lr\n push {r4, lr}\n"
                   "bl record_and_hush\n pop {r4, pc}");
}
