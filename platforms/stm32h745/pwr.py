# PWR, power control (RM0399 ch. 7). Regulators and voltage scaling are ready at once; CR3 may be written more than once.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x00: (0xF000C000, 0x0007C3F1),  # CR1
        0x04: (0x00000000, 0x00000000),  # CSR1: made from D3CR
        0x08: (0x00000000, 0x00000011),  # CR2
        0x0C: (0x00000006, 0x0300033F),  # CR3
        0x10: (0x00000000, 0x00000C07),  # CPUCR
        0x14: (0x00000000, 0x00000C07),  # CPU2CR
        0x18: (0x00004000, 0x0000C000),  # D3CR
        0x20: (0x00000000, 0x00000000),  # WKUPCR
        0x24: (0x00000000, 0x00000000),  # WKUPFR
        0x28: (0x00000000, 0x0FFF3F3F),  # WKUPEPR
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        v = registers[o]
        if o == 0x04:
            v = 0x2000 | (registers[0x18] & 0xC000)  # ACTVOSRDY, ACTVOS
        elif o == 0x08:
            v |= (v & 1) << 16  # BRRDY
        elif o == 0x0C:
            v |= 0x04010000  # USB33RDY, SMPSEXTRDY
        elif o == 0x18:
            v |= 0x2000  # VOSRDY
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
