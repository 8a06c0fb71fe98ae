# DMAMUX1, request multiplexer of DMA1 and DMA2 (RM0399 ch. 17): storage. A stream finds its peripheral by address, and
# nothing overruns.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x080: (0x00000000, 0x00000000),  # CSR: no overrun
        0x084: (0x00000000, 0x00000000),  # CFR
        0x140: (0x00000000, 0x00000000),  # RGSR
        0x144: (0x00000000, 0x00000000),  # RGCFR
    }
    for each in range(16):
        REGISTERS[4 * each] = (0x00000000, 0x1FFF037F)  # CxCR
    for each in range(8):
        REGISTERS[0x100 + 4 * each] = (0x00000000, 0x00FF0107)  # RGxCR

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
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
