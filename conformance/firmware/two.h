/* Two cores (MPS2 AN521): each executes its own copy of the same objects, with data of its own; `shared` is of both.
 * The first core runs the program and prints; the second does the jobs that it is given. What the second prints is
 * kept, and printed when its job is done. */
#ifndef TWO_H
#define TWO_H

#include <stdint.h>

typedef void job(void);

#define SHARED 0x38200000u                              /* SSRAM3, Secure alias */
#define ALIAS(address) ((uint32_t)(address) & ~0x10000000u) /* the other alias of a memory or a device */
#define SAID_ROOM 0x8000u

typedef struct {
    volatile uint32_t wanted; /* by the core that executes a random sequence: WANTED_... of the other one */
    volatile uint32_t runner; /* that core */
    volatile uint32_t *touched; /* its scratch memory */
    volatile uint32_t job[2];  /* for each core: offset of the function to execute, 0: none */
    volatile uint32_t busy[2]; /* for each core: it executes one */
    volatile uint32_t ready;   /* the second core has started */
    volatile uint32_t ended;   /* the second core ended the program */
    volatile uint32_t resting; /* the second core waits for `restart`, and counts in `beat` */
    volatile uint32_t restart, beat;
    volatile uint32_t stage[2];
    volatile uint32_t yields;
    volatile uint32_t word[64];
    volatile uint32_t said_length;
    char said[SAID_ROOM];
} shared_memory;
enum { WANTED_BELLS = 3, WANTED_STORE = 4, WANTED_ALL = 7 };
#define shared ((shared_memory *)SHARED)
#define WORD(n) (shared->word[n])
/* The same word by the alias that the core concerned does not use otherwise. */
#define ALIAS_WORD(n) REG(ALIAS(&shared->word[n]))

extern const char __core[], image_vectors[], __other_vectors[];
static inline uint32_t this_core(void)
{
    uint32_t core;
    __asm("" : "=r"(core) : "0"(__core)); /* the compiler takes no address for 0 either */
    return core;
}
#define is_second() (this_core() == 1)

/* --- of the harness */
void keep_for_the_first(char c);
__attribute__((noreturn)) void second_ends(void);
void note_start(void);
__attribute__((noreturn)) void serve(void);
void prepare_the_second(void);
void dismiss_the_second(void);

/* --- jobs */
void release_at(uint32_t table); /* the second core begins there */
void release(void);              /* it begins to serve; the first job does it too */
void be_cold(void);
void begin(job *work);  /* the other core begins; */
void end(void);         /* waits for it, and meanwhile does what that core asks for */
void other(job *work);  /* both */
void both(job *work);   /* here, doorbells off again, then on the other core */
#define BOTH(NAME)             \
    static void NAME##_(void); \
    CASE(NAME)                 \
    {                          \
        both(NAME##_);         \
    }                          \
    static void NAME##_(void)
void reach(uint32_t stage);     /* this core has come so far */
void await_stage(uint32_t stage); /* of the other core */
/* In every loop that waits for the other core: QEMU lets nobody else run before, and an engine may skip such a loop. */
#define YIELD()                                    \
    do {                                           \
        if (shared->yields)                        \
            __asm volatile("yield" ::: "memory");  \
    } while (0)

/* A program whose second core must not have run since power-on. */
#define COLD_CASE(NAME)        \
    static void NAME##_(void); \
    CASE(NAME)                 \
    {                          \
        be_cold();             \
        NAME##_();             \
    }                          \
    static void NAME##_(void)

/* What the core found in its registers when it began. */
struct start {
    uint32_t vtor, control, primask, basepri, faultmask, ipsr, msp, systick, enabled;
};
extern struct start at_start;

#define MASK() __asm volatile("cpsid i" ::: "memory")
#define UNMASK() __asm volatile("cpsie i\n isb" ::: "memory")

/* --- system control and mailboxes (SSE-200 Technical Overview) */
#define INITSVTOR1 REG(0x50021114)
#define CPUWAIT REG(0x50021118)
#define CPU_IDENTITY REG(0x5001F000)
#define MHU(unit) (0x50003000u + 0x1000u * (unit))
#define MHU_STATUS(unit, core) REG(MHU(unit) + 0x10u * (core))
#define MHU_SET(unit, core) REG(MHU(unit) + 0x10u * (core) + 4)
#define MHU_CLEAR(unit, core) REG(MHU(unit) + 0x10u * (core) + 8)
#define BELL(unit) (6u + (unit)) /* its interrupt on both cores */

void ring(uint32_t unit, uint32_t bits); /* for the other core */
void hush(uint32_t unit, uint32_t bits); /* what is set for this core */
void await_pending(uint32_t interrupt);
void rings_0(void); /* jobs: bit 0 of unit 0 or 1 */
void rings_1(void);
void rings_both(void); /* unit 1, then unit 0 */

void bell_a(void); /* handlers: of unit 0, of unit 1: mark, hush everything */
void bell_b(void);
void bells(void);       /* both at their vectors and enabled */
void record_bell(void); /* `record`, then hush everything of both units */

#endif
