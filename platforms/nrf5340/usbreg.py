# USBREG, the regulator of USB (nRF5340 PS, USBREG): storage. No cable is plugged in, so no event ever comes.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x100: (0x00000000, 0x00000001),  # EVENTS_USBDETECTED
        0x104: (0x00000000, 0x00000001),  # EVENTS_USBREMOVED
        0x108: (0x00000000, 0x00000001),  # EVENTS_USBPWRRDY
        0x180: (0x00000000, 0x800000FF),  # PUBLISH_USBDETECTED
        0x184: (0x00000000, 0x800000FF),  # PUBLISH_USBREMOVED
        0x188: (0x00000000, 0x800000FF),  # PUBLISH_USBPWRRDY
        0x300: (0x00000000, 0x00000007),  # INTEN
        0x304: (0x00000000, 0x00000007),  # INTENSET: reads as INTEN
        0x308: (0x00000000, 0x00000007),  # INTENCLR: reads as INTEN
        0x400: (0x00000000, 0x00000000),  # USBREGSTATUS
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x304, 0x308):
        request.Value = registers[0x300]
    elif o in registers:
        request.Value = registers[o]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in registers:
        mask = REGISTERS[o][1]
        v = request.Value & mask
        if o == 0x304:
            registers[0x300] |= v
        elif o == 0x308:
            registers[0x300] = registers[0x300] & (0xFFFFFFFF ^ v)
        else:
            registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
            if mask == 0x800000FF and v & 0x80000000:
                self.WarningLog('unmodelled write at 0x{0:X}: DPPI', o)
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
