# USBD (nRF5340 PS, USBD; NVIC 54): storage. Once enabled it is READY, and no host is at the other end of the cable: nothing
# else ever happens. Tasks are said to be unmodelled.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x200: (0x00000000, 0x0000001F),  # SHORTS
        0x300: (0x00000000, 0x01FFFFFF),  # INTEN
        0x304: (0x00000000, 0x01FFFFFF),  # INTENSET: reads as INTEN
        0x308: (0x00000000, 0x01FFFFFF),  # INTENCLR: reads as INTEN
        0x400: (0x00000000, 0x00000F01),  # EVENTCAUSE: one clears
        0x468: (0x00000000, 0x01FF01FF),  # EPSTATUS: one clears
        0x46C: (0x00000000, 0x00FE00FE),  # EPDATASTATUS: one clears
        0x470: (0x00000000, 0x00000000),  # USBADDR
        0x4C0: (0x00010000, 0x00000000),  # SIZE.ISOOUT
        0x500: (0x00000000, 0x00000001),  # ENABLE
        0x504: (0x00000000, 0x00000001),  # USBPULLUP
        0x508: (0x00000000, 0x0000001F),  # DPDMVALUE
        0x50C: (0x00000100, 0x00000387),  # DTOGGLE
        0x510: (0x00000001, 0x000001FF),  # EPINEN
        0x514: (0x00000001, 0x000001FF),  # EPOUTEN
        0x518: (0x00000000, 0x00000000),  # EPSTALL: nobody asks
        0x51C: (0x00000000, 0x0000FFFF),  # ISOSPLIT
        0x520: (0x00000000, 0x00000000),  # FRAMECNTR
        0x52C: (0x00000000, 0x00000001),  # LOWPOWER
        0x530: (0x00000000, 0x00000001),  # ISOINCONFIG
    }
    for n in range(25):
        REGISTERS[0x100 + 4 * n] = (0x00000000, 0x00000001)  # EVENTS
        REGISTERS[0x180 + 4 * n] = (0x00000000, 0x800000FF)  # PUBLISH
    for n in range(1, 24):
        REGISTERS[0x080 + 4 * n] = (0x00000000, 0x800000FF)  # SUBSCRIBE
    for n in range(8):
        REGISTERS[0x420 + 4 * n] = (0x00000000, 0x00000000)  # HALTED.EPIN[n]
        REGISTERS[0x444 + 4 * n] = (0x00000000, 0x00000000)  # HALTED.EPOUT[n]
        REGISTERS[0x480 + 4 * n] = (0x00000000, 0x00000000)  # BMREQUESTTYPE to WLENGTHH
        REGISTERS[0x4A0 + 4 * n] = (0x00000000, 0x0000007F)  # SIZE.EPOUT[n]
    for n in range(9):
        for first in (0x600, 0x700):
            REGISTERS[first + 20 * n] = (0x00000000, 0xFFFFFFFF)  # PTR; the ninth is isochronous
            REGISTERS[first + 20 * n + 4] = (0x00000000, 0x0000007F if n < 8 else 0x000003FF)  # MAXCNT
            REGISTERS[first + 20 * n + 8] = (0x00000000, 0x00000000)  # AMOUNT
    level = [False]

    def pending():
        v = 0
        for n in range(25):
            v |= registers[0x100 + 4 * n] << n
        return v & registers[0x300]

    def update():
        wanted = pending() != 0
        if wanted != level[0]:
            level[0] = wanted
            self.GetMachine()['sysbus.nvic_app'].OnGPIO(54, wanted)

    def store(o, v):
        mask = REGISTERS[o][1]
        v = v & mask
        if o == 0x304:
            registers[0x300] |= v
        elif o == 0x308:
            registers[0x300] = registers[0x300] & (0xFFFFFFFF ^ v)
        elif o in (0x400, 0x468, 0x46C):
            registers[o] = registers[o] & (0xFFFFFFFF ^ v)
        else:
            if o == 0x500 and v == 1 and registers[o] == 0:
                registers[0x400] |= 0x800
                registers[0x158] = 1
            registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
            if mask == 0x800000FF and v & 0x80000000:
                self.WarningLog('unmodelled write at 0x{0:X}: DPPI', o)

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x304, 0x308):
        request.Value = registers[0x300]
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
        update()
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
