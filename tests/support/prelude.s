    .syntax unified
    .thumb
    .equ SYST_CSR,  0xE000E010
    .equ NVIC_ISER, 0xE000E100
    .equ NVIC_ICER, 0xE000E180
    .equ NVIC_ISPR, 0xE000E200
    .equ NVIC_ICPR, 0xE000E280
    .equ NVIC_IABR, 0xE000E300
    .equ NVIC_IPR,  0xE000E400
    .equ ICSR,      0xE000ED04
    .equ VTOR,      0xE000ED08
    .equ AIRCR,     0xE000ED0C
    .equ SCR,       0xE000ED10
    .equ CCR,       0xE000ED14
    .equ SHPR1,     0xE000ED18
    .equ SHPR2,     0xE000ED1C
    .equ SHPR3,     0xE000ED20
    .equ SHCSR,     0xE000ED24
    .equ CFSR,      0xE000ED28
    .equ HFSR,      0xE000ED2C
    .equ DFSR,      0xE000ED30
    .equ MMFAR,     0xE000ED34
    .equ BFAR,      0xE000ED38
    .equ CPACR,     0xE000ED88
    .equ STIR,      0xE000EF00
    .equ DWT_CTRL,  0xE0001000
    .equ CYCCNT,    0xE0001004
    .equ PULLER,    0x50000000
    .equ USART,     0x40004800
    .equ PENDSVSET, 1 << 28
    .equ NOWHERE,   0x30000000

    @ store a constant: the two named registers are lost
    .macro poke address, value, a=r0, b=r1
    ldr \a, =\address
    ldr \b, =\value
    str \b, [\a]
    .endm

    @ store a register in word \index of `out`: \a is lost
    .macro keep register, index, a=r3
    ldr \a, =out + 4 * \index
    str \register, [\a]
    .endm

    .macro keep_at address, index, a=r3, b=r2
    ldr \b, =\address
    ldr \b, [\b]
    keep \b, \index, \a
    .endm

    @ append a byte to `trace`: r1 to r3 are lost
    .macro log value
    ldr r3, =cursor
    ldr r2, [r3]
    mov r1, #\value
    add r2, #1
    str r2, [r3]
    add r3, r2
    strb r1, [r3, #3]
    .endm

    .macro fpu_on a=r0, b=r1
    poke CPACR, 0xF << 20, \a, \b
    dsb
    isb
    .endm

    .bss
    .balign 8
cursor: .skip 4  @ offset of the next byte behind here
trace:  .skip 60
out:    .skip 256
    .balign 8
    .skip 1024
psp_top:
    .skip 1024
stack_top:
    .cfi_sections .debug_frame
    .text
