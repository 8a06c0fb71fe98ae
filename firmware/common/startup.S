/* Vector table and reset of a core. The table is placed where the core boots. */
#include "core.h"

    .syntax unified
    .thumb
    .cfi_sections .debug_frame

    .section .isr_vector, "a", %progbits
    .balign 1024
    .global vectors
    .type vectors, %object
vectors:
#if FAULT_BAD_STACK
    .word 0x70000000
#else
    .word __stack_top
#endif
#if FAULT_EVEN_RESET
    .word reset_without_thumb_bit
#else
    .word reset_handler
#endif
    .word fault_entry           /* NMI */
    .word fault_entry           /* HardFault */
    .word fault_entry           /* MemManage */
    .word fault_entry           /* BusFault */
    .word fault_entry           /* UsageFault */
    .word 0, 0, 0, 0
    .word fault_entry           /* SVCall */
    .word fault_entry           /* DebugMonitor */
    .word 0
    .word fault_entry           /* PendSV */
    .word alarm_tick            /* SysTick */
    .set line, 0
    .rept INTERRUPTS
    .if line == CONSOLE_IRQ
    .word console_interrupt
    .elseif line == MAILBOX_IRQ
    .word mailbox_interrupt
    .else
    .word fault_entry
    .endif
    .set line, line + 1
    .endr
    .size vectors, . - vectors

    .section .text.reset_handler, "ax", %progbits
    .balign 4
#if FAULT_EVEN_RESET
reset_without_thumb_bit:        /* a label without a type: the linker leaves bit 0 alone */
#endif
    .global reset_handler
    .type reset_handler, %function
    .thumb_func
reset_handler:
    .cfi_startproc
    .cfi_undefined lr           /* nobody called: backtraces end here */
#if FAULT_DEAD
1:  b 1b
#endif
    ldr r0, =vectors            /* a debugger may have started us with another stack than the table's */
    ldr r0, [r0]
    msr msp, r0

#if BOARD_HAS_RESET
    bl board_reset              /* before RAM may be used */
#endif
    bl start
    .cfi_endproc
    .size reset_handler, . - reset_handler

    .section .text.fault_entry, "ax", %progbits
    .balign 4
    .global fault_entry
    .type fault_entry, %function
    .thumb_func
fault_entry:
    .cfi_startproc
    tst lr, #4                  /* EXC_RETURN: which stack holds the frame (DDI0403E B1.5.8) */
    ite eq
    mrseq r0, msp
    mrsne r0, psp
    b fault_report              /* LR keeps EXC_RETURN, so a backtrace finds the frame */
    .cfi_endproc
    .size fault_entry, . - fault_entry
