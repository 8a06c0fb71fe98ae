# CLOCK, POWER and RESET (nRF5340 PS, CLOCK, POWER, RESET), which share one block of addresses. Each core has its own:
# bank 0 the application core's, bank 1 the network core's; both interrupt as NVIC 5. Clocks start at once.
# RESET.NETWORK.FORCEOFF of the application core is 1 after reset: the network core is held until it is written 0.
if request.IsInit:
    NVICS = ('sysbus.nvic_app', 'sysbus.nvic_net')
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x0F8: (0x00000000, 0x800000FF),  # SUBSCRIBE_CONSTLAT
        0x0FC: (0x00000000, 0x800000FF),  # SUBSCRIBE_LOWPWR
        0x100: (0x00000000, 0x00000001),  # EVENTS_HFCLKSTARTED
        0x104: (0x00000000, 0x00000001),  # EVENTS_LFCLKSTARTED
        0x108: (0x00000000, 0x00000001),  # EVENTS_POFWARN
        0x114: (0x00000000, 0x00000001),  # EVENTS_SLEEPENTER
        0x118: (0x00000000, 0x00000001),  # EVENTS_SLEEPEXIT
        0x11C: (0x00000000, 0x00000001),  # EVENTS_DONE
        0x300: (0x00000000, 0x000000E7),  # INTEN
        0x304: (0x00000000, 0x000000E7),  # INTENSET: reads as INTEN
        0x308: (0x00000000, 0x000000E7),  # INTENCLR: reads as INTEN
        0x30C: (0x00000000, 0x00000000),  # INTPEND: made from events and INTEN
        0x400: (0x00000000, 0x0FFFFFFF),  # RESETREAS: one clears
        0x408: (0x00000000, 0x00000000),  # HFCLKRUN
        0x40C: (0x00000000, 0x00000000),  # HFCLKSTAT
        0x414: (0x00000000, 0x00000000),  # LFCLKRUN
        0x418: (0x00000000, 0x00000000),  # LFCLKSTAT
        0x41C: (0x00000001, 0x00000000),  # LFCLKSRCCOPY
        0x514: (0x00000001, 0x00000001),  # HFCLKSRC
        0x518: (0x00000001, 0x00000003),  # LFCLKSRC
        0x51C: (0x00000000, 0x000000FF),  # GPREGRET[0]
        0x520: (0x00000000, 0x000000FF),  # GPREGRET[1]
        0x558: (0x00000000, 0x00000003),  # HFCLKCTRL
        0x570: (0x00000000, 0x00000001),  # HFCLKALWAYSRUN
        0x574: (0x00000000, 0x00000001),  # LFCLKALWAYSRUN
    }
    APPLICATION = {
        0x120: (0x00000000, 0x00000001),  # EVENTS_HFCLKAUDIOSTARTED
        0x124: (0x00000000, 0x00000001),  # EVENTS_HFCLK192MSTARTED
        0x300: (0x00000000, 0x000003E7),
        0x304: (0x00000000, 0x000003E7),
        0x308: (0x00000000, 0x000003E7),
        0x450: (0x00000000, 0x00000000),  # HFCLKAUDIORUN
        0x454: (0x00000000, 0x00000000),  # HFCLKAUDIOSTAT
        0x458: (0x00000000, 0x00000000),  # HFCLK192MRUN
        0x45C: (0x00000000, 0x00000000),  # HFCLK192MSTAT
        0x558: (0x00000001, 0x00000003),  # HFCLKCTRL: 64 MHz
        0x55C: (0x00009BAE, 0x0000FFFF),  # HFCLKAUDIO.FREQUENCY
        0x57C: (0x00000000, 0x00000001),  # HFCLKAUDIOALWAYSRUN
        0x580: (0x00000001, 0x00000001),  # HFCLK192MSRC
        0x584: (0x00000000, 0x00000001),  # HFCLK192MALWAYSRUN
        0x5B8: (0x00000002, 0x00000003),  # HFCLK192MCTRL
        0x614: (0x00000001, 0x00000001),  # NETWORK.FORCEOFF
    }
    # task that starts a clock (the next one stops it): event, RUN, STAT, register with its source or 0
    CLOCKS = {
        0x000: (0x100, 0x408, 0x40C, 0x514),
        0x008: (0x104, 0x414, 0x418, 0x518),
        0x018: (0x120, 0x450, 0x454, 0),
        0x020: (0x124, 0x458, 0x45C, 0x580),
    }
    # event: its bit in INTEN
    INTERRUPTS = {0x100: 0, 0x104: 1, 0x108: 2, 0x114: 5, 0x118: 6, 0x11C: 7, 0x120: 8, 0x124: 9}
    masks = ({}, {})
    registers = ({}, {})
    for each in REGISTERS:
        for k in (0, 1):
            registers[k][each] = REGISTERS[each][0]
            masks[k][each] = REGISTERS[each][1]
    for each in APPLICATION:
        registers[0][each] = APPLICATION[each][0]
        masks[0][each] = APPLICATION[each][1]
    for task in (0x000, 0x004, 0x008, 0x00C, 0x010, 0x018, 0x01C, 0x020, 0x024):
        for k in (0, 1):
            if k == 0 or task < 0x018:
                masks[k][0x080 + task] = 0x800000FF  # SUBSCRIBE
                registers[k][0x080 + task] = 0
    for event in INTERRUPTS:
        for k in (0, 1):
            if k == 0 or event < 0x120:
                masks[k][0x080 + event] = 0x800000FF  # PUBLISH
                registers[k][0x080 + event] = 0
    level = [False, False]

    def bank():
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        return 1 if found and cpu == self.GetMachine()['sysbus.cpu_net'] else 0

    def pending(k):
        v = 0
        for event in INTERRUPTS:
            if registers[k].get(event, 0):
                v |= 1 << INTERRUPTS[event]
        return v & registers[k][0x300]

    def update(k):
        wanted = pending(k) != 0
        if wanted != level[k]:
            level[k] = wanted
            self.GetMachine()[NVICS[k]].OnGPIO(5, wanted)

    def start(k, clock):
        event, run, stat, source = clock
        registers[k][event] = 1
        registers[k][run] = 1
        registers[k][stat] = 0x10000 | registers[k].get(source, 0)
        if source == 0x518:
            registers[k][0x41C] = registers[k][0x518]

    def stop(k, clock):
        registers[k][clock[1]] = 0
        registers[k][clock[2]] = 0

    def task(k, o):
        if o in CLOCKS and (k == 0 or o < 0x018):
            start(k, CLOCKS[o])
        elif o - 4 in CLOCKS and (k == 0 or o < 0x018):
            stop(k, CLOCKS[o - 4])
        elif o == 0x010:
            registers[k][0x11C] = 1
        elif o not in (0x078, 0x07C):  # CONSTLAT, LOWPWR: no difference here
            self.WarningLog('unmodelled write at 0x{0:X}', o)

    def store(k, o, v):
        old = registers[k].get(o, 0)
        mask = masks[k].get(o, 0)
        if o == 0x304:
            registers[k][0x300] |= v & mask
        elif o == 0x308:
            registers[k][0x300] = registers[k][0x300] & (0xFFFFFFFF ^ (v & mask))
        elif o == 0x400:
            registers[k][o] = old & (0xFFFFFFFF ^ v)
        else:
            registers[k][o] = (old & (0xFFFFFFFF ^ mask)) | (v & mask)
        if mask == 0x800000FF and v & 0x80000000:
            self.WarningLog('unmodelled write at 0x{0:X}: DPPI', o)
        if o == 0x614:
            self.GetMachine()['sysbus.cpu_net'].IsHalted = (v & 1) != 0

elif request.IsRead:
    o = request.Offset
    k = bank()
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x30C:
        request.Value = pending(k)
    elif o in (0x304, 0x308):
        request.Value = registers[k][0x300]
    elif o in registers[k]:
        request.Value = registers[k][o]
    elif o >= 0x080:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    k = bank()
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in registers[k]:
        store(k, o, v)
        update(k)
    elif o < 0x080:
        if v & 1:
            task(k, o)
            update(k)
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
