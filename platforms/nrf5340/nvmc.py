# NVMC (nRF5340 PS, NVMC): always ready. Flash is not programmed: a store to it changes nothing.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x400: (0x00000001, 0x00000000),  # READY
        0x408: (0x00000001, 0x00000000),  # READYNEXT
        0x504: (0x00000000, 0x00000007),  # CONFIG
        0x51C: (0x0000000A, 0x0000007F),  # ERASEPAGEPARTIALCFG
        0x540: (0x00000000, 0x00000101),  # ICACHECNF (network core)
        0x548: (0x00000000, 0xFFFFFFFF),  # IHIT (network core)
        0x54C: (0x00000000, 0xFFFFFFFF),  # IMISS (network core)
        0x584: (0x00000000, 0x00000003),  # CONFIGNS (application core)
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
