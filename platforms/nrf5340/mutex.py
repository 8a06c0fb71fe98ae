# MUTEX of the application core, which the network core reaches too (nRF5340 PS, MUTEX): 16 locks. A read gives 0 to whoever
# takes a free one, 1 while it is taken; a write of 0 frees it. The host looks without taking.
if request.IsInit:
    locked = [0] * 16
elif request.IsRead:
    if 0x400 <= request.Offset < 0x440 and request.Offset % 4 == 0:
        n = (request.Offset - 0x400) // 4
        request.Value = locked[n]
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        if found:
            locked[n] = 1
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    if 0x400 <= request.Offset < 0x440 and request.Offset % 4 == 0:
        if request.Value & 1 == 0:
            locked[(request.Offset - 0x400) // 4] = 0
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
