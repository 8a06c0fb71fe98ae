/* Barriers and interrupt masking (ARMv7-M, DDI0403E A3.7.3, B5.2). */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdint.h>

static inline void dmb(void) { __asm__ volatile("dmb" ::: "memory"); }
static inline void dsb(void) { __asm__ volatile("dsb" ::: "memory"); }
static inline void isb(void) { __asm__ volatile("isb" ::: "memory"); }
static inline void wait_for_interrupt(void) { __asm__ volatile("wfi" ::: "memory"); }
static inline void interrupts_mask(void) { __asm__ volatile("cpsid i" ::: "memory"); }
static inline void interrupts_unmask(void) { __asm__ volatile("cpsie i" ::: "memory"); }

static inline volatile uint32_t *reg(uintptr_t address) { return (volatile uint32_t *)address; }
static inline void reg_set(uintptr_t address, uint32_t bits) { *reg(address) |= bits; }

#endif
