# RNG of the network core (nRF5340 PS, RNG; NVIC 9): the next value is there as soon as the last has been seen. Values follow
# one another the same way in every run.
if request.IsInit:
    state = [0x2545F491]
    value = [0]
    running = [False]
    event = [0]
    enabled = [0]
    shorts = [0]
    config = [0]
    connections = {0x080: 0, 0x084: 0, 0x180: 0}
    level = [False]

    def update():
        wanted = event[0] & enabled[0] != 0
        if wanted != level[0]:
            level[0] = wanted
            self.GetMachine()['sysbus.nvic_net'].OnGPIO(9, wanted)

    # one byte of a xorshift generator (Marsaglia, 13 17 5)
    def advance():
        if running[0] and event[0] == 0:
            s = state[0]
            s ^= (s << 13) & 0xFFFFFFFF
            s ^= s >> 17
            s ^= (s << 5) & 0xFFFFFFFF
            state[0] = s
            value[0] = s >> 24
            event[0] = 1
            if shorts[0]:
                running[0] = False

    def store(o, v):
        if o == 0x100:
            event[0] = v & 1
        elif o == 0x200:
            shorts[0] = v & 1
        elif o == 0x304:
            enabled[0] |= v & 1
        elif o == 0x308:
            enabled[0] = enabled[0] & (1 ^ (v & 1))
        elif o == 0x504:
            config[0] = v & 1

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x100:
        request.Value = event[0]
    elif o == 0x200:
        request.Value = shorts[0]
    elif o in (0x304, 0x308):
        request.Value = enabled[0]
    elif o == 0x504:
        request.Value = config[0]
    elif o == 0x508:
        request.Value = value[0]
    elif o in connections:
        request.Value = connections[o]
    elif o >= 0x008:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x000, 0x004):
        if v & 1:
            running[0] = o == 0x000
    elif o in (0x100, 0x200, 0x304, 0x308, 0x504):
        store(o, v)
    elif o in connections:
        connections[o] = v & 0x800000FF
        if v & 0x80000000:
            self.WarningLog('unmodelled write at 0x{0:X}: DPPI', o)
    elif o != 0x508:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
    advance()
    update()
