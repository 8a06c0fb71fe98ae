# DPPIC, which connects published events to subscribed tasks (nRF5340 PS, DPPI): channels and groups of channels. What is
# connected stands in the peripherals' PUBLISH and SUBSCRIBE; the engine asks CHEN whether a channel is on.
if request.IsInit:
    enabled = [0]
    groups = [0] * 6
    connections = {}
    for n in range(12):
        connections[0x080 + 4 * n] = 0  # SUBSCRIBE_CHG[n].EN and .DIS

elif request.IsRead:
    o = request.Offset
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, o)
    elif o in (0x500, 0x504, 0x508):
        request.Value = enabled[0]
    elif 0x800 <= o < 0x818:
        request.Value = groups[(o - 0x800) // 4]
    elif o in connections:
        request.Value = connections[o]
    elif o >= 0x030:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    o = request.Offset
    v = request.Value & 0xFFFFFFFF
    if o % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, o)
    elif o == 0x500:
        enabled[0] = v
    elif o == 0x504:
        enabled[0] |= v
    elif o == 0x508:
        enabled[0] = enabled[0] & (0xFFFFFFFF ^ v)
    elif 0x800 <= o < 0x818:
        groups[(o - 0x800) // 4] = v
    elif o in connections:
        connections[o] = v & 0x800000FF
        if v & 0x80000000:
            self.WarningLog('unmodelled write at 0x{0:X}: a group by DPPI', o)
    elif o < 0x030:
        if v & 1 and o % 8 == 0:
            enabled[0] |= groups[o // 8]
        elif v & 1:
            enabled[0] = enabled[0] & (0xFFFFFFFF ^ groups[o // 8])
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', o)
