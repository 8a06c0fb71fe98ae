# VMC, volatile memory controller (nRF5340 PS, VMC): power and retention of each section of RAM, which all have power from
# reset. RAM[n] is 64 KB of the application core, 16 KB of the network core, in sections of 4 KB.
if request.IsInit:
    RESET = 0x0000FFFF
    power = [RESET] * 8

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif 0x600 <= o < 0x680 and o % 16 != 12:
        request.Value = power[(o - 0x600) // 16]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    n = (o - 0x600) // 16
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif not 0x600 <= o < 0x680 or o % 16 == 12:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
    elif o % 16 == 0:
        power[n] = v
    elif o % 16 == 4:
        power[n] |= v
    else:
        power[n] = power[n] & (0xFFFFFFFF ^ v)
