# DBGMCU, MCU debug component (RM0399, debug infrastructure): device 0x450, revision V; freeze bits are storage.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x00: (0x20036450, 0x00000000),  # IDC
        0x04: (0x00000000, 0x107001BF),  # CR
        0x34: (0x00000000, 0x00000040),  # APB3FZ1
        0x38: (0x00000000, 0x00000040),  # APB3FZ2
        0x3C: (0x00000000, 0x00E00BFF),  # APB1LFZ1
        0x40: (0x00000000, 0x00E00BFF),  # APB1LFZ2
        0x4C: (0x00000000, 0x20070003),  # APB2FZ1
        0x50: (0x00000000, 0x20070003),  # APB2FZ2
        0x54: (0x00000000, 0x000D1E80),  # APB4FZ1
        0x58: (0x00000000, 0x000D1E80),  # APB4FZ2
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        v = registers[o]
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
