# Doorbells (cite the manual's section here): 32 channels to each core, registers from 0x00 (main) and 0x10 (remote).
# +0x0 PENDING: rung and enabled. +0x4 SET: rings. +0x8 CLEAR: seen. +0xC ENABLE: which channels interrupt.
if request.IsInit:
    LINE = 0
    NVICS = ('sysbus.nvic_main', 'sysbus.nvic_remote')
    rung = [0, 0]
    enabled = [0, 0]
    level = [False, False]

    def update():
        for k in (0, 1):
            wanted = (rung[k] & enabled[k]) != 0
            if wanted != level[k]:
                level[k] = wanted
                self.GetMachine()[NVICS[k]].OnGPIO(LINE, wanted)

    update()
elif request.IsRead:
    k = request.Offset // 16
    if request.Offset in (0x00, 0x10):
        request.Value = rung[k] & enabled[k]
    elif request.Offset in (0x0C, 0x1C):
        request.Value = enabled[k]
    elif request.Offset not in (0x04, 0x08, 0x14, 0x18):
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    k = request.Offset // 16
    v = request.Value & 0xFFFFFFFF
    if request.Offset in (0x04, 0x14):
        rung[k] |= v
    elif request.Offset in (0x08, 0x18):
        rung[k] &= 0xFFFFFFFF ^ v
    elif request.Offset in (0x0C, 0x1C):
        enabled[k] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
    update()
