/* Runs code that the host put into memory, and prints the registers, memory and exceptions that it left. */
#include "harness.h"
#include "injected.h"

#define SCRATCH_WORDS 16
#define CODE_HALVES 128
#define MOST_SEQUENCES 64
#define MOST_NOTES 64

/* As conformance/sequences.py packs it. */
struct sequence {
    uint32_t registers[13]; /* r7 and r8 are replaced: scratch memory and STIR */
    uint32_t priorities;    /* a byte for each of IRQ 0 to 3 */
    uint32_t scratch[SCRATCH_WORDS];
    uint16_t code[CODE_HALVES]; /* ends with BX LR */
};

__attribute__((section(".kept"), used)) volatile uint32_t injected_count;
__attribute__((section(".kept"), used, aligned(8))) struct sequence injected[MOST_SEQUENCES];

struct entry {
    uint32_t exception, frame[8];
};
static struct entry entries[MOST_NOTES];
static uint32_t entry_count;
static volatile uint32_t scratch[SCRATCH_WORDS];
static uint32_t left[14];

__attribute__((used)) static void note_entry(const uint32_t *frame)
{
    if (entry_count == MOST_NOTES)
        return;
    entries[entry_count].exception = READ_SPECIAL(ipsr);
    for (int i = 0; i < 8; i++)
        entries[entry_count].frame[i] = frame[i];
    entry_count++;
}
ASM_HANDLER(notes, "mrs r0, msp\n b note_entry");

#ifdef TWO_CORES
/* Where sequences.py says WANTED: the other core serves it. */
_Static_assert(SHARED + __builtin_offsetof(shared_memory, wanted) == 0x38200000, "WANTED of sequences.py");

__attribute__((used)) static void note_bell(const uint32_t *frame)
{
    note_entry(frame);
    hush(READ_SPECIAL(ipsr) - IRQ(BELL(0)), 0xF);
}
ASM_HANDLER(notes_bell, "mrs r0, msp\n b note_bell");

/* SVC: its number says what the other core is to do meanwhile. */
__attribute__((used)) static void note_call(const uint32_t *frame)
{
    note_entry(frame);
    shared->wanted = HALF(frame[6] - 2) & WANTED_ALL;
    while (shared->wanted)
        YIELD();
}
ASM_HANDLER(notes_call, "mrs r0, msp\n b note_call");

static void prepare_bells(const struct sequence *sequence)
{
    on(SVCALL, notes_call);
    for (uint32_t unit = 0; unit < 2; unit++) {
        on(IRQ(BELL(unit)), notes_bell);
        IPR(BELL(unit)) = (uint8_t)(sequence->priorities >> 8 * unit | 0x40); /* below SVC */
    }
    ISER = 3u << BELL(0);
    shared->runner = this_core();
    shared->touched = scratch;
}
#endif

/* Executes a sequence with these registers r0 to r12; leaves r0 to r12 and the flags in `out` (start.S). */
void execute(const uint32_t *in, uint32_t code, uint32_t *out);

static void run_sequence(struct sequence *sequence)
{
    uint32_t code = ((uint32_t)sequence->code) | 1;
    for (uint32_t exception = 16; exception < 20; exception++)
        on(exception, notes);
    on(SVCALL, notes);
    SHPR(11) = 0x20;
    ISER = 0xF;
    for (uint32_t i = 0; i < SCRATCH_WORDS; i++)
        scratch[i] = sequence->scratch[i];
    REG(0xE000E400) = sequence->priorities;
#ifdef TWO_CORES
    prepare_bells(sequence);
#endif
    sequence->registers[7] = (uint32_t)scratch;
    sequence->registers[8] = (uint32_t)&STIR;
    entry_count = 0;
    DSB();
    execute(sequence->registers, code, left);
    for (uint32_t i = 0; i < 14; i++)
        show("register", left[i]);
    for (uint32_t i = 0; i < SCRATCH_WORDS; i++)
        show("memory", scratch[i]);
    for (uint32_t i = 0; i < entry_count; i++) {
        show("taken", entries[i].exception);
        show("at", entries[i].frame[6] - (code - 1));
        show("status", entries[i].frame[7]);
        for (uint32_t r = 0; r < 5; r++)
            show("stacked", entries[i].frame[r]);
    }
}

#ifdef TWO_CORES
static void run_given(void) { run_sequence((struct sequence *)WORD(0)); }

/* On one core after the other; the one that does not run it serves it. */
static void run_on_its_core(uint32_t index)
{
    WORD(0) = (uint32_t)&injected[index];
    if (index & 1)
        other(run_given);
    else
        run_given();
}
#else
static void run_on_its_core(uint32_t index) { run_sequence(&injected[index]); }
#endif

void run_injected(void)
{
#ifdef TWO_CORES
    release();
#endif
    for (uint32_t index = 0; index < injected_count && index < MOST_SEQUENCES; index++) {
        show("== sequence", index);
        run_on_its_core(index);
    }
}
