# DCNF of the network core (nRF5340 PS, DCNF).
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x420: (0x00000001, 0x00000000),  # CPUID: 1 at the network core
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
