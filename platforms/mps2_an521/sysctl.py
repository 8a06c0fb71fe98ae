# System control (SSE-200 Technical Overview): where the cores boot, and core 1 kept waiting. The rest is storage.
if request.IsInit:
    RESET = {0x100: 1, 0x110: 0x10000000, 0x114: 0x10000000, 0x118: 2, 0x200: 0x7F}
    STORED = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x104, 0x10C, 0x110, 0x11C, 0x200, 0x204, 0x208, 0x20C)
    IDS = (4, 0, 0, 0, 0x54, 0xB8, 0x1B, 0, 0xD, 0xF0, 5, 0xB1)
    words = {}
elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif 0xFD0 <= o < 0x1000:
        request.Value = IDS[(o - 0xFD0) // 4]
    elif o in STORED or o in (0x100, 0x114, 0x118):
        request.Value = words.get(o, RESET.get(o, 0))
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x114:  # INITSVTOR1
        words[o] = v
        self.GetMachine()['sysbus.cpu1'].InitVectorTableOffset = v
    elif o == 0x118:  # CPUWAIT: a core that runs is not stopped by it
        words[o] = v & 3
        if v & 2 == 0 and self.GetMachine()['sysbus.cpu1'].IsHalted:
            self.GetMachine()['sysbus.cpu1'].IsHalted = False
    elif o in STORED:
        words[o] = v
    elif o != 0x100:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
