"""USART of the LPC55S6x's Flexcomm (UM11126, USART): polled transmission, reception by the FIFO's level interrupt."""

from collections import deque

from orchestrator.engines.unicorn.devices.device import Device, reads, writes
from orchestrator.engines.unicorn.devices.registry import Host, Lines
from orchestrator.engines.unicorn.devices.uart import UartConsole

TX_EMPTY, TX_NOT_FULL, RX_NOT_EMPTY = 1 << 4, 1 << 5, 1 << 6  # FIFOSTAT
RX_LEVEL = 1 << 3  # FIFOINTENSET, FIFOINTSTAT


class LpcUsart(Device):
    """``transmit`` takes each byte that the guest sends; ``line`` is the interrupt."""

    state = ("_enabled", "_received", "_level")

    def __init__(self, host, line, transmit):
        super().__init__(host)
        self._line = line
        self._transmit = transmit
        self._received = deque()
        self._level = False
        self._enabled = 0

    def reset(self):
        """What has been received waits on the cable."""
        self._enabled = 0
        self._update()

    def receive(self, data):
        """Bytes arrive on the cable."""
        self._received.extend(data)
        self._update()

    def _update(self):
        level = bool(self._received) and bool(self._enabled & RX_LEVEL)
        if level != self._level:
            self._level = level
            self._line(level)

    @writes(0x000)  # CFG
    @writes(0x020)  # BRG
    @writes(0x028)  # OSR
    @writes(0xE00)  # FIFOCFG
    @writes(0xE08)  # FIFOTRIG
    @writes(0xFF8)  # PSELID
    def _write_format(self, value):
        """Format and rate mean nothing here."""

    @reads(0xE04)
    def _read_fifostat(self):
        return TX_EMPTY | TX_NOT_FULL | (RX_NOT_EMPTY if self._received else 0)

    @reads(0xE10)
    def _read_fifointenset(self):
        return self._enabled

    @writes(0xE10)
    def _write_fifointenset(self, value):
        self._enabled |= value & 0xF
        self._update()

    @writes(0xE14)
    def _write_fifointenclr(self, value):
        self._enabled &= ~value
        self._update()

    @writes(0xE20)
    def _write_fifowr(self, value):
        self._transmit(value & 0xFF)

    def peek(self, offset):
        """FIFORD takes the byte: a look from outside does not."""
        if offset == 0xE30:
            return self._received[0] if self._received else 0
        return super().peek(offset)

    @reads(0xE30)
    def _read_fiford(self):
        byte = self._received.popleft() if self._received else 0
        self._update()
        return byte


def make(board, peripheral):
    """What ``[models]`` asks for: a device, and its console."""
    console = UartConsole(peripheral.name, board.settle)
    usart = LpcUsart(Host(board, peripheral.name), Lines(board, peripheral.interrupts), console.transmit)
    console.connect(usart.receive)
    return usart, console
