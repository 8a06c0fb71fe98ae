# VREQCTRL, voltage request control of the network core (nRF5340 PS, VREQCTRL): a request is granted at once.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x500: (0x00000000, 0x00000001),  # VREGRADIO.VREQH
        0x508: (0x00000000, 0x00000000),  # VREGRADIO.VREQHREADY
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
        if o == 0x500:
            registers[0x508] = v & 1
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
