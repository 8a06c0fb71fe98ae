# SYSCFG, system configuration (RM0399 ch. 13). UR1 says that both cores boot, UR2 to UR4 from where.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x004: (0x00000000, 0x0FE003FF),  # PMCR
        0x008: (0x00000000, 0x0000FFFF),  # EXTICR1
        0x00C: (0x00000000, 0x0000FFFF),  # EXTICR2
        0x010: (0x00000000, 0x0000FFFF),  # EXTICR3
        0x014: (0x00000000, 0x0000FFFF),  # EXTICR4
        0x018: (0x00000000, 0x0000FECD),  # CFGR
        0x020: (0x00000000, 0x00010003),  # CCCSR
        0x028: (0x00000000, 0x000000FF),  # CCCR
        0x02C: (0x00000000, 0x00000001),  # PWRCR
        0x304: (0x00010001, 0x00010001),  # UR1: BCM7, BCM4
        0x308: (0x08000000, 0x00000000),  # UR2: BCM7_ADD0
        0x30C: (0x08101FF0, 0x00000000),  # UR3: BCM4_ADD0, BCM7_ADD1
        0x310: (0x00001000, 0x00000000),  # UR4: BCM4_ADD1
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        v = registers[o]
        if o == 0x020:
            v |= (v & 1) << 8  # READY follows EN
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
        if o == 0x018:
            v |= registers[o]  # a lock-up connection, once made, lasts until reset
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
