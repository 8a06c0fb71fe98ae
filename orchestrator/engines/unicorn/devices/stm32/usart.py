"""USART of the STM32F7 and H7 (RM0399 ch. 51): interrupt-driven and polled text both ways, with and without FIFOs.

Transmission takes no time, so the transmit FIFO is always empty. A received byte is shown when the one before has been
read, or the FIFO has room for it, so nothing overruns however fast it is pasted. The line is idle, and the receiver
times out, when the last byte that has come in is read. A DMA controller takes and sends whole pieces.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from orchestrator.engines.unicorn.devices.device import DeviceHost, Line, reads, register, writes, written
from orchestrator.engines.unicorn.devices.uart_device import UartDevice

__all__ = ["Stm32Usart"]

# CR1, with FIFOEN (51.8.1, 51.8.2)
_UE, _RE, _TE, _IDLEIE, _RXNEIE, _TCIE, _TXEIE = 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7
_RTOIE, _FIFOEN, _TXFEIE, _RXFFIE = 1 << 26, 1 << 29, 1 << 30, 1 << 31
_RTOEN = 1 << 23  # CR2
_DMAR, _DMAT, _TXFTIE, _RXFTIE = 1 << 6, 1 << 7, 1 << 23, 1 << 28  # CR3
_RXFTCFG = 25
# ISR (51.8.9, 51.8.10)
_IDLE, _RXNE, _TC, _TXE, _RTOF, _TEACK, _REACK = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 11, 1 << 21, 1 << 22
_TXFE, _RXFF, _RXFT, _TXFT = 1 << 23, 1 << 24, 1 << 26, 1 << 27
_RDR, _TDR = 0x24, 0x28
_DEPTH = 16  # bytes of a FIFO
_THRESHOLDS = (2, 4, 8, 12, 14, 16, 16, 16)  # bytes, by RXFTCFG
_CR1_INTERRUPTS = _IDLEIE | _RXNEIE | _TCIE | _TXEIE | _RTOIE | _TXFEIE | _RXFFIE
_CR3_INTERRUPTS = _TXFTIE | _RXFTIE


class Stm32Usart(UartDevice):
    """One USART: ``transmit`` takes each byte that the guest sends, ``line`` is its interrupt."""

    takes_at, sends_at = _RDR, _TDR
    state = ("_tc", "_ended", "_received", "_level")

    _cr1: int = register(0x00)
    _cr2: int = register(0x04)
    _cr3: int = register(0x08)
    _brr: int = register(0x0C, mask=0xFFFF)
    _gtpr: int = register(0x10, mask=0xFFFF)
    _rtor: int = register(0x14)
    _presc: int = register(0x2C, mask=0xF)

    def __init__(self, host: DeviceHost, line: Line, transmit: Callable[[int], None]) -> None:
        super().__init__(host)
        self._line = line
        self._transmit = transmit
        self._level = False
        self._received: deque[int] = deque()
        self._serve: Callable[[], None] = _nobody
        self._clear_all()

    def _clear_all(self) -> None:
        self.clear_registers()
        self._tc = True
        self._ended = 0  # IDLE and RTOF

    def only_sends(self) -> bool:
        return self._tc and self._is_on(_TE)

    def reset(self) -> None:
        """RM0399 51.8; what waits on the cable keeps waiting."""
        self._clear_all()
        self._update()

    def receive(self, data: bytes) -> None:
        """Bytes arrive on the cable."""
        self._received.extend(data)
        self.changed()
        self._update()
        self._serve()

    def dma_take(self, most: int) -> bytes:
        """RM0399 51.5.19: the receiver asks while DMAR is set."""
        if not self._cr3 & _DMAR or not self._has_byte():
            return b""
        taken = bytes(self._received.popleft() for _ in range(min(most, len(self._received))))
        self._took_byte()
        self._update()
        return taken

    def dma_send(self, data: bytes) -> bool:
        """RM0399 51.5.19: the transmitter asks while DMAT is set."""
        if not self._cr3 & _DMAT or not self._is_on(_TE):
            return False
        for byte in data:
            self._transmit(byte)
        self._tc = True
        self.changed()
        self._update()
        return True

    def dma_serve(self, serve: Callable[[], None]) -> None:
        """Call this when there may be something to move."""
        self._serve = serve

    def _is_on(self, bit: int) -> bool:
        return bool(self._cr1 & _UE and self._cr1 & bit)

    def _has_byte(self) -> bool:
        return bool(self._received) and self._is_on(_RE)

    def _update(self) -> None:
        level = self._interrupts()
        if level != self._level:
            self._level = level
            self._line(level)

    def _interrupts(self) -> bool:
        cr1, cr3 = self._cr1, self._cr3
        if not (cr1 & _UE and (cr1 & _CR1_INTERRUPTS or cr3 & _CR3_INTERRUPTS)):
            return False
        if cr1 & _TXEIE or (cr1 & _TCIE and self._tc) or (cr1 & _RXNEIE and self._has_byte()):
            return True
        if (cr1 & _IDLEIE and self._ended & _IDLE) or (cr1 & _RTOIE and self._ended & _RTOF):
            return True
        if not cr1 & _FIFOEN:
            return False
        flags = self._fifo_flags()
        return bool(
            (cr1 & _TXFEIE or cr3 & _TXFTIE) or (cr1 & _RXFFIE and flags & _RXFF) or (cr3 & _RXFTIE and flags & _RXFT)
        )

    def _fifo_flags(self) -> int:
        """Of both FIFOs: the one that sends is empty, whatever its threshold."""
        waiting = min(len(self._received), _DEPTH) if self._is_on(_RE) else 0
        flags = _TXFE | _TXFT
        flags |= _RXFF if waiting == _DEPTH else 0
        flags |= _RXFT if waiting >= _THRESHOLDS[self._cr3 >> _RXFTCFG & 7] else 0
        return flags

    def _took_byte(self) -> None:
        self.changed()
        if not self._received:
            self._ended |= _IDLE | (_RTOF if self._cr2 & _RTOEN else 0)

    def peek(self, offset: int) -> int:
        """Reading RDR takes the byte: a look does not."""
        if offset == _RDR:
            return self._received[0] if self._has_byte() else 0
        return super().peek(offset)

    @written(0x00)
    @written(0x08)
    def _control_written(self) -> None:
        self._update()
        self._serve()

    @writes(0x18)
    def _write_rqr(self, value: int) -> None:
        """RXFRQ (bit 3) drops the received byte; there is nothing to flush on the way out."""
        if value & 8 and self._has_byte():
            self._received.popleft()
            self._took_byte()
        self._update()

    @reads(0x18)
    def _read_rqr(self) -> int:
        return 0

    @reads(0x1C)
    def _read_isr(self) -> int:
        cr1 = self._cr1
        value = _TXE | self._ended | (_TC if self._tc else 0)
        if cr1 & _FIFOEN:
            value |= self._fifo_flags()
        if cr1 & _UE and cr1 & _TE:
            value |= _TEACK
        if cr1 & _UE and cr1 & _RE:
            value |= _REACK | (_RXNE if self._received else 0)
        return value

    @writes(0x20)
    def _write_icr(self, value: int) -> None:
        if value & _TC:
            self._tc = False
        self._ended &= ~value
        self._update()
        self._serve()

    @reads(0x20)
    def _read_icr(self) -> int:
        return 0

    @reads(_RDR)
    def _read_rdr(self) -> int:
        if not self._has_byte():
            return 0
        value = self._received.popleft()
        self._took_byte()
        self._update()
        return value

    @writes(_TDR)
    def _write_tdr(self, value: int) -> None:
        if self._is_on(_TE):
            self._transmit(value & 0xFF)
            self._tc = True
            self._update()

    @reads(_TDR)
    def _read_tdr(self) -> int:
        return 0


def _nobody() -> None:
    """No DMA stream has ever named this USART."""
