# EXTI, extended interrupt and event controller (RM0399 ch. 21): masks and edge selection are storage. No line is
# connected: nothing becomes pending, and a software event (SWIER) is reported as unmodelled.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x00: (0x00000000, 0x003FFFFF),  # RTSR1
        0x04: (0x00000000, 0x003FFFFF),  # FTSR1
        0x08: (0x00000000, 0x00000000),  # SWIER1
        0x0C: (0x00000000, 0x0238FFFF),  # D3PMR1
        0x10: (0x00000000, 0xFFFFFFFF),  # D3PCR1L
        0x14: (0x00000000, 0x000C0FC0),  # D3PCR1H
        0x20: (0x00000000, 0x000A0000),  # RTSR2
        0x24: (0x00000000, 0x000A0000),  # FTSR2
        0x28: (0x00000000, 0x00000000),  # SWIER2
        0x2C: (0x00000000, 0x003F020C),  # D3PMR2
        0x30: (0x00000000, 0x000C00F0),  # D3PCR2L
        0x34: (0x00000000, 0x00000FFF),  # D3PCR2H
        0x40: (0x00000000, 0x00740000),  # RTSR3
        0x44: (0x00000000, 0x00740000),  # FTSR3
        0x48: (0x00000000, 0x00000000),  # SWIER3
        0x4C: (0x00000000, 0x01000000),  # D3PMR3
        0x54: (0x00000000, 0x000C0000),  # D3PCR3H
    }
    # C1 from 0x80, C2 from 0xC0: interrupt mask, event mask, pending, of lines 0..31, 32..63, 64..88
    for each in (0x80, 0xC0):
        REGISTERS[each + 0x00] = (0xFFC00000, 0xFFFFFFFF)  # IMR1
        REGISTERS[each + 0x04] = (0x00000000, 0xFFFFFFFF)  # EMR1
        REGISTERS[each + 0x08] = (0x00000000, 0x00000000)  # PR1
        REGISTERS[each + 0x10] = (0xFFF5FFFF, 0xFFFFDFFF)  # IMR2
        REGISTERS[each + 0x14] = (0x00000000, 0xFFFFDFFF)  # EMR2
        REGISTERS[each + 0x18] = (0x00000000, 0x00000000)  # PR2
        REGISTERS[each + 0x20] = (0x018BFFFF, 0x01FFFFFF)  # IMR3
        REGISTERS[each + 0x24] = (0x00000000, 0x01FFFFFF)  # EMR3
        REGISTERS[each + 0x28] = (0x00000000, 0x00000000)  # PR3

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
        if o in (0x08, 0x28, 0x48) and request.Value != 0:
            self.WarningLog('unmodelled software event, 0x{0:X} at 0x{1:X}', request.Value, o)
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
