# RNG, random number generator (RM0399 ch. 34): ready at once and never at fault; the same numbers in every run.
if request.IsInit:
    control = [0]
    health = [0x00005A4E]
    numbers = [0x2545F491]
    level = [False]

    # xorshift, 32 bits
    def following(x):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        return x

    # RNGEN and IE: a number is ready whenever the generator is on
    def update():
        wanted = control[0] & 0xC == 0xC
        if wanted != level[0]:
            level[0] = wanted
            for nvic in ('sysbus.nvic_cm7', 'sysbus.nvic_cm4'):
                self.GetMachine()[nvic].OnGPIO(80, wanted)

elif request.IsRead:
    o = request.Offset
    if o == 0x00:
        request.Value = control[0]
    elif o == 0x04:
        request.Value = (control[0] >> 2) & 1  # DRDY
    elif o == 0x08:
        if control[0] & 4:
            request.Value = numbers[0]
            if self.GetMachine().SystemBus.TryGetCurrentCPU()[0]:
                numbers[0] = following(numbers[0])
    elif o == 0x10:
        request.Value = health[0]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    if o == 0x00:
        control[0] = request.Value & 0x2C
        update()
    elif o == 0x04:
        pass
    elif o == 0x10:
        health[0] = request.Value & 0xFFFFFFFF
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
