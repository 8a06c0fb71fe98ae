/* The vector table of the image, and the way into C. Programs take exceptions through the table in RAM. */
    .syntax unified
    .thumb

    .section .isr_vector, "a"
    .global image_vectors
image_vectors:
    .word __stack_top
    .word reset_handler
    .rept 126
    .word early_fault
    .endr

    .text
    .global reset_handler
    .type reset_handler, %function
    .thumb_func
reset_handler:
    ldr r0, =__data_start
    ldr r1, =__data_end
    ldr r2, =__data_load
1:  cmp r0, r1
    bhs 2f
    ldr r3, [r2], #4
    str r3, [r0], #4
    b 1b
2:  ldr r0, =__bss_start
    ldr r1, =__bss_end
    movs r3, #0
3:  cmp r0, r1
    bhs 4f
    str r3, [r0], #4
    b 3b
4:  bl run
5:  b 5b

/* A fault before the programs' own table stands: an infinite loop, which the host reports. */
    .type early_fault, %function
    .thumb_func
early_fault:
    b early_fault

/* For the RAM table: notes what happened and returns behind the code that did it (`record_entry` in harness.c). */
    .global record
    .type record, %function
    .thumb_func
record:
    tst lr, #4
    ite eq
    mrseq r0, msp
    mrsne r0, psp
    mov r1, lr
    push {r4, lr}
    bl record_entry
    pop {r4, pc}
    
    .global with_psp
    .type with_psp, %function
    .thumb_func
with_psp:
    push {r4, lr}
    mrs r4, control
    ldr r1, =process_stack + 1024
    msr psp, r1
    orr r1, r4, #2
    msr control, r1
    isb
    blx r0
    msr control, r4
    isb
    pop {r4, pc}
    .ltorg

/* execute(in, code, out): see injected.c. */
    .global execute
    .type execute, %function
    .thumb_func
execute:
    push {r2, r4-r12, lr}
    sub sp, #4
    push {r1}
    movs r3, #0
#ifdef __ARM_FEATURE_DSP
    msr apsr_nzcvqg, r3
#else
    msr apsr_nzcvq, r3
#endif
    mov lr, r0
    ldm lr!, {r0-r11}
    ldr r12, [lr]
    ldr lr, =executed
    pop {pc}
    .type executed, %function
    .thumb_func
executed:
    push {r0, r1}
    mrs r0, apsr
    cpsie i
    isb
    ldr r1, [sp, #12]
    str r0, [r1, #52]
    pop {r0}
    str r0, [r1]
    pop {r0}
    str r0, [r1, #4]
    adds r1, #8
    stm r1, {r2-r12}
    add sp, #4
    pop {r2, r4-r12, pc}
    .ltorg
