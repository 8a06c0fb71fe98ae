# OSCILLATORS and REGULATORS (nRF5340 PS, OSCILLATORS, REGULATORS): storage.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x428: (0x00000000, 0x00000000),  # MAINREGSTATUS
        0x510: (0x00000000, 0x00000F1F),  # POFCON
        0x5C4: (0x00000000, 0x0000011F),  # XOSC32MCAPS
        0x6C0: (0x00000000, 0x00000001),  # XOSC32KI.BYPASS
        0x6D0: (0x00000000, 0x00000003),  # XOSC32KI.INTCAP
        0x704: (0x00000000, 0x00000001),  # VREGMAIN.DCDCEN
        0x904: (0x00000000, 0x00000001),  # VREGRADIO.DCDCEN
        0xB00: (0x00000000, 0x00000001),  # VREGH.DCDCEN
        0xB40: (0x00000001, 0x00000001),  # VREGH.EXTSILENTEN
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        request.Value = (registers[o] >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = ((request.Value & 0xFFFFFFFF) << shift) & mask
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
