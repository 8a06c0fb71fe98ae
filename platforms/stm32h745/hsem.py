# HSEM, hardware semaphores (RM0399 ch. 11): 32 semaphores and the interrupt of each core when one is freed.
# C1 is the Cortex-M7 (COREID 3, NVIC 125), C2 the Cortex-M4 (COREID 1, NVIC 126).
if request.IsInit:
    LOCK = 0x80000000
    IDS = 0xFFF
    CORES = (('sysbus.cpu_cm7', 'sysbus.nvic_cm7', 125, 3), ('sysbus.cpu_cm4', 'sysbus.nvic_cm4', 126, 1))
    semaphores = [0] * 32
    enabled = [0, 0]
    freed = [0, 0]
    level = [False, False]
    key = [0]

    # COREID of the accessing core; None for an access from the host, which is no bus master of the chip
    def core_id():
        found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
        if found:
            for path, nvic, line, coreid in CORES:
                if cpu == self.GetMachine()[path]:
                    return coreid
        return None

    def update():
        for k in (0, 1):
            wanted = (freed[k] & enabled[k]) != 0
            if wanted != level[k]:
                level[k] = wanted
                nvic = self.GetMachine()[CORES[k][1]]
                nvic.OnGPIO(CORES[k][2], wanted)
                # EXTI lines 77 and 78, unmasked from reset, wake the core from CStop (RM0399 ch. 21)
                if wanted and nvic.InDeepSleep.IsSet:
                    self.GetMachine()[CORES[k][0]].SetEventFlag(True)

    def free(mask):
        for k in (0, 1):
            freed[k] |= mask
        update()

    def write_semaphore(n, value):
        coreid = core_id()
        if coreid is None or (value >> 8) & 0xF != coreid:
            return
        if value & LOCK:
            if semaphores[n] == 0:
                semaphores[n] = LOCK | (value & IDS)
        elif semaphores[n] == LOCK | (value & IDS):
            semaphores[n] = 0
            free(1 << n)

    # one-step lock: a core that reads it holds the semaphore if it was free
    def read_lock(n):
        coreid = core_id()
        if coreid is not None and semaphores[n] == 0:
            semaphores[n] = LOCK | (coreid << 8)
        return semaphores[n]

    # HSEM_CR: with the right key, frees all semaphores of one COREID
    def clear(value):
        if value >> 16 != key[0] >> 16:
            return
        mask = 0
        for n in range(32):
            if semaphores[n] != 0 and (semaphores[n] >> 8) & 0xF == (value >> 8) & 0xF:
                semaphores[n] = 0
                mask |= 1 << n
        if mask:
            free(mask)

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o < 0x80:
        request.Value = semaphores[o // 4]
    elif o < 0x100:
        request.Value = read_lock((o - 0x80) // 4)
    elif o in (0x100, 0x110):
        request.Value = enabled[(o - 0x100) // 16]
    elif o in (0x104, 0x114, 0x140):
        request.Value = 0
    elif o in (0x108, 0x118):
        request.Value = freed[(o - 0x108) // 16]
    elif o in (0x10C, 0x11C):
        k = (o - 0x10C) // 16
        request.Value = freed[k] & enabled[k]
    elif o == 0x144:
        request.Value = key[0]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o < 0x80:
        write_semaphore(o // 4, v)
    elif o < 0x100 or o in (0x108, 0x10C, 0x118, 0x11C):
        pass
    elif o in (0x100, 0x110):
        enabled[(o - 0x100) // 16] = v
        update()
    elif o in (0x104, 0x114):
        k = (o - 0x104) // 16
        freed[k] = freed[k] & (0xFFFFFFFF ^ v)
        update()
    elif o == 0x140:
        clear(v)
    elif o == 0x144:
        key[0] = v & 0xFFFF0000
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
