/* A core that does what a list says, one step after the other, in turn with the other core: what a script of a bench did
 * in Python, done by firmware. CORE is 1 or 2 as the HSEM counts, STEPS where the list lies. */
#include <stdint.h>

#define TURN (*(volatile uint32_t *)0x38000000u) /* whose step is next: that with this number */
#define RUNG ((volatile uint32_t *)0x38000000u + CORE)

#define HSEM 0x58026400u
#define INTERRUPTS (HSEM + 0x100u + 0x10u * (CORE - 1u)) /* IER, ICR, ISR, MISR of this core */
#define REG(address) (*(volatile uint32_t *)(address))

enum { END, STORE, LOAD, TAKE, DELAY, SPIN, POLL };

struct step {
    uint8_t what, width; /* bytes of each access */
    uint16_t count;      /* of accesses */
    uint32_t turn, address;
    uint32_t data[]; /* of a store, filled up to whole words */
};

void reset(void);
void unexpected(void);
void rung(void);

static void store(const struct step *step)
{
    const uint8_t *bytes = (const uint8_t *)step->data;

    for (uint32_t i = 0; i < step->count; i++) {
        if (step->width == 4) {
            ((volatile uint32_t *)step->address)[i] = step->data[i];
        } else if (step->width == 2) {
            ((volatile uint16_t *)step->address)[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
        } else {
            ((volatile uint8_t *)step->address)[i] = bytes[i];
        }
    }
}

static void load(const struct step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        if (step->width == 4) {
            (void)((volatile uint32_t *)step->address)[i];
        } else if (step->width == 2) {
            (void)((volatile uint16_t *)step->address)[i];
        } else {
            (void)((volatile uint8_t *)step->address)[i];
        }
    }
}

void reset(void)
{
    const struct step *step = (const struct step *)STEPS;
    volatile uint32_t left;

    for (;; step = (const void *)(step->data + (step->what == STORE ? (step->width * step->count + 3u) / 4u : 0))) {
        if (step->what == END) {
            for (;;) {
                __asm volatile("wfi");
            }
        }
        if (step->what == SPIN) {
            for (left = 0;; left++) {
            }
        }
        while (TURN != step->turn) {
        }
        if (step->what == STORE) {
            store(step);
        } else if (step->what == LOAD) {
            load(step);
        } else if (step->what == TAKE) {
            while (*RUNG == 0) {
            }
            *RUNG = 0;
        } else if (step->what == DELAY) {
            for (left = step->address; left != 0; left--) {
            }
        } else {
            TURN = step->turn + 1;
            for (;;) {
                (void)REG(step->address);
            }
        }
        __asm volatile("dsb" ::: "memory");
        TURN = step->turn + 1;
    }
}

void unexpected(void)
{
    for (;;) {
    }
}

void rung(void)
{
    REG(INTERRUPTS + 4u) = REG(INTERRUPTS + 12u);
    __asm volatile("dsb" ::: "memory");
    *RUNG = 1;
}
