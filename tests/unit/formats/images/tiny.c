/* A smallest image: vectors, a call chain, a resource table copied to shared memory, data and cleared data. */
#include <stdint.h>

void reset(void);
int inner(int value);
int outer(int value);

__attribute__((section(".isr_vector"), used)) const uint32_t vectors[2] = {0x10010000u, (uint32_t)(uintptr_t)reset};

__attribute__((section(".resource_table"), used)) uint32_t table[] = {1, 1, 0, 0, 20, 2, 0x10041000u, 0x100, 0, 'l' | 'o' << 8 | 'g' << 16, 0, 0, 0, 0, 0, 0, 0};

volatile uint32_t initialised = 0x12345678u;
volatile uint32_t cleared[16];
struct {
    uint32_t base;
    uint32_t pad;
    uint32_t table[8];
} g_shmem __attribute__((section(".bss")));

static __attribute__((noinline)) int twice(int value) { return (int)cleared[1] + 2 * value; }

__attribute__((noinline)) int inner(int value)
{
    cleared[0] += (uint32_t)value;
    return twice(value) + twice((int)initialised);
}

__attribute__((noinline)) int outer(int value)
{
    volatile int local[8];
    for (int i = 0; i < 8; i++)
        local[i] = inner(value + i);
    return local[3] + local[7];
}

__attribute__((weak)) void fault(void) { for (;;) { } }
void other_fault(void) __attribute__((weak, alias("fault")));

void reset(void)
{
    g_shmem.base = (uint32_t)outer(5);
    for (;;) { }
}

__asm__(".text\n.thumb\n.global label\nlabel:\n nop\n nop\n bx lr\n");
