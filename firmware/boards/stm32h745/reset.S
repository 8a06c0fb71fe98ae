/* What comes before RAM may be written. */
#define PWR_CSR1 0x58024804
#define PWR_CSR1_ACTVOSRDY (1 << 13)
#define PWR_CR3 0x5802480C
#define PWR_CR3_BYPASS (1 << 0)
#define PWR_CR3_LDOEN (1 << 1)
#define PWR_CR3_SMPSEN (1 << 2)

    .syntax unified
    .thumb
    .cfi_sections .debug_frame

    /* Leave Run*: RAM is not to be written until the supply of this board, the SMPS alone, is declared (RM0399, PWR).
     * CR3 can be written once; whichever core comes first writes what the other would. */
    .section .text.board_reset, "ax", %progbits
    .balign 4
    .global board_reset
    .type board_reset, %function
    .thumb_func
board_reset:
    .cfi_startproc
    ldr r0, =PWR_CSR1
    ldr r1, [r0, #PWR_CR3 - PWR_CSR1]
    bic r1, #PWR_CR3_BYPASS | PWR_CR3_LDOEN
    orr r1, #PWR_CR3_SMPSEN
    str r1, [r0, #PWR_CR3 - PWR_CSR1]
1:  ldr r1, [r0]
    tst r1, #PWR_CSR1_ACTVOSRDY
    beq 1b
    bx lr
    .cfi_endproc
    .size board_reset, . - board_reset
