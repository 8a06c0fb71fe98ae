#include "trace.h"

#include <stdint.h>

#include "memory_map.h"

#define BUFFER ((volatile char *)(SHARED_REMOTE + TRACE_OFFSET))

static uint32_t position;

void trace_init(void)
{
    for (uint32_t i = 0; i < TRACE_SIZE; i++) {
        BUFFER[i] = '\0';
    }
}

void trace_put(char character)
{
    if (position == TRACE_SIZE - 1) {
        position = 0;
    }
    BUFFER[position + 1] = '\0';
    BUFFER[position] = character;
    position++;
}
