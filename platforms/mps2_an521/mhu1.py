# MHU1, message handling unit (SSE-200 Technical Overview, MHU): four bits for each core, interrupt 7 of both.
if request.IsInit:
    LINE = 7
    NVICS = ('sysbus.nvic0', 'sysbus.nvic1')
    IDS = (4, 0, 0, 0, 0x56, 0xB8, 0xB, 0, 0xD, 0xF0, 5, 0xB1)
    status = [0, 0]
    level = [False, False]

    def update():
        for k in (0, 1):
            wanted = status[k] != 0
            if wanted != level[k]:
                level[k] = wanted
                self.GetMachine()[NVICS[k]].OnGPIO(LINE, wanted)

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x00, 0x10):
        request.Value = status[o // 16]
    elif 0xFD0 <= o < 0x1000:
        request.Value = IDS[(o - 0xFD0) // 4]
    elif o not in (0x04, 0x08, 0x14, 0x18):
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x04, 0x14):
        status[o // 16] |= request.Value & 0xF
        update()
    elif o in (0x08, 0x18):
        status[o // 16] &= 0xF ^ (request.Value & 0xF)
        update()
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
