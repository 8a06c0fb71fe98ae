# SYSCON (UM11126, SYSCON): clock gates and resets as storage with their SET and CLR registers, and what lets CPU1 go.
if request.IsInit:
    BANKS = (0x100, 0x200)  # PRESETCTRL, AHBCLKCTRL: three words; 0x20 above each its SET, 0x40 above its CLR
    registers = {0x800: 0x28, 0x804: 0, 0xFD4: 0}  # CPUCTRL (CPU1 in reset), CPBOOT, CPUCFG
    for each in BANKS:
        for k in (0, 4, 8):
            registers[each + k] = 0
    self.GetMachine()['sysbus.cpu1'].IsHalted = True
elif request.IsRead:
    if request.Offset in registers:
        request.Value = registers[request.Offset]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    if o in (0x120, 0x124, 0x128, 0x220, 0x224, 0x228):
        registers[o - 0x20] |= v
    elif o in (0x140, 0x144, 0x148, 0x240, 0x244, 0x248):
        registers[o - 0x40] &= 0xFFFFFFFF ^ v
    elif o == 0x800:
        if v >> 16 == 0xC0C4:
            registers[o] = v & 0xFFFF
            cpu1 = self.GetMachine()['sysbus.cpu1']
            held = v & 0x28 != 0x08
            if not held and cpu1.IsHalted:
                cpu1.InitVectorTableOffset = registers[0x804]
            cpu1.IsHalted = held
    elif o in registers:
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
