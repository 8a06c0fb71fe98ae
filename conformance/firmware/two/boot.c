/* The second core: held, released, reset (SSE-200 Technical Overview, System control; DDI0553B, resets). */
#include "harness.h"

static void shows_start(void)
{
    show("vtor is its table", at_start.vtor == (uint32_t)image_vectors);
    show("control", at_start.control);
    show("primask", at_start.primask);
    show("basepri", at_start.basepri);
    show("faultmask", at_start.faultmask);
    show("ipsr", at_start.ipsr);
    show("systick", at_start.systick);
    show("enabled", at_start.enabled);
    show("on the stack of its table", REG(image_vectors) - at_start.msp < 64);
}

COLD_CASE(boot_second_starts_as_a_reset_leaves_it)
{
    other(shows_start);
}

static void is_held(void)
{
    for (int look = 0; look < 1000; look++)
        YIELD();
    show("ready", shared->ready);
    show("cpuwait", CPUWAIT);
}

COLD_CASE(boot_second_is_held_until_released)
{
    is_held();
    INITSVTOR1 = (uint32_t)__other_vectors;
    is_held();
    release();
    show("ready", shared->ready);
    show("cpuwait", CPUWAIT);
}

CASE(boot_vector_register_reads_back)
{
    INITSVTOR1 = 0x10200000;
    show("initsvtor1", INITSVTOR1);
    INITSVTOR1 = (uint32_t)__other_vectors;
    show("initsvtor1", INITSVTOR1);
}

static void shows_table(void)
{
    show("vtor", at_start.vtor);
    show("below the stack of its table", 0x380C0000 - at_start.msp < 64);
}
COLD_CASE(boot_second_from_a_table_in_shared_memory)
{
    REG(SHARED + 0x1F0000) = 0x380C0000;
    REG(SHARED + 0x1F0004) = REG(__other_vectors + 4);
    release_at(SHARED + 0x1F0000);
    while (!shared->ready)
        YIELD();
    other(shows_table);
}

static void counts(void)
{
    for (uint32_t count = 0; count < 50; count++) {
        WORD(0)++;
        YIELD();
    }
}
CASE(boot_waiting_again_stops_no_core_that_runs)
{
    release();
    begin(counts);
    CPUWAIT = 2;
    end();
    show("counted", WORD(0));
    show("cpuwait", CPUWAIT);
    CPUWAIT = 0;
}

BOTH(boot_cores_know_who_they_are)
{
    show("identity", CPU_IDENTITY);
    show("by alias", REG(ALIAS(&CPU_IDENTITY)));
}

BOTH(boot_cores_are_of_one_kind) { show("cpuid", CPUID); }

/* What QEMU leaves out: its system reset passes the second core by. */
#define RESET_SOURCE "SSE-200 Technical Overview, Reset; DDI0553B B3.8"

static void resets(void)
{
    DSB();
    AIRCR = VECTKEY | 4;
    for (;;)
        YIELD();
}

MANUAL_CASE(reset_by_the_first_holds_the_second, RESET_SOURCE, "resets 0x00000001\nready 0x00000000\ncpuwait 0x00000002\n"
            "ready 0x00000001")
{
    if (!cause_of_reset()) {
        release();
        resets();
    }
    show("resets", cause_of_reset());
    is_held();
    release();
    show("ready", shared->ready);
}

MANUAL_CASE(reset_by_the_second_resets_both, RESET_SOURCE, "resets 0x00000001\nready 0x00000000\ncpuwait 0x00000002")
{
    if (!cause_of_reset())
        other(resets);
    show("resets", cause_of_reset());
    is_held();
}

CASE(reset_quiets_the_mailboxes)
{
    if (!cause_of_reset()) {
        __asm volatile("cpsid i");
        MHU_SET(0, 0) = MHU_SET(0, 1) = MHU_SET(1, 0) = MHU_SET(1, 1) = 0xF;
        DSB();
        AIRCR = VECTKEY | 4;
        for (;;)
            ;
    }
    for (uint32_t core = 0; core < 2; core++) {
        show("unit 0", MHU_STATUS(0, core));
        show("unit 1", MHU_STATUS(1, core));
    }
    show("pending", ISPR >> BELL(0) & 3);
    bells();
    mark('.');
    show_trace();
}

CASE(reset_leaves_memory)
{
    if (!cause_of_reset()) {
        REG(SHARED + 0x1F0100) = 0x1234ABCD;
        REG(0x30000100) = 0x89ABCDEF;
        DSB();
        AIRCR = VECTKEY | 4;
        for (;;)
            ;
    }
    show("shared", REG(SHARED + 0x1F0100));
    show("sram", REG(0x20000100));
}
