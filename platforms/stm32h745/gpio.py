# GPIO ports A to K (RM0399 ch. 12), 0x400 each. No pin is connected: an output pin reads what it drives, others 0.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x00: (0xFFFFFFFF, 0xFFFFFFFF),  # MODER
        0x04: (0x00000000, 0x0000FFFF),  # OTYPER
        0x08: (0x00000000, 0xFFFFFFFF),  # OSPEEDR
        0x0C: (0x00000000, 0xFFFFFFFF),  # PUPDR
        0x10: (0x00000000, 0x00000000),  # IDR: made from MODER and ODR
        0x14: (0x00000000, 0x0000FFFF),  # ODR
        0x18: (0x00000000, 0xFFFFFFFF),  # BSRR: reads 0
        0x1C: (0x00000000, 0x0001FFFF),  # LCKR
        0x20: (0x00000000, 0xFFFFFFFF),  # AFRL
        0x24: (0x00000000, 0xFFFFFFFF),  # AFRH
    }
    for each in list(REGISTERS):
        for port in range(1, 11):
            REGISTERS[0x400 * port + each] = REGISTERS[each]
    # the debug port is on pins of A and B
    REGISTERS[0x000] = (0xABFFFFFF, 0xFFFFFFFF)
    REGISTERS[0x008] = (0x0C000000, 0xFFFFFFFF)
    REGISTERS[0x00C] = (0x64000000, 0xFFFFFFFF)
    REGISTERS[0x400] = (0xFFFFFEBF, 0xFFFFFFFF)
    REGISTERS[0x408] = (0x000000C0, 0xFFFFFFFF)
    REGISTERS[0x40C] = (0x00000100, 0xFFFFFFFF)

    # IDR of the port at a base offset
    def inputs(base):
        v = 0
        for pin in range(16):
            if (registers[base] >> (2 * pin)) & 3 == 1:
                v |= registers[base + 0x14] & (1 << pin)
        return v

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        v = registers[o]
        if o % 0x400 == 0x10:
            v = inputs(o - 0x10)
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
        if o % 0x400 == 0x18:
            odr = o - 4
            registers[odr] = (registers[odr] & (0xFFFF ^ (v >> 16))) | (v & 0xFFFF)
        else:
            registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
