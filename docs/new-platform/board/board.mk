# LPC55S69: two Cortex-M33, the FPU in the first.
main.core := CORE_CPU0
remote.core := CORE_CPU1
main.zig := -target thumb-freestanding-eabihf -mcpu=cortex_m33+fp_armv8d16sp
remote.zig := -target thumb-freestanding-eabi -mcpu=cortex_m33
main.gcc := -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16
remote.gcc := -mcpu=cortex-m33+nofp -mfloat-abi=soft

board.sources :=
board.main.sources := $B/release.c
# dtcm-desc: each core sees every memory. bad-desc: at one address. stuck-lock: the mailbox has no lock.
# sram, other: no linker scripts for them.
MEANINGLESS := dtcm-desc bad-desc stuck-lock sram other
