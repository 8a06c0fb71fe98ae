# UARTE (PS, UARTE) and the UART without DMA that it is when ENABLE says so (nRF52840 PS, UART). Renode's model has one of
# the two register sets and reaches only memory that every core sees: all registers are here, it carries the bytes.
if request.IsInit:
    RXDRDY, ENDRX, TXDRDY, ENDTX, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = (
        0x108, 0x110, 0x11C, 0x120, 0x144, 0x14C, 0x150, 0x158
    )
    EVENTS = (0x100, 0x104, RXDRDY, ENDRX, TXDRDY, ENDTX, 0x124, RXTO, RXSTARTED, TXSTARTED, TXSTOPPED)
    TASKS = (0x000, 0x004, 0x008, 0x00C, 0x02C)
    # offset: bits that a write changes
    STORED = {0x200: 0x60, 0x508: 0x8000003F, 0x50C: 0x8000003F, 0x510: 0x8000003F, 0x514: 0x8000003F,
              0x524: 0xFFFFFFFF, 0x534: 0xFFFFFFFF, 0x538: 0xFFFF, 0x544: 0xFFFFFFFF, 0x548: 0xFFFF, 0x56C: 0x11F}
    ENDRX_STARTRX, ENDRX_STOPRX = 0x20, 0x40
    UART, UARTE = 4, 8
    FORWARD_ENABLE, FORWARD_STARTRX, FORWARD_RXD, FORWARD_TXD = 0x500, 0x000, 0x518, 0x51C

    words = dict((o, 0) for o in STORED)
    for o in (0x508, 0x50C, 0x510, 0x514):
        words[o] = 0xFFFFFFFF
    words[0x524] = 0x04000000
    events = set()
    line = {'level': False, 'enabled': 0}
    # of receiving and sending; waiting: bytes that the model holds; taking: one is being read from it
    port = {'enable': 0, 'receiving': False, 'sending': False, 'rx amount': 0, 'tx amount': 0}
    buffer = {'at': 0, 'left': 0, 'filled': 0}
    queue = {'waiting': 0, 'taking': False}
    connections = {}

    def bit(event):
        return 1 << ((event - 0x100) >> 2)

    def update():
        level = any(line['enabled'] & bit(each) for each in events)
        if level != line['level']:
            line['level'] = level
            for nvic, number in LINES:
                self.GetMachine()[nvic].OnGPIO(number, level)

    def happen(*which):
        for each in which:
            events.add(each)
        update()

    def open_model():
        # a reset of the machine closes it
        model.WriteDoubleWord(FORWARD_ENABLE, UART)
        model.WriteDoubleWord(FORWARD_STARTRX, 1)

    def is_ram(address, count):
        return any(start <= address and address + count <= end for start, end in RAM)

    def take():
        queue['taking'] = True
        byte = model.ReadDoubleWord(FORWARD_RXD)
        queue['taking'] = False
        queue['waiting'] -= 1
        return byte

    def is_seen():
        # bytes are slower than interrupt handlers: firmware has seen the last end and start of a buffer
        return ENDRX not in events and not (RXSTARTED in events and line['enabled'] & bit(RXSTARTED))

    def start_receiving():
        if port['enable'] in (UART, UARTE):
            port['receiving'] = True
            if port['enable'] == UARTE:
                buffer['at'], buffer['left'], buffer['filled'] = words[0x534], words[0x538], 0
                happen(RXSTARTED)

    def end_buffer():
        port['rx amount'] = buffer['filled']
        port['receiving'] = False
        happen(ENDRX)

    def stop_receiving():
        if port['receiving'] and port['enable'] == UARTE:
            end_buffer()
        port['receiving'] = False
        happen(RXTO)

    def store(byte):
        if is_ram(buffer['at'], 1):
            self.GetMachine().SystemBus.WriteByte(buffer['at'], byte, core)
        else:
            self.WarningLog('EasyDMA writes at 0x{0:X}, which is not RAM', buffer['at'])
        buffer['at'] += 1
        buffer['left'] -= 1
        buffer['filled'] += 1
        happen(RXDRDY)

    def pump():
        # gives firmware what it can take
        if port['enable'] == UART and port['receiving'] and queue['waiting']:
            happen(RXDRDY)
        while port['enable'] == UARTE and port['receiving'] and queue['waiting'] and is_seen():
            if buffer['left']:
                store(take())
            if buffer['left'] == 0:
                end_buffer()
                if words[0x200] & ENDRX_STARTRX:
                    start_receiving()
                elif words[0x200] & ENDRX_STOPRX:
                    stop_receiving()

    def arrived(offset):
        # the model's own event: also told when a byte is read and more wait
        if offset == RXDRDY and not queue['taking']:
            queue['waiting'] += 1
            pump()

    def start_sending():
        if port['enable'] == UART:
            port['sending'] = True
        elif port['enable'] == UARTE:
            address, count = words[0x544], words[0x548]
            if not is_ram(address, count):
                self.WarningLog('EasyDMA reads {0} bytes at 0x{1:X}, which is not RAM', count, address)
                count = 0
            if count:
                for byte in self.GetMachine().SystemBus.ReadBytes(address, count, False, core):
                    model.WriteDoubleWord(FORWARD_TXD, byte)
            port['tx amount'] = count
            happen(TXSTARTED, ENDTX)
            if count:
                happen(TXDRDY)

    def trigger(task):
        if task == 0x000:
            start_receiving()
            pump()
        elif task == 0x004:
            stop_receiving()
        elif task == 0x008:
            start_sending()
        elif task == 0x00C:
            port['sending'] = False
            happen(TXSTOPPED)
        else:
            buffer['filled'] = 0
            end_buffer()

    def received():
        # RXD: reading takes the byte
        if port['enable'] != UART or not port['receiving'] or not queue['waiting']:
            return 0
        byte = take()
        events.discard(RXDRDY)
        update()
        pump()
        return byte

    if 'model' not in globals():
        model = self.GetMachine()[MODEL]
        core = self.GetMachine()[CORE]
        model.EventTriggered += arrived
    open_model()
    for nvic, number in LINES:
        self.GetMachine()[nvic].OnGPIO(number, False)
elif request.IsRead:
    o = request.Offset - request.Offset % 4
    found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()
    v = 0
    if o in EVENTS:
        v = 1 if o in events else 0
    elif o in STORED:
        v = words[o]
    elif o in connections:
        v = connections[o]
    elif o in (0x300, 0x304, 0x308):
        v = line['enabled']
    elif o == 0x500:
        v = port['enable']
    elif o == 0x518:
        v = received() if found else 0
    elif o == 0x53C:
        v = port['rx amount']
    elif o == 0x54C:
        v = port['tx amount']
    elif o not in TASKS and o not in (0x480, 0x51C):
        self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)
    request.Value = (v >> (8 * (request.Offset % 4))) & ((1 << (8 * request.Length)) - 1)
elif request.IsWrite:
    o = request.Offset - request.Offset % 4
    v = (request.Value & 0xFFFFFFFF) << (8 * (request.Offset % 4))
    if o in TASKS:
        if v & 1:
            trigger(o)
    elif o in EVENTS:
        if v & 1:
            happen(o)
        else:
            events.discard(o)
            update()
            pump()
    elif o in STORED:
        words[o] = v & STORED[o]
    elif o - 0x080 in TASKS or o - 0x080 in EVENTS:
        connections[o] = v & 0x800000FF
        if v & 0x80000000:
            self.WarningLog('unmodelled write at 0x{0:X}: a connection by DPPI', request.Offset)
    elif o in (0x300, 0x304, 0x308):
        every = sum(bit(each) for each in EVENTS)
        if o == 0x300:
            line['enabled'] = v & every
        elif o == 0x304:
            line['enabled'] |= v & every
        else:
            line['enabled'] &= 0xFFFFFFFF ^ v
        update()
        pump()
    elif o == 0x500:
        port['enable'] = v & 0xF
        open_model()
        pump()
    elif o == 0x51C:
        if port['enable'] == UART and port['sending']:
            model.WriteDoubleWord(FORWARD_TXD, v & 0xFF)
            happen(TXDRDY)
    elif o != 0x480:
        self.WarningLog('unmodelled write at 0x{0:X}', request.Offset)
