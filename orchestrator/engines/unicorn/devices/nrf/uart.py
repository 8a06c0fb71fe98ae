"""UARTE of the nRF5340 (PS, UARTE), and the UART without DMA that it is when ENABLE says so (nRF52840 PS, UART).

Transmission takes no time. Received bytes come as fast as the line carries them and never faster than firmware takes
them, so nothing overruns however fast it is pasted: EasyDMA fills what there is of a buffer at once and then pauses for
as long as those bytes take, and it fills the next one only when the end of the last has been seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Protocol

from orchestrator.engines.unicorn.devices.device import (
    Clock,
    DeviceHost,
    Line,
    reads,
    register,
    registers,
    writes,
    written,
)
from orchestrator.engines.unicorn.devices.nrf.chip import NrfDevice, event_bit

__all__ = ["BAUDRATE_HZ", "NrfUart", "Ram"]

BAUDRATE_HZ = 16_000_000  # of which BAUDRATE is a fraction, in 2^-32

_RXDRDY, _ENDRX, _TXDRDY, _ENDTX = 0x108, 0x110, 0x11C, 0x120
_RXTO, _RXSTARTED, _TXSTARTED, _TXSTOPPED = 0x144, 0x14C, 0x150, 0x158
_EVENTS = (0x100, 0x104, _RXDRDY, _ENDRX, _TXDRDY, _ENDTX, 0x124, _RXTO, _RXSTARTED, _TXSTARTED, _TXSTOPPED)
_ENDRX_STARTRX, _ENDRX_STOPRX = 1 << 5, 1 << 6
_UART, _UARTE = 4, 8  # ENABLE
_BITS = 10  # of a byte on the line
_COUNT = 0xFFFF
_PIN = 0x8000_003F


class Ram(Protocol):
    """What EasyDMA reaches; addresses are those of the core that the device belongs to."""

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of RAM; None where there is none."""
        ...

    def write(self, address: int, data: bytes) -> bool:
        """Whether they are RAM."""
        ...


class UartHost(DeviceHost, Protocol):
    def log(self, level: str, text: str) -> None: ...


class NrfUart(NrfDevice):
    """One UARTE: ``transmit`` takes what the guest sends."""

    state: ClassVar[tuple[str, ...]] = (
        *NrfDevice.state,
        *("_is_receiving", "_is_sending", "_at", "_left", "_filled", "_received", "_pause"),
    )

    _errors: int = register(0x480, mask=0)  # ERRORSRC: no byte is lost or malformed here
    _enable_: int = register(0x500, mask=0xF)
    _pins: list[int] = registers(0x508, 4, mask=_PIN, reset=0xFFFF_FFFF)  # PSEL.RTS, TXD, CTS, RXD
    _baudrate: int = register(0x524, reset=0x0400_0000)
    _rx_pointer: int = register(0x534)
    _rx_count: int = register(0x538, mask=_COUNT)
    _rx_amount: int = register(0x53C, writable=False)
    _tx_pointer: int = register(0x544)
    _tx_count: int = register(0x548, mask=_COUNT)
    _tx_amount: int = register(0x54C, writable=False)
    _config: int = register(0x56C, mask=0x11F)

    def __init__(self, host: UartHost, line: Line, clock: Clock, transmit: Callable[[bytes], None], ram: Ram) -> None:
        self._log = host.log
        self._clock = clock
        self._transmit = transmit
        self._ram = ram
        self._received: deque[int] = deque()
        self._clear_all()
        tasks = {
            0x000: self._start_receiving,
            0x004: self._stop_receiving,
            0x008: self._start_sending,
            0x00C: self._stop_sending,
            0x02C: self._flush,
        }
        super().__init__(host, line, tasks=tasks, events=_EVENTS, shorts=_ENDRX_STARTRX | _ENDRX_STOPRX)

    def _clear_all(self) -> None:
        self.clear_registers()
        self._is_receiving = self._is_sending = False
        self._at = self._left = self._filled = 0  # of the buffer that EasyDMA fills
        self._pause = 0  # tick until which the line is busy with what came last

    def reset(self) -> None:
        """Registers to their reset values; what waits on the cable keeps waiting."""
        self._clear_all()
        super().reset()

    @property
    def is_steady(self) -> bool:  # type: ignore[override]  # of other devices it is one thing for good
        """While nothing waits on the cable, nothing happens by itself."""
        return not self._received

    # --- receiving

    def receive(self, data: bytes) -> None:
        """Bytes arrive on the cable."""
        self._received.extend(data)
        self._pump()

    def _start_receiving(self) -> None:
        if self._enable_ not in (_UART, _UARTE):
            return
        self._is_receiving = True
        if self._enable_ == _UARTE:
            self._at, self._left, self._filled = self._rx_pointer, self._rx_count, 0
            self._raise(_RXSTARTED)
        self._pump()

    def _stop_receiving(self) -> None:
        """ENDRX, when a buffer is being filled, comes before RXTO (PS, UARTE, Reception)."""
        if self._is_receiving and self._enable_ == _UARTE:
            self._end_buffer()
        self._is_receiving = False
        self._raise(_RXTO)

    def _flush(self) -> None:
        """FLUSHRX ends in ENDRX even when the FIFO is empty, as it is here (PS, UARTE, Reception)."""
        self._filled = 0
        self._end_buffer()

    def _end_buffer(self) -> None:
        self._rx_amount = self._filled
        self._is_receiving = False
        self._raise(_ENDRX)

    def wake(self) -> None:
        """The line has had time for the next byte."""
        self._pump()

    def _is_free(self) -> bool:
        """Whether the line has had the time for what came last; else it wakes when it has."""
        if self._clock.now() >= self._pause:
            return True
        self._clock.wake_at(self._pause)
        return False

    def _occupy(self, count: int) -> None:
        bit = (1 << 32) // self._baudrate if self._baudrate else 0
        self._pause = self._clock.now() + count * _BITS * bit

    def _pump(self) -> None:
        """Give firmware what it can take."""
        if self._enable_ == _UART:
            self._show_byte()
        while self._received and self._is_receiving and self._enable_ == _UARTE and self._is_seen():
            if not self._is_free():
                return
            self._fill()
            if self._left:
                continue
            self._end_buffer()
            if self._shorts & _ENDRX_STARTRX:
                self._start_receiving()
            elif self._shorts & _ENDRX_STOPRX:
                self._stop_receiving()

    def _is_seen(self) -> bool:
        """Bytes are slower than interrupt handlers: firmware has seen the last end and start of a buffer."""
        return not self._events & (event_bit(_ENDRX) | self._enabled & event_bit(_RXSTARTED))

    def _fill(self) -> None:
        size = min(self._left, len(self._received))
        data = bytes(self._received.popleft() for _ in range(size))
        if not self._ram.write(self._at, data):
            self._log("warning", f"EasyDMA writes {size} bytes at {self._at:#010x}, which is not RAM")
        self._at += size
        self._left -= size
        self._filled += size
        if size:
            self._occupy(size)
            self._raise(_RXDRDY)

    def _show_byte(self) -> None:
        """Without DMA, RXDRDY says that RXD holds a byte."""
        if self._is_receiving and self._received and self._is_free():
            self._raise(_RXDRDY)

    def _event_cleared(self) -> None:
        self._pump()

    def _interrupts_changed(self) -> None:
        self._pump()

    # --- sending

    def _start_sending(self) -> None:
        if self._enable_ == _UART:
            self._is_sending = True
        elif self._enable_ == _UARTE:
            data = self._ram.read(self._tx_pointer, self._tx_count)
            if data is None:
                where = f"at {self._tx_pointer:#010x}, which is not RAM"
                self._log("warning", f"EasyDMA reads {self._tx_count} bytes {where}: nothing is sent")
                data = b""
            self._transmit(data)
            self._tx_amount = len(data)
            self._raise(_TXSTARTED, _ENDTX, *((_TXDRDY,) if data else ()))

    def _stop_sending(self) -> None:
        self._is_sending = False
        self._raise(_TXSTOPPED)

    # --- registers

    @written(0x500)
    def _enable_written(self) -> None:
        self._pump()

    def peek(self, offset: int) -> int:
        """Reading RXD takes the byte: a look does not."""
        if offset == 0x518:
            return self._received[0] if self._received and self._is_receiving else 0
        return super().peek(offset)

    @reads(0x518)
    def _read_rxd(self) -> int:
        if self._enable_ != _UART or not self._is_receiving or not self._received or not self._is_free():
            return 0
        value = self._received.popleft()
        self._occupy(1)
        self._events &= ~event_bit(_RXDRDY)
        self._update()
        self._show_byte()
        return value

    @reads(0x51C)
    def _read_txd(self) -> int:
        return 0

    @writes(0x51C)
    def _write_txd(self, value: int) -> None:
        if self._enable_ == _UART and self._is_sending:
            self._transmit(bytes((value & 0xFF,)))
            self._raise(_TXDRDY)
