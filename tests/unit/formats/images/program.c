/* A program whose memory is its own but for what it shares on purpose. */
#include <stdint.h>

void reset(void);
extern uint32_t stack_top[];

__attribute__((section(".isr_vector"), used)) const uint32_t *const vectors[2] = {stack_top, (uint32_t *)reset};

__attribute__((used)) uint32_t counters[16];                 /* .bss: the program's */
__attribute__((used)) uint8_t pool[4096];                    /* .bss: declared to hold rings */
__attribute__((used)) uint8_t ucHeap[2048];                  /* .bss: an RTOS's heap */
__attribute__((used)) uint32_t settings[4] = {1, 2, 3, 4};   /* .data */
__attribute__((used, aligned(16))) uint8_t vring_desc[128];  /* .bss: a ring in two pieces */
__attribute__((used)) uint8_t vring_rings[128];
__attribute__((section(".exchange"), used)) uint8_t slots[256];       /* made on purpose, with an object in it */
__attribute__((section(".exchange.more"), used)) uint8_t counts[256];
__attribute__((section(".os_stack"), used)) uint8_t idle_stack[512];  /* a stack that is an object */

void reset(void)
{
    for (;;) { }
}
