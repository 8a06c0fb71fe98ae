# CACHE of the application core (nRF5340 PS, CACHE): storage; there is no cache. MODE 1 makes its memory usable as RAM,
# which it is here all the time.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x400: (0x00000000, 0x00000000),  # PROFILING[0].IHIT
        0x404: (0x00000000, 0x00000000),  # PROFILING[0].IMISS
        0x408: (0x00000000, 0x00000000),  # PROFILING[0].DHIT
        0x40C: (0x00000000, 0x00000000),  # PROFILING[0].DMISS
        0x420: (0x00000000, 0x00000000),  # PROFILING[1].IHIT
        0x424: (0x00000000, 0x00000000),  # PROFILING[1].IMISS
        0x428: (0x00000000, 0x00000000),  # PROFILING[1].DHIT
        0x42C: (0x00000000, 0x00000000),  # PROFILING[1].DMISS
        0x500: (0x00000000, 0x00000001),  # ENABLE
        0x504: (0x00000000, 0x00000000),  # INVALIDATE
        0x508: (0x00000000, 0x00000000),  # ERASE
        0x50C: (0x00000000, 0x00000001),  # PROFILINGENABLE
        0x510: (0x00000000, 0x00000000),  # PROFILINGCLEAR
        0x514: (0x00000000, 0x00000001),  # MODE
        0x518: (0x00000000, 0x00000001),  # DEBUGLOCK
        0x51C: (0x00000000, 0x00000001),  # ERASESTATUS: one clears
        0x520: (0x00000000, 0x00000001),  # WRITELOCK
    }

    registers = dict((each, REGISTERS[each][0]) for each in REGISTERS)

elif request.IsRead:
    o = request.Offset - request.Offset % 4
    if o in registers:
        request.Value = (registers[o] >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
    else:
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    if o in registers:
        shift = 8 * (request.Offset % 4)
        mask = (((1 << (8 * request.Length)) - 1) << shift) & REGISTERS[o][1]
        v = ((request.Value & 0xFFFFFFFF) << shift) & mask
        if o == 0x508 and request.Value & 1:
            registers[0x51C] = 1
        elif o == 0x51C:
            v = registers[o] & (mask ^ v)
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
