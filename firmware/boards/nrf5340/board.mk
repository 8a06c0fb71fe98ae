# nRF5340: Cortex-M33F (application) and Cortex-M33 without FPU and DSP extension (network).
main.core := CORE_APP
remote.core := CORE_NET
main.zig := -target thumb-freestanding-eabihf -mcpu=cortex_m33+fp_armv8d16sp
remote.zig := -target thumb-freestanding-eabi -mcpu=cortex_m33-dsp
main.gcc := -mcpu=cortex-m33 -mfloat-abi=hard -mfpu=fpv5-sp-d16
remote.gcc := -mcpu=cortex-m33+nodsp+nofp -mfloat-abi=soft

board.sources :=
board.main.sources :=
# bad-desc: shared memory has one address for both cores, so there is nothing to translate.
MEANINGLESS := bad-desc $(CACHED)
