# DCNF and FPU (nRF5340 PS, DCNF, FPU), which share one block of addresses: storage; no access is blocked.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x100: (0x00000000, 0x00000001),  # EVENTS_INVALIDOPERATION
        0x104: (0x00000000, 0x00000001),  # EVENTS_DIVIDEBYZERO
        0x108: (0x00000000, 0x00000001),  # EVENTS_OVERFLOW
        0x10C: (0x00000000, 0x00000001),  # EVENTS_UNDERFLOW
        0x110: (0x00000000, 0x00000001),  # EVENTS_INEXACT
        0x114: (0x00000000, 0x00000001),  # EVENTS_DENORMALINPUT
        0x420: (0x00000000, 0x00000000),  # CPUID: 0 at the application core
        0x440: (0x00000000, 0x00000001),  # EXTPERI[0].PROTECT
        0x460: (0x00000000, 0x000000FF),  # EXTRAM[0].PROTECT
        0x480: (0x00000000, 0x00000001),  # EXTCODE[0].PROTECT
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
