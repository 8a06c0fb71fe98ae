# MAILBOX (UM11126, Inter-CPU mailbox): 32 bits to each core, interrupt 31 of both. IRQ0 (0x00) interrupts CPU1, IRQ1
# (0x10) CPU0; each with SET at +4 and CLR at +8. MUTEX (0xF8) reads as 1 once and then as 0, until it is written.
if request.IsInit:
    LINE = 31
    NVICS = ('sysbus.nvic1', 'sysbus.nvic0')
    irq = [0, 0]
    level = [False, False]
    mutex = [1]

    def update():
        for k in (0, 1):
            wanted = irq[k] != 0
            if wanted != level[k]:
                level[k] = wanted
                self.GetMachine()[NVICS[k]].OnGPIO(LINE, wanted)

    update()
elif request.IsRead:
    if request.Offset in (0x00, 0x10):
        request.Value = irq[request.Offset // 16]
    elif request.Offset == 0xF8:
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        request.Value = mutex[0]
        if found:
            mutex[0] = 0
    elif request.Offset not in (0x04, 0x08, 0x14, 0x18):
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    k = request.Offset // 16
    v = request.Value & 0xFFFFFFFF
    if request.Offset in (0x00, 0x10):
        irq[k] = v
    elif request.Offset in (0x04, 0x14):
        irq[k] |= v
    elif request.Offset in (0x08, 0x18):
        irq[k] &= 0xFFFFFFFF ^ v
    elif request.Offset == 0xF8:
        mutex[0] = 1
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
    update()
