# 0x00: lines 0..31 of the accessing core; 0x04: those of the other core; 0x08: how often it was read;
# 0x0c: what was written, added up; 0x10: reading raises line 0 of the accessing core. The rest is not modelled.
if request.IsInit:
    NVICS = ('sysbus.nvic_a', 'sysbus.nvic_b')
    levels = [0, 0]
    reads = [0]
    total = [0]

    def accessing():
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        return 1 if found and cpu == self.GetMachine()['sysbus.cpu_b'] else 0

    def pull(core, wanted):
        changed = levels[core] ^ wanted
        levels[core] = wanted
        for n in range(32):
            if changed >> n & 1:
                self.GetMachine()[NVICS[core]].OnGPIO(n, bool(wanted >> n & 1))
elif request.IsRead:
    if request.Offset == 0x00:
        request.Value = levels[accessing()]
    elif request.Offset == 0x08:
        reads[0] += 1
        request.Value = reads[0]
    elif request.Offset == 0x0C:
        request.Value = total[0]
    elif request.Offset == 0x10:
        reads[0] += 1
        request.Value = reads[0]
        pull(accessing(), levels[accessing()] | 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    if request.Offset == 0x00:
        pull(accessing(), request.Value)
    elif request.Offset == 0x04:
        pull(1 - accessing(), request.Value)
    elif request.Offset == 0x0C:
        total[0] += request.Value
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
