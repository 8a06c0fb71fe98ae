# System information registers (SSE-200 Technical Overview): what this subsystem is made of.
if request.IsInit:
    VALUES = (0x22041743, 0x223004F4)  # SYS_VERSION, SYS_CONFIG
    IDS = (4, 0, 0, 0, 0x58, 0xB8, 0xB, 0, 0xD, 0xF0, 5, 0xB1)
elif request.IsRead:
    o = request.Offset
    if o in (0x00, 0x04):
        request.Value = VALUES[o // 4]
    elif o % 4 == 0 and 0xFD0 <= o < 0x1000:
        request.Value = IDS[(o - 0xFD0) // 4]
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', o)
elif request.IsWrite:
    self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
