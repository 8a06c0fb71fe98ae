# IPC, interprocessor communication (nRF5340 PS, IPC): 16 channels between the cores. Each core has registers of its
# own: bank 0 is the application core's (NVIC 42), bank 1 the network core's (NVIC 18). The host looks at bank 0.
if request.IsInit:
    LINES = (('sysbus.nvic_app', 42), ('sysbus.nvic_net', 18))
    send = [[0] * 16, [0] * 16]
    receive = [[0] * 16, [0] * 16]
    subscribe = [[0] * 16, [0] * 16]
    publish = [[0] * 16, [0] * 16]
    memory = [[0] * 2, [0] * 2]
    events = [0, 0]
    enabled = [0, 0]
    level = [False, False]

    def bank():
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        return 1 if found and cpu == self.GetMachine()['sysbus.cpu_net'] else 0

    def update():
        for k in (0, 1):
            wanted = (events[k] & enabled[k]) != 0
            if wanted != level[k]:
                level[k] = wanted
                self.GetMachine()[LINES[k][0]].OnGPIO(LINES[k][1], wanted)

    # TASKS_SEND: the channels of SEND_CNF reach every event whose RECEIVE_CNF has one of them
    def signal(channels):
        for k in (0, 1):
            for n in range(16):
                if receive[k][n] & channels:
                    events[k] |= 1 << n
        update()

    # SUBSCRIBE and PUBLISH: storage; what they would connect to is not modelled
    def connect(where, n, value):
        where[n] = value & 0x800000FF
        if value & 0x80000000:
            self.WarningLog('unmodelled write at 0x{0:X}: DPPI', request.Offset)

elif request.IsRead:
    o = request.Offset
    k = bank()
    n = o % 0x40 // 4
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x30C:
        request.Value = events[k] & enabled[k]
    elif 0x100 <= o < 0x140:
        request.Value = (events[k] >> n) & 1
    elif 0x300 <= o < 0x30C:
        request.Value = enabled[k]
    elif o < 0x40:
        request.Value = 0
    elif 0x80 <= o < 0xC0:
        request.Value = subscribe[k][n]
    elif 0x180 <= o < 0x1C0:
        request.Value = publish[k][n]
    elif 0x510 <= o < 0x550:
        request.Value = send[k][(o - 0x510) // 4]
    elif 0x590 <= o < 0x5D0:
        request.Value = receive[k][(o - 0x590) // 4]
    elif 0x610 <= o < 0x618:
        request.Value = memory[k][(o - 0x610) // 4]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    k = bank()
    n = o % 0x40 // 4
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o < 0x40:
        if v & 1:
            signal(send[k][n])
    elif 0x100 <= o < 0x140:
        events[k] = (events[k] & (0xFFFF ^ (1 << n))) | ((v & 1) << n)
        update()
    elif o == 0x300:
        enabled[k] = v & 0xFFFF
        update()
    elif o == 0x304:
        enabled[k] |= v & 0xFFFF
        update()
    elif o == 0x308:
        enabled[k] = enabled[k] & (0xFFFF ^ (v & 0xFFFF))
        update()
    elif o == 0x30C:
        pass
    elif 0x80 <= o < 0xC0:
        connect(subscribe[k], n, v)
    elif 0x180 <= o < 0x1C0:
        connect(publish[k], n, v)
    elif 0x510 <= o < 0x550:
        send[k][(o - 0x510) // 4] = v & 0xFFFF
    elif 0x590 <= o < 0x5D0:
        receive[k][(o - 0x590) // 4] = v & 0xFFFF
    elif 0x610 <= o < 0x618:
        memory[k][(o - 0x610) // 4] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
