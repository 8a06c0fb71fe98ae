# CPU_IDENTITY (SSE-200 Technical Overview): which of the cores asks. The host is told what core 0 reads.
if request.IsInit:
    IDS = (4, 0, 0, 0, 0x58, 0xB8, 0xB, 0, 0xD, 0xF0, 5, 0xB1)
elif request.IsRead:
    o = request.Offset
    if o == 0x00:
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        request.Value = 1 if found and cpu == self.GetMachine()['sysbus.cpu1'] else 0
    elif o % 4 == 0 and 0xFD0 <= o < 0x1000:
        request.Value = IDS[(o - 0xFD0) // 4]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
