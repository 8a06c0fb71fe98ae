# STM32H745: Cortex-M7 and Cortex-M4F.
main.core := CORE_CM7
remote.core := CORE_CM4
# The processors' own names come without an FPU, and -mfpu is ignored.
main.zig := -target thumb-freestanding-eabihf -mcpu=cortex_m7+fp_armv8d16
remote.zig := -target thumb-freestanding-eabihf -mcpu=cortex_m4+vfp4d16sp
main.gcc := -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16
remote.gcc := -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16

board.sources := $B/reset.S
board.main.sources := $B/cache.c
MEANINGLESS :=
