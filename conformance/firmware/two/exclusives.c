/* Exclusives, locks and shared counters (DDI0553B B7, synchronization and semaphores). */
#include "harness.h"

static uint32_t ldrex(volatile uint32_t *word)
{
    uint32_t value;
    __asm volatile("ldrex %0, [%1]" : "=r"(value) : "r"(word) : "memory");
    return value;
}
/* 0: stored. */
static uint32_t strex(volatile uint32_t *word, uint32_t value)
{
    uint32_t failed;
    __asm volatile("strex %0, %2, [%1]" : "=&r"(failed) : "r"(word), "r"(value) : "memory");
    return failed;
}

BOTH(exclusive_alone)
{
    WORD(0) = 1;
    uint32_t value = ldrex(&WORD(0));
    show("failed", strex(&WORD(0), value + 1));
    show("word", WORD(0));
}

static void loads_exclusively(void) { WORD(1) = ldrex(&WORD(0)); }
BOTH(exclusive_load_of_the_other_core_breaks_nothing)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    other(loads_exclusively);
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
}

static void stores_7(void) { WORD(0) = 7; }
BOTH(exclusive_broken_by_a_store_of_the_other_core)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    other(stores_7);
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
}

static void stores_7_by_alias(void) { ALIAS_WORD(0) = 7; }
BOTH(exclusive_broken_by_a_store_to_the_other_alias)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    other(stores_7_by_alias);
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
}

static void stores_a_byte(void) { ((volatile uint8_t *)&WORD(0))[2] = 0x55; }
BOTH(exclusive_broken_by_a_byte_of_the_other_core)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    other(stores_a_byte);
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
}

static void wins(void)
{
    uint32_t value = ldrex(&WORD(0));
    WORD(1) = strex(&WORD(0), value + 0x10);
}
BOTH(exclusive_of_the_first_to_store_wins)
{
    WORD(0) = 1;
    uint32_t value = ldrex(&WORD(0));
    other(wins);
    show("failed", strex(&WORD(0), value + 1));
    show("other failed", WORD(1));
    show("word", WORD(0));
}

static void clears_its_own(void) { __asm volatile("clrex" ::: "memory"); }
BOTH(exclusive_clrex_is_private)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    other(clears_its_own);
    show("failed", strex(&WORD(0), 2));
    ldrex(&WORD(0));
    clears_its_own();
    show("failed", strex(&WORD(0), 3));
    show("word", WORD(0));
}

static void stores_without_a_load(void) { WORD(1) = strex(&WORD(0), 9); }
BOTH(exclusive_store_without_a_load_of_the_same_core)
{
    WORD(0) = 1;
    ldrex(&WORD(0));
    __asm volatile("clrex");
    other(clears_its_own);
    ldrex(&WORD(0));
    other(stores_without_a_load);
    show("other failed", WORD(1));
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
}

BOTH(exclusive_broken_by_a_doorbell)
{
    bells();
    WORD(0) = 1;
    MASK();
    other(rings_0);
    ldrex(&WORD(0));
    UNMASK();
    show("failed", strex(&WORD(0), 2));
    show("word", WORD(0));
    show_trace();
}

BOTH(exclusive_not_broken_by_a_doorbell_that_is_held)
{
    bells();
    WORD(0) = 1;
    MASK();
    ldrex(&WORD(0));
    other(rings_0);
    show("failed", strex(&WORD(0), 2));
    UNMASK();
    show("word", WORD(0));
    show_trace();
}

BOTH(exclusive_bytes_and_halfwords)
{
    uint32_t value, failed;
    WORD(0) = 0x11223344;
    __asm volatile("ldrexb %0, [%2]\n adds %0, #1\n strexb %1, %0, [%2]" : "=&r"(value), "=&r"(failed) : "r"(&WORD(0)) : "cc", "memory");
    show("failed", failed);
    __asm volatile("ldrexh %0, [%1]" : "=r"(value) : "r"((uint32_t)&WORD(0) + 2) : "memory");
    other(stores_a_byte);
    __asm volatile("strexh %0, %1, [%2]" : "=&r"(failed) : "r"(value), "r"((uint32_t)&WORD(0) + 2) : "memory");
    show("failed", failed);
    show("word", WORD(0));
}

BOTH(exclusive_with_acquire_and_release)
{
    uint32_t value, failed;
    WORD(0) = 5;
    __asm volatile("ldaex %0, [%2]\n adds %0, #1\n stlex %1, %0, [%2]" : "=&r"(value), "=&r"(failed) : "r"(&WORD(0)) : "cc", "memory");
    show("failed", failed);
    __asm volatile("ldaex %0, [%1]" : "=r"(value) : "r"(&WORD(0)) : "memory");
    other(stores_7);
    __asm volatile("stlex %0, %1, [%2]" : "=&r"(failed) : "r"(value), "r"(&WORD(0)) : "memory");
    show("failed", failed);
    __asm volatile("lda %0, [%1]" : "=r"(value) : "r"(&WORD(0)) : "memory");
    show("word", value);
    __asm volatile("stl %0, [%1]" ::"r"(0x77), "r"(&WORD(0)) : "memory");
    show("word", WORD(0));
}

/* --- counters that both cores change at once */

#define ROUNDS 300

static void adds(volatile uint32_t *word)
{
    for (int round = 0; round < ROUNDS; round++) {
        while (strex(word, ldrex(word) + 1))
            ;
        YIELD();
    }
}
static void adds_to_1(void) { adds(&WORD(1)); }
static void adds_by_alias(void) { adds(&ALIAS_WORD(1)); }
CASE(counter_of_both_cores)
{
    begin(adds_to_1);
    adds_to_1();
    end();
    show("word", WORD(1));
}
CASE(counter_of_both_cores_by_both_aliases)
{
    begin(adds_by_alias);
    adds_to_1();
    end();
    show("word", WORD(1));
    show("by alias", ALIAS_WORD(1));
}

static void takes(volatile uint32_t *lock)
{
    for (;;) {
        if (!ldrex(lock) && !strex(lock, 1 + this_core()))
            break;
        YIELD();
    }
    __asm volatile("dmb" ::: "memory");
}
static void gives(volatile uint32_t *lock)
{
    __asm volatile("dmb" ::: "memory");
    *lock = 0;
}
static void adds_under_the_lock(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        takes(&WORD(2));
        uint32_t value = WORD(3);
        if (round % 16 == 0)
            YIELD();
        WORD(3) = value + 1;
        gives(&WORD(2));
        YIELD();
    }
}
CASE(lock_guards_a_counter)
{
    begin(adds_under_the_lock);
    adds_under_the_lock();
    end();
    show("word", WORD(3));
    show("lock", WORD(2));
}

static void adds_2(void)
{
    hush(0, 1);
    while (strex(&WORD(1), ldrex(&WORD(1)) + 2))
        ;
    WORD(4)++;
}
static void rings_all_along(void)
{
    for (uint32_t round = 0; round < 50; round++) {
        ring(0, 1);
        while (WORD(4) <= round)
            YIELD();
    }
    WORD(5) = 1;
}
BOTH(counter_and_doorbells_that_break_in)
{
    uint32_t added = 0;
    WORD(1) = WORD(4) = WORD(5) = 0;
    on(IRQ(BELL(0)), adds_2);
    enable(BELL(0));
    begin(rings_all_along);
    while (!WORD(5)) {
        while (strex(&WORD(1), ldrex(&WORD(1)) + 0x1000))
            ;
        added++;
        YIELD();
    }
    end();
    show("by doorbells", WORD(1) & 0xFFF);
    show("all of its own", WORD(1) >> 12 == added);
}

/* Peterson's lock needs no exclusives, and memory in order. */
static void adds_as_peterson(void)
{
    uint32_t me = this_core();
    for (int round = 0; round < 100; round++) {
        WORD(10 + me) = 1;
        WORD(12) = 1 - me;
        __asm volatile("dmb" ::: "memory");
        while (WORD(10 + 1 - me) && WORD(12) == 1 - me)
            YIELD();
        WORD(13) = WORD(13) + 1;
        __asm volatile("dmb" ::: "memory");
        WORD(10 + me) = 0;
        YIELD();
    }
}
CASE(lock_without_exclusives)
{
    begin(adds_as_peterson);
    adds_as_peterson();
    end();
    show("word", WORD(13));
}

static void takes_for_the_other(void)
{
    takes(&WORD(2));
    reach(1);
    await_stage(1);
    gives(&WORD(2));
}
CASE(lock_held_by_the_other_core_is_waited_for)
{
    begin(takes_for_the_other);
    await_stage(1);
    show("holder", WORD(2));
    show("value", ldrex(&WORD(2)));
    reach(1);
    takes(&WORD(2));
    show("holder", WORD(2));
    gives(&WORD(2));
    end();
}
