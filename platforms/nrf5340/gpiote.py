# GPIOTE (nRF5340 PS, GPIOTE): storage. No pin is connected, so no event ever comes; tasks, which would move a pin, are said
# to be unmodelled.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x17C: (0x00000000, 0x00000001),  # EVENTS_PORT
        0x1FC: (0x00000000, 0x800000FF),  # PUBLISH_PORT
        0x304: (0x00000000, 0x800000FF),  # INTENSET
        0x308: (0x00000000, 0x800000FF),  # INTENCLR: reads as INTENSET
        0x504: (0x00000001, 0x00000001),  # LATENCY
    }
    for n in range(8):
        for o in (0x080, 0x0B0, 0x0E0, 0x180):
            REGISTERS[o + 4 * n] = (0x00000000, 0x800000FF)  # SUBSCRIBE_OUT, _SET and _CLR, PUBLISH_IN
        REGISTERS[0x100 + 4 * n] = (0x00000000, 0x00000001)  # EVENTS_IN
        REGISTERS[0x510 + 4 * n] = (0x00000000, 0x00133F03)  # CONFIG

    def store(o, v):
        mask = REGISTERS[o][1]
        if o == 0x304:
            registers[0x304] |= v & mask
        elif o == 0x308:
            registers[0x304] = registers[0x304] & (0xFFFFFFFF ^ (v & mask))
        else:
            registers[o] = v & mask
            if mask == 0x800000FF and v & 0x80000000:
                self.WarningLog('unmodelled write at 0x{0:X}: DPPI', o)

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x308:
        request.Value = registers[0x304]
    elif o in registers:
        request.Value = registers[o]
    elif o >= 0x080:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in registers:
        store(o, request.Value & 0xFFFFFFFF)
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
