# RCC, reset and clock control (RM0399 ch. 9). Oscillators and PLLs are ready, and the clock switched, at once;
# reset registers are storage: they reset nothing. BDCR does not ask for PWR_CR1.DBP.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x000: (0x0000C025, 0x150D129B),  # CR
        0x004: (0x40000000, 0x7F000000),  # HSICFGR
        0x008: (0x00000000, 0x00000000),  # CRRCR
        0x00C: (0x20000000, 0x3F000000),  # CSICFGR
        0x010: (0x00000000, 0xFFFCFFC7),  # CFGR
        0x018: (0x00000000, 0x00000F7F),  # D1CFGR
        0x01C: (0x00000000, 0x00000770),  # D2CFGR
        0x020: (0x00000000, 0x00000070),  # D3CFGR
        0x028: (0x02020200, 0x03F3F3F3),  # PLLCKSELR
        0x02C: (0x01FF0000, 0x01FF0FFF),  # PLLCFGR
        0x030: (0x01010280, 0x7F7FFFFF),  # PLL1DIVR
        0x034: (0x00000000, 0x0000FFF8),  # PLL1FRACR
        0x038: (0x01010280, 0x7F7FFFFF),  # PLL2DIVR
        0x03C: (0x00000000, 0x0000FFF8),  # PLL2FRACR
        0x040: (0x01010280, 0x7F7FFFFF),  # PLL3DIVR
        0x044: (0x00000000, 0x0000FFF8),  # PLL3FRACR
        0x04C: (0x00000000, 0x30010133),  # D1CCIPR
        0x050: (0x00000000, 0xB13771C7),  # D2CCIP1R
        0x054: (0x00000000, 0x70F0333F),  # D2CCIP2R
        0x058: (0x00000000, 0x77E3FF07),  # D3CCIPR
        0x060: (0x00000000, 0x000003FF),  # CIER
        0x064: (0x00000000, 0x00000000),  # CIFR
        0x068: (0x00000000, 0x000007FF),  # CICR
        0x070: (0x00000000, 0x0001833D),  # BDCR
        0x074: (0x00000000, 0x00000001),  # CSR
        0x07C: (0x00000000, 0x80015031),  # AHB3RSTR
        0x080: (0x00000000, 0x0A00C023),  # AHB1RSTR
        0x084: (0x00000000, 0x00000271),  # AHB2RSTR
        0x088: (0x00000000, 0x032807FF),  # AHB4RSTR
        0x08C: (0x00000000, 0x00000008),  # APB3RSTR
        0x090: (0x00000000, 0xE8FFC3FF),  # APB1LRSTR
        0x094: (0x00000000, 0x00000136),  # APB1HRSTR
        0x098: (0x00000000, 0x31D73033),  # APB2RSTR
        0x09C: (0x00000000, 0x0020DEAA),  # APB4RSTR
        0x0A0: (0x00000000, 0x0000000F),  # GCR
        0x0A8: (0x00000000, 0x3129DEA9),  # D3AMR
    }
    # each core has its own of these: C1 from 0x130, C2 from 0x190, and its own ones from 0x0D0
    BANK = {
        0x00: (0x00FE0000, 0x00010000),  # RSR
        0x04: (0x00000000, 0xF0015131),  # AHB3ENR
        0x08: (0x00000000, 0x1E03C023),  # AHB1ENR
        0x0C: (0x00000000, 0xE0000271),  # AHB2ENR
        0x10: (0x00000000, 0x132807FF),  # AHB4ENR
        0x14: (0x00000000, 0x00000048),  # APB3ENR
        0x18: (0x00000000, 0xE8FFCBFF),  # APB1LENR
        0x1C: (0x00000000, 0x00000136),  # APB1HENR
        0x20: (0x00000000, 0x31D73033),  # APB2ENR
        0x24: (0x00000000, 0x0021DEAA),  # APB4ENR
        0x2C: (0xF0015131, 0xF0015131),  # AHB3LPENR
        0x30: (0x1E03C023, 0x1E03C023),  # AHB1LPENR
        0x34: (0xE0000271, 0xE0000271),  # AHB2LPENR
        0x38: (0x312807FF, 0x312807FF),  # AHB4LPENR
        0x3C: (0x00000048, 0x00000048),  # APB3LPENR
        0x40: (0xE8FFCBFF, 0xE8FFCBFF),  # APB1LLPENR
        0x44: (0x00000136, 0x00000136),  # APB1HLPENR
        0x48: (0x31D73033, 0x31D73033),  # APB2LPENR
        0x4C: (0x0021DEAA, 0x0021DEAA),  # APB4LPENR
    }
    for each in BANK:
        REGISTERS[0x130 + each] = BANK[each]
        REGISTERS[0x190 + each] = BANK[each]

    # enable bit, ready bit: HSI, CSI, HSI48, HSE, PLL1, PLL2, PLL3
    READY = ((0, 2), (7, 8), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29))

    # the accessing core's own bank for the common addresses 0x0D0..0x11C; C1's for an access from the host
    def own(o):
        if 0x0D0 <= o < 0x120:
            found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
            if found and cpu == self.GetMachine()['sysbus.cpu_cm4']:
                return o + 0xC0
            return o + 0x60
        return o

    # CR: each ready bit follows its enable
    def ready(v):
        for enable, flag in READY:
            v = v & (0xFFFFFFFF ^ (1 << flag))
            if (v >> enable) & 1:
                v |= 1 << flag
        return v

    # GCR: BOOT_C1 and BOOT_C2 let a held core go; software cannot clear them
    def release(v):
        for bit, path in ((2, 'sysbus.cpu_cm7'), (3, 'sysbus.cpu_cm4')):
            if (v >> bit) & 1:
                core = self.GetMachine()[path]
                if core.IsHalted:
                    core.IsHalted = False

    # CR: D2CKRDY is 0 while the D2 domain is in DStop: its core in CStop and, of its peripherals and memories, none
    # that the other core has enabled (AHB1, AHB2, APB1L, APB1H, APB2)
    def domains(v):
        if self.GetMachine()['sysbus.nvic_cm4'].InDeepSleep.IsSet:
            if registers[0x138] | registers[0x13C] | registers[0x148] | registers[0x14C] | registers[0x150] == 0:
                return v & (0xFFFFFFFF ^ (1 << 15))
        return v

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    o = own(o)
    if o in registers:
        v = registers[o]
        if o == 0x000:
            v = domains(v)
        request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    o = own(o)
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = (registers[o] & (0xFFFFFFFF ^ mask)) | (((request.Value & 0xFFFFFFFF) << shift) & mask)
        if o == 0x000:
            v = ready(v)
        elif o == 0x010:
            v = (v & 0xFFFFFFC7) | ((v & 7) << 3)
        elif o == 0x068:
            v = 0
        elif o == 0x070:
            v = 0x10000 if v & 0x10000 else (v & 0xFFFFFFFD) | ((v & 1) << 1)
        elif o == 0x074:
            v = (v & 1) | ((v & 1) << 1)
        elif o == 0x0A0:
            v |= registers[o] & 0xC
            release(v)
            v |= registers[o] & 0xC
        elif o in (0x130, 0x190) and v & 0x10000:
            v = 0x10000
        registers[o] = v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
