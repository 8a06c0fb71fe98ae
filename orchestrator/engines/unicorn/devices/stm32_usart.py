"""USART of the STM32F7 and H7 (RM0399 ch. 51, FIFO mode not modelled): interrupt-driven and polled text both ways.

Transmission takes no time. A received byte is shown when the one before has been read, so nothing overruns however
fast it is pasted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost, Line, reads, writes

__all__ = ["Stm32Usart"]

_UE, _RE, _TE, _RXNEIE, _TCIE, _TXEIE = 1, 1 << 2, 1 << 3, 1 << 5, 1 << 6, 1 << 7
_RXNE, _TC, _TXE, _TEACK, _REACK = 1 << 5, 1 << 6, 1 << 7, 1 << 21, 1 << 22


class Stm32Usart(Device):
    """One USART: ``transmit`` takes each byte that the guest sends, ``line`` is its interrupt."""

    state = ("_cr1", "_cr2", "_cr3", "_brr", "_gtpr", "_rtor", "_presc", "_tc", "_received", "_level")

    def __init__(self, host: DeviceHost, line: Line, transmit: Callable[[int], None]) -> None:
        super().__init__(host)
        self._line = line
        self._transmit = transmit
        self._level = False
        self._received: deque[int] = deque()
        self._clear_registers()

    def _clear_registers(self) -> None:
        self._cr1 = self._cr2 = self._cr3 = self._brr = self._gtpr = self._rtor = self._presc = 0
        self._tc = True

    def reset(self) -> None:
        """RM0399 51.8; what waits on the cable keeps waiting."""
        self._clear_registers()
        self._update()

    def receive(self, data: bytes) -> None:
        """Bytes arrive on the cable."""
        self._received.extend(data)
        self._update()

    def _is_on(self, bit: int) -> bool:
        return bool(self._cr1 & _UE and self._cr1 & bit)

    def _has_byte(self) -> bool:
        return bool(self._received) and self._is_on(_RE)

    def _update(self) -> None:
        cr1 = self._cr1
        level = bool(cr1 & _UE and (cr1 & _TXEIE or (cr1 & _TCIE and self._tc) or (cr1 & _RXNEIE and self._has_byte())))
        if level != self._level:
            self._level = level
            self._line(level)

    def peek(self, offset: int) -> int:
        """Reading RDR takes the byte: a look does not."""
        if offset == 0x24:
            return self._received[0] if self._has_byte() else 0
        return super().peek(offset)

    @reads(0x00)
    def _read_cr1(self) -> int:
        return self._cr1

    @writes(0x00)
    def _write_cr1(self, value: int) -> None:
        self._cr1 = value
        self._update()

    @reads(0x04)
    def _read_cr2(self) -> int:
        return self._cr2

    @writes(0x04)
    def _write_cr2(self, value: int) -> None:
        self._cr2 = value

    @reads(0x08)
    def _read_cr3(self) -> int:
        return self._cr3

    @writes(0x08)
    def _write_cr3(self, value: int) -> None:
        self._cr3 = value

    @reads(0x0C)
    def _read_brr(self) -> int:
        return self._brr

    @writes(0x0C)
    def _write_brr(self, value: int) -> None:
        self._brr = value & 0xFFFF

    @reads(0x10)
    def _read_gtpr(self) -> int:
        return self._gtpr

    @writes(0x10)
    def _write_gtpr(self, value: int) -> None:
        self._gtpr = value & 0xFFFF

    @reads(0x14)
    def _read_rtor(self) -> int:
        return self._rtor

    @writes(0x14)
    def _write_rtor(self, value: int) -> None:
        self._rtor = value

    @writes(0x18)
    def _write_rqr(self, value: int) -> None:
        """RXFRQ (bit 3) drops the received byte; there is nothing to flush on the way out."""
        if value & 8 and self._has_byte():
            self._received.popleft()
        self._update()

    @reads(0x18)
    def _read_rqr(self) -> int:
        return 0

    @reads(0x1C)
    def _read_isr(self) -> int:
        value = _TXE | (_TC if self._tc else 0)
        value |= _RXNE if self._has_byte() else 0
        value |= _TEACK if self._is_on(_TE) else 0
        value |= _REACK if self._is_on(_RE) else 0
        return value

    @writes(0x20)
    def _write_icr(self, value: int) -> None:
        if value & _TC:
            self._tc = False
        self._update()

    @reads(0x20)
    def _read_icr(self) -> int:
        return 0

    @reads(0x24)
    def _read_rdr(self) -> int:
        if not self._has_byte():
            return 0
        value = self._received.popleft()
        self._update()
        return value

    @writes(0x28)
    def _write_tdr(self, value: int) -> None:
        if self._is_on(_TE):
            self._transmit(value & 0xFF)
            self._tc = True
            self._update()

    @reads(0x28)
    def _read_tdr(self) -> int:
        return 0

    @reads(0x2C)
    def _read_presc(self) -> int:
        return self._presc

    @writes(0x2C)
    def _write_presc(self, value: int) -> None:
        self._presc = value & 0xF
