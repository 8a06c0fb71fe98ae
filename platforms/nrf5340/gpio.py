# GPIO ports P0 (at 0x500) and P1 (at 0x800) (nRF5340 PS, GPIO). No pin is connected: an output pin whose input buffer is
# connected reads what it drives, others 0.
if request.IsInit:
    PORTS = (0x500, 0x800)
    out = [0, 0]
    latch = [0, 0]
    detect = [0, 0]
    detect_secure = [0, 0]
    pins = [[2] * 32, [2] * 32]

    def direction(p):
        v = 0
        for n in range(32):
            v |= (pins[p][n] & 1) << n
        return v

    def set_direction(p, v):
        for n in range(32):
            pins[p][n] = (pins[p][n] & 0xFFFFFFFE) | ((v >> n) & 1)

    def inputs(p):
        v = 0
        for n in range(32):
            if pins[p][n] & 3 == 1:
                v |= out[p] & (1 << n)
        return v

elif request.IsRead:
    p = 0 if request.Offset < 0x800 else 1
    o = request.Offset - PORTS[p]
    if request.Offset % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled read of {0} bytes at 0x{1:X}', request.Length, request.Offset)
    elif o in (0x004, 0x008, 0x00C):
        request.Value = out[p]
    elif o == 0x010:
        request.Value = inputs(p)
    elif o in (0x014, 0x018, 0x01C):
        request.Value = direction(p)
    elif o == 0x020:
        request.Value = latch[p]
    elif o == 0x024:
        request.Value = detect[p]
    elif o == 0x028:
        request.Value = detect_secure[p]
    elif 0x200 <= o < 0x280:
        request.Value = pins[p][(o - 0x200) // 4]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    p = 0 if request.Offset < 0x800 else 1
    o = request.Offset - PORTS[p]
    v = request.Value & 0xFFFFFFFF
    if request.Offset % 4 != 0 or request.Length != 4:
        self.WarningLog('unmodelled write of {0} bytes at 0x{1:X}', request.Length, request.Offset)
    elif o == 0x004:
        out[p] = v
    elif o == 0x008:
        out[p] |= v
    elif o == 0x00C:
        out[p] = out[p] & (0xFFFFFFFF ^ v)
    elif o == 0x010:
        pass
    elif o == 0x014:
        set_direction(p, v)
    elif o == 0x018:
        set_direction(p, direction(p) | v)
    elif o == 0x01C:
        set_direction(p, direction(p) & (0xFFFFFFFF ^ v))
    elif o == 0x020:
        latch[p] = latch[p] & (0xFFFFFFFF ^ v)
    elif o == 0x024:
        detect[p] = v & 1
    elif o == 0x028:
        detect_secure[p] = v & 1
    elif 0x200 <= o < 0x280:
        pins[p][(o - 0x200) // 4] = v & 0x70030F0F
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
