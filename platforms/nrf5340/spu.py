# SPU, system protection unit (nRF5340 PS, SPU): storage. Security is not enforced: every access is let through.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x100: (0x00000000, 0x00000001),  # EVENTS_RAMACCERR
        0x104: (0x00000000, 0x00000001),  # EVENTS_FLASHACCERR
        0x108: (0x00000000, 0x00000001),  # EVENTS_PERIPHACCERR
        0x180: (0x00000000, 0x800000FF),  # PUBLISH_RAMACCERR
        0x184: (0x00000000, 0x800000FF),  # PUBLISH_FLASHACCERR
        0x188: (0x00000000, 0x800000FF),  # PUBLISH_PERIPHACCERR
        0x300: (0x00000000, 0x00000007),  # INTEN: no access is an error here, so nothing ever interrupts
        0x304: (0x00000000, 0x00000007),  # INTENSET: reads as INTEN
        0x308: (0x00000000, 0x00000007),  # INTENCLR: reads as INTEN
        0x400: (0x00000001, 0x00000000),  # CAP: TrustZone
        0x404: (0x00000000, 0x0000001F),  # CPULOCK
        0x440: (0x00000002, 0x00000110),  # EXTDOMAIN[0].PERM
        0x480: (0xFFFFFFFF, 0xFFFFFFFF),  # DPPI[0].PERM
        0x484: (0x00000000, 0x00000001),  # DPPI[0].LOCK
        0x4C0: (0xFFFFFFFF, 0xFFFFFFFF),  # GPIOPORT[0].PERM
        0x4C4: (0x00000000, 0x00000001),  # GPIOPORT[0].LOCK
        0x4C8: (0xFFFFFFFF, 0xFFFFFFFF),  # GPIOPORT[1].PERM
        0x4CC: (0x00000000, 0x00000001),  # GPIOPORT[1].LOCK
        0x500: (0x00000000, 0x0000013F),  # FLASHNSC[0].REGION
        0x504: (0x00000000, 0x0000010F),  # FLASHNSC[0].SIZE
        0x508: (0x00000000, 0x0000013F),  # FLASHNSC[1].REGION
        0x50C: (0x00000000, 0x0000010F),  # FLASHNSC[1].SIZE
        0x540: (0x00000000, 0x0000013F),  # RAMNSC[0].REGION
        0x544: (0x00000000, 0x0000010F),  # RAMNSC[0].SIZE
        0x548: (0x00000000, 0x0000013F),  # RAMNSC[1].REGION
        0x54C: (0x00000000, 0x0000010F),  # RAMNSC[1].SIZE
    }
    for n in range(64):
        REGISTERS[0x600 + 4 * n] = (0x00000017, 0x00000117)  # FLASHREGION[n].PERM
        REGISTERS[0x700 + 4 * n] = (0x00000017, 0x00000117)  # RAMREGION[n].PERM
    for n in range(256):
        REGISTERS[0x800 + 4 * n] = (0x00000012, 0x00000130)  # PERIPHID[n].PERM

    # what is locked (bit 8, or the LOCK register behind it) stays as it is until the next reset
    def is_locked(o):
        if o in (0x480, 0x4C0, 0x4C8):
            return registers[o + 4] != 0
        return o in registers and (o == 0x440 or o >= 0x500) and registers[o] & 0x100 != 0

    def store(o, mask, v):
        if o == 0x304:
            registers[0x300] |= v
        elif o == 0x308:
            registers[0x300] = registers[0x300] & (0xFFFFFFFF ^ v)
        elif o in registers and not is_locked(o):
            registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in (0x304, 0x308):
        o = 0x300
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
        store(o, mask, v)
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
