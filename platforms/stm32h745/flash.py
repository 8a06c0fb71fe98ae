# FLASH, embedded flash memory interface (RM0399 ch. 4). Programming and erasing are not modelled: the banks stay locked.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x000: (0x00000037, 0x00000037),  # ACR, also at 0x100
        0x00C: (0x00000031, 0x00000000),  # CR1: LOCK
        0x010: (0x00000000, 0x00000000),  # SR1: idle
        0x014: (0x00000000, 0x00000000),  # CCR1
        0x040: (0x1FF00800, 0x00000000),  # BOOT7_CUR: BCM7_ADD1, BCM7_ADD0
        0x048: (0x10000810, 0x00000000),  # BOOT4_CUR: BCM4_ADD1, BCM4_ADD0
        0x10C: (0x00000031, 0x00000000),  # CR2
        0x110: (0x00000000, 0x00000000),  # SR2
        0x114: (0x00000000, 0x00000000),  # CCR2
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o == 0x100:
        o = 0x000
    if o in registers:
        v = registers[o]
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o == 0x100:
        o = 0x000
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
