/* What one core stores and the other sees, by either alias; code that the other core wrote; messages. */
#include "harness.h"

static void stores_a_pattern(void)
{
    WORD(0) = 0x11223344;
    ((volatile uint8_t *)&ALIAS_WORD(0))[1] = 0xAA;
    ((volatile uint16_t *)&WORD(0))[1] = 0xBBCC;
    *(volatile uint32_t *)((uint32_t)&WORD(2) + 1) = 0xCAFEF00D; /* unaligned */
}
BOTH(memory_of_the_other_core_by_both_aliases)
{
    WORD(0) = WORD(2) = WORD(3) = 0;
    other(stores_a_pattern);
    show("word", WORD(0));
    show("by alias", ALIAS_WORD(0));
    show("unaligned", WORD(2));
    show("unaligned", ALIAS_WORD(3));
}

static void stores_everywhere(void)
{
    REG(0x30000200) = 1;
    REG(0x20008200) = 2;
    REG(0x30010200) = 3;
    REG(0x20018200) = 4;
    REG(0x80000200) = 5;
    REG(0x38100200) = 6;
    REG(0x10300200) = 7;
}
BOTH(memory_everywhere_is_of_both)
{
    stores_everywhere();
    other(stores_everywhere);
    show("sram0", REG(0x20000200));
    show("sram1", REG(0x30008200));
    show("sram2", REG(0x20010200));
    show("sram3", REG(0x30018200));
    show("psram", REG(0x80000200));
    show("ssram2", REG(0x28100200));
    show("ssram1", REG(0x00300200));
}

static void stores_its_lanes(void)
{
    for (uint32_t byte = this_core(); byte < 16; byte += 2)
        ((volatile uint8_t *)&WORD(0))[byte] = (uint8_t)(0xA0 + byte);
}
CASE(memory_bytes_of_both_in_one_word)
{
    begin(stores_its_lanes);
    stores_its_lanes();
    end();
    for (uint32_t word = 0; word < 4; word++)
        show("word", WORD(word));
}

static void stores_many(void)
{
    __asm volatile("ldr r0, =0x01020304\n ldr r1, =0x11121314\n ldr r2, =0x21222324\n mov r3, #7\n stmia %0!, {r0-r3}\n strd r1, r2, [%0]\n b 1f\n .ltorg\n 1:"
                   ::"r"(&WORD(0)) : "r0", "r1", "r2", "r3", "memory");
}
BOTH(memory_of_multiple_stores)
{
    other(stores_many);
    for (uint32_t word = 0; word < 4; word++)
        show("word", ALIAS_WORD(word));
}

/* --- code: movs r0, #N; bx lr */
#define CODE (SHARED + 0x100000)
static void put_code(uint32_t number)
{
    REG(CODE) = 0x47702000 | number;
    DSB();
}
static uint32_t call(uint32_t at)
{
    uint32_t result;
    DSB();
    __asm volatile("blx %1\n mov %0, r0" : "=r"(result) : "r"(at | 1) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    return result;
}
static void writes_code_5(void) { put_code(5); }
static void writes_code_9(void) { put_code(9); }
static void writes_code_by_alias(void)
{
    REG(ALIAS(CODE)) = 0x47702000 | 0x21;
    DSB();
}
BOTH(code_written_by_the_other_core)
{
    other(writes_code_5);
    show("r0", call(CODE));
    other(writes_code_9);
    show("r0", call(CODE));
    put_code(1);
    show("r0", call(CODE));
    other(writes_code_by_alias);
    show("r0", call(CODE));
}
BOTH(code_executed_by_the_other_alias)
{
    other(writes_code_5);
    show("r0", call(ALIAS(CODE)));
    other(writes_code_9);
    show("r0", call(ALIAS(CODE)));
    show("r0", call(CODE));
}
static void writes_code_in_rounds(void)
{
    for (uint32_t round = 1; round <= 20; round++) {
        put_code(round);
        reach(round);
        await_stage(round);
    }
}
CASE(code_changed_under_the_other_core)
{
    uint32_t sum = 0;
    begin(writes_code_in_rounds);
    for (uint32_t round = 1; round <= 20; round++) {
        await_stage(round);
        sum = sum * 3 + call(CODE);
        reach(round);
    }
    end();
    show("sum", sum);
}

/* --- handlers and frames that the other core changes */
static void bell_x(void)
{
    mark('x');
    hush(0, 1);
}
static uint32_t *table_of_the_other(void) { return (uint32_t *)WORD(20); }
static void changes_the_table(void) { table_of_the_other()[IRQ(BELL(0))] = WORD(21); }
BOTH(vectors_changed_by_the_other_core)
{
    bells();
    WORD(20) = VTOR;
    WORD(21) = (uint32_t)bell_x;
    other(rings_0);
    other(changes_the_table);
    other(rings_0);
    show_trace();
}

#define TABLE (SHARED + 0x110000)
BOTH(vectors_moved_while_the_doorbell_is_held)
{
    uint32_t before = VTOR;
    bells();
    for (uint32_t word = 0; word < 32; word++)
        REG(TABLE + 4 * word) = REG(before + 4 * word);
    REG(TABLE + 4 * IRQ(BELL(0))) = (uint32_t)bell_x;
    MASK();
    other(rings_0);
    VTOR = TABLE;
    DSB();
    UNMASK();
    VTOR = before;
    DSB();
    other(rings_0);
    show_trace();
}
BOTH(vectors_seen_by_the_other_alias)
{
    show("own", VTOR != 0);
    WORD(22 + this_core()) = VTOR;
    show("apart", WORD(22) != WORD(23));
}

static void changes_the_frame(void)
{
    uint32_t *frame = (uint32_t *)WORD(24);
    frame[0] = 0x5EED;
    frame[6] += 2; /* the instruction behind */
}
__attribute__((used)) static void hands_its_frame_over(uint32_t *frame)
{
    hush(0, 1);
    WORD(24) = (uint32_t)frame;
    other(changes_the_frame);
}
ASM_HANDLER(lends_its_frame, "mrs r0, msp\n b hands_its_frame_over");
BOTH(frame_changed_by_the_other_core)
{
    uint32_t first, second;
    on(IRQ(BELL(0)), lends_its_frame);
    enable(BELL(0));
    MASK();
    other(rings_0);
    __asm volatile("movs r0, #1\n movs r1, #2\n cpsie i\n movs r1, #3\n mov %0, r0\n mov %1, r1"
                   : "=&r"(first), "=&r"(second)::"r0", "r1", "r2", "r3", "r12", "cc", "memory");
    show("r0", first);
    show("r1", second);
}

/* --- messages */
#define PLACES 8
#define MESSAGES 200
/* A ring of words at 32, written at 16, read at 17. */
static void sends(void)
{
    for (uint32_t number = 0; number < MESSAGES; number++) {
        while (WORD(16) - WORD(17) == PLACES)
            YIELD();
        WORD(32 + number % PLACES) = number * number;
        __asm volatile("dmb" ::: "memory");
        WORD(16) = number + 1;
    }
}
BOTH(messages_without_doorbells)
{
    uint32_t wrong = 0;
    WORD(16) = WORD(17) = 0;
    begin(sends);
    for (uint32_t number = 0; number < MESSAGES; number++) {
        while (WORD(16) == number)
            YIELD();
        wrong += WORD(32 + number % PLACES) != number * number;
        WORD(17) = number + 1;
    }
    end();
    show("received", WORD(17));
    show("wrong", wrong);
}

static volatile uint32_t sum;
static void receives(void)
{
    hush(0, 1);
    while (WORD(17) != WORD(16)) {
        sum += ALIAS_WORD(32 + WORD(17) % PLACES);
        WORD(17)++;
    }
}
static void sends_and_rings(void)
{
    for (uint32_t number = 0; number < MESSAGES; number++) {
        while (WORD(16) - WORD(17) == PLACES)
            YIELD();
        WORD(32 + number % PLACES) = number;
        __asm volatile("dmb" ::: "memory");
        WORD(16) = number + 1;
        ring(0, 1);
    }
}
BOTH(messages_announced_by_doorbells)
{
    sum = WORD(16) = WORD(17) = 0;
    on(IRQ(BELL(0)), receives);
    enable(BELL(0));
    other(sends_and_rings);
    while (WORD(17) != MESSAGES)
        YIELD();
    show("received", WORD(17));
    show("sum", sum);
}

/* Who sees what was stored after the doorbell rang has been rung: no wait in between. */
static void rings_and_stores(void)
{
    ring(0, 1);
    WORD(40) = 1;
}
BOTH(doorbell_comes_before_what_is_stored_after_it)
{
    WORD(40) = 0;
    MASK();
    begin(rings_and_stores);
    while (!WORD(40))
        YIELD();
    show("pending", ISPR >> BELL(0) & 1);
    end();
    hush(0, 1);
    ICPR = 1u << BELL(0);
    UNMASK();
}
