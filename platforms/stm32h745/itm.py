# ITM, instrumentation trace macrocell (DDI0403E C1.7): storage behind its lock, which any write opens. Nobody reads
# the trace: while it is on, a stimulus port is ready (reads 1) and takes what is written.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0xE00: (0x00000000, 0xFFFFFFFF),  # TER
        0xE40: (0x00000000, 0x0000000F),  # TPR
        0xE80: (0x00000000, 0x007F0F1F),  # TCR
        0xFB0: (0x00000000, 0x00000000),  # LAR
        0xFB4: (0x00000000, 0x00000000),  # LSR: not locked
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o < 0x80:
        request.Value = registers[0xE80] & (registers[0xE00] >> (o // 4)) & 1
    elif o in registers:
        v = registers[o]
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
    elif o >= 0x80:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
