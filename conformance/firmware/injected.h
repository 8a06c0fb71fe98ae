/* Code from the host: see injected.c. */
#ifndef INJECTED_H
#define INJECTED_H

#include <stdint.h>

extern volatile uint32_t injected_count;
void run_injected(void);

#endif
