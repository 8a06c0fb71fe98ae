"""UART of Arm's Cortex-M System Design Kit (DDI0479D 4.3), on the MPS2 and MPS3 boards.

Transmission takes no time. A received byte is shown when the one before has been read, so nothing overruns however
fast it is pasted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from orchestrator.engines.unicorn.devices.device import DeviceHost, Line, reads, register, writes
from orchestrator.engines.unicorn.devices.uart_device import UartDevice

__all__ = ["CmsdkUart"]

_DATA = 0x00
_TX, _RX = 1, 2  # CTRL: enables; INTSTATUS: interrupts
_RX_FULL = 2  # STATE
_INTERRUPT_ENABLES = 2  # position in CTRL of the enables of INTSTATUS's bits


class CmsdkUart(UartDevice):
    """One UART: ``transmit`` takes each byte that the guest sends; a line each for what was sent and received."""

    takes_at = sends_at = _DATA
    state = ("_control", "_interrupts", "_received", "_levels")

    _divider: int = register(0x10, mask=0xFFFFF)  # BAUDDIV

    def __init__(self, host: DeviceHost, sent_line: Line, received_line: Line, transmit: Callable[[int], None]) -> None:
        super().__init__(host)
        self._lines = (sent_line, received_line)
        self._transmit = transmit
        self._levels = [False, False]
        self._received: deque[int] = deque()
        self._clear_all()

    def _clear_all(self) -> None:
        self.clear_registers()
        self._control = self._interrupts = 0

    def reset(self) -> None:
        """DDI0479D 4.3.2; what waits on the cable keeps waiting."""
        self._clear_all()
        self._update()

    def receive(self, data: bytes) -> None:
        """Bytes arrive on the cable."""
        had = self._has_byte()
        self._received.extend(data)
        self._show(had)

    def _has_byte(self) -> bool:
        return bool(self._received) and bool(self._control & _RX)

    def only_sends(self) -> bool:
        return bool(self._control & self._interrupts & _TX)

    def _show(self, had: bool) -> None:
        self.changed()
        if self._has_byte() and not had:
            self._interrupts |= _RX
        self._update()

    def _update(self) -> None:
        pending = self._interrupts & self._control >> _INTERRUPT_ENABLES
        for index, line in enumerate(self._lines):
            level = bool(pending >> index & 1)
            if level != self._levels[index]:
                self._levels[index] = level
                line(level)

    def peek(self, offset: int) -> int:
        """Reading DATA takes the byte: a look does not."""
        if offset == _DATA:
            return self._received[0] if self._has_byte() else 0
        return super().peek(offset)

    @reads(_DATA)
    def _read_data(self) -> int:
        if not self._has_byte():
            return 0
        value = self._received.popleft()
        self._show(had=False)
        return value

    @writes(_DATA)
    def _write_data(self, value: int) -> None:
        if self._control & _TX:
            self._transmit(value & 0xFF)
            self._interrupts |= _TX
            self._update()

    @reads(0x04)
    def _read_state(self) -> int:
        return _RX_FULL if self._has_byte() else 0

    @writes(0x04)
    def _write_state(self, value: int) -> None:
        """Its overrun bits are cleared so; there are no overruns."""

    @reads(0x08)
    def _read_ctrl(self) -> int:
        return self._control

    @writes(0x08)
    def _write_ctrl(self, value: int) -> None:
        had = self._has_byte()
        self._control = value & 0x7F
        self._show(had)

    @reads(0x0C)
    def _read_intstatus(self) -> int:
        return self._interrupts

    @writes(0x0C)
    def _write_intclear(self, value: int) -> None:
        self._interrupts &= ~value
        self._update()
