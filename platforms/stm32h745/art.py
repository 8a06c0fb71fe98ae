# ART accelerator of the Cortex-M4 (RM0399 ch. 6): storage, there is no cache to fill.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x00: (0x00000004, 0x000FFF01),  # CTR
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
