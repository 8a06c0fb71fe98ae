# CTRL-AP, CPU side (nRF5340 PS, CTRL-AP): storage. No debugger is attached, so the mailbox stays empty.
if request.IsInit:
    # offset: (value after reset, bits that a write changes)
    REGISTERS = {
        0x400: (0x00000000, 0x00000000),  # MAILBOX.RXDATA
        0x404: (0x00000000, 0x00000000),  # MAILBOX.RXSTATUS
        0x480: (0x00000000, 0xFFFFFFFF),  # MAILBOX.TXDATA
        0x484: (0x00000000, 0x00000000),  # MAILBOX.TXSTATUS
        0x500: (0x00000000, 0x00000001),  # ERASEPROTECT.LOCK
        0x504: (0x00000000, 0xFFFFFFFF),  # ERASEPROTECT.DISABLE
        0x540: (0x00000000, 0x00000001),  # APPROTECT.LOCK
        0x544: (0x00000000, 0xFFFFFFFF),  # APPROTECT.DISABLE
        0x548: (0x00000000, 0x00000001),  # SECUREAPPROTECT.LOCK
        0x54C: (0x00000000, 0xFFFFFFFF),  # SECUREAPPROTECT.DISABLE
        0x600: (0x00000000, 0x00000000),  # STATUS
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
        registers[o] = (registers[o] & (0xFFFFFFFF ^ mask)) | v
    else:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
