# MPS2 with the AN521 image (Arm SSE-200): two Cortex-M33, the FPU in the second.
main.core := CORE_CPU0
remote.core := CORE_CPU1
main.zig := -target thumb-freestanding-eabi -mcpu=cortex_m33
remote.zig := -target thumb-freestanding-eabihf -mcpu=cortex_m33+fp_armv8d16sp
main.gcc := -mcpu=cortex-m33+nofp -mfloat-abi=soft
remote.gcc := -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16

board.sources :=
board.main.sources := $B/release.c
# dtcm-desc: each core sees every memory. stuck-lock: the doorbells have no lock.
MEANINGLESS := dtcm-desc stuck-lock $(CACHED)
