"""DMA controller of the STM32 (RM0399 ch. 15): eight streams between memory and USARTs, and from memory to memory.

What can be moved is moved at once, up to the half or the end of the buffer; a circular buffer goes on when the firmware
has cleared the flag of that, or looks at how much is left, so nothing that is pasted is lost. The USART is found by
the stream's peripheral address: which request DMAMUX passes is not looked at. Double buffers, FIFO thresholds and
other peripherals are not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost, Line

__all__ = ["DmaMemory", "DmaPort", "Stm32Dma"]

_EN, _TEIE, _HTIE, _TCIE, _CIRC, _PINC, _MINC, _DBM = 1, 1 << 2, 1 << 3, 1 << 4, 1 << 8, 1 << 9, 1 << 10, 1 << 18
_FROM_PERIPHERAL, _TO_PERIPHERAL, _MEMORY = 0, 1, 2  # DIR
_TEIF, _HTIF, _TCIF, _FLAGS = 1 << 3, 1 << 4, 1 << 5, 0x3D
_SHIFTS = (0, 6, 16, 22)  # of a stream's flags in LISR and HISR
_STREAMS = 8
_FIRST, _STEP = 0x10, 0x18  # offset of a stream's registers
_CR, _NDTR, _PAR, _M0AR, _M1AR, _FCR = range(0, 0x18, 4)


class DmaMemory(Protocol):
    """RAM that the controller reaches."""

    def read(self, address: int, size: int) -> bytes | None: ...

    def write(self, address: int, data: bytes) -> bool: ...


class DmaPort(Protocol):
    """A peripheral that asks for transfers."""

    def dma_take(self, most: int) -> bytes:
        """What has come in, up to so many bytes, taken; nothing while it does not ask."""
        ...

    def dma_send(self, data: bytes) -> bool:
        """Send; False while it does not ask."""
        ...

    def dma_serve(self, serve: Callable[[], None]) -> None:
        """Call this when there may be something to move."""
        ...


class Stm32Dma(Device):
    """``ports`` gives what answers at a peripheral address; ``lines`` are the interrupts of the streams."""

    is_steady = False  # a look at what is left moves more
    state = ("_registers", "_flags", "_totals", "_levels")

    def __init__(
        self, host: DeviceHost, memory: DmaMemory, ports: Callable[[int], DmaPort | None], lines: Sequence[Line]
    ) -> None:
        super().__init__(host)
        self._memory = memory
        self._ports = ports
        self._lines = lines
        self._levels = [False] * _STREAMS
        self._clear()

    def _clear(self) -> None:
        self._registers = [{_CR: 0, _NDTR: 0, _PAR: 0, _M0AR: 0, _M1AR: 0, _FCR: 0x21} for _ in range(_STREAMS)]
        self._flags = [0] * _STREAMS
        self._totals = [0] * _STREAMS  # NDTR when the stream was enabled

    def reset(self) -> None:
        """RM0399 15.5: all streams off."""
        self._clear()
        self._update()

    def _update(self) -> None:
        for stream, line in enumerate(self._lines):
            control = self._registers[stream][_CR]
            enabled = (control & _TEIE) << 1 | (control & _HTIE) << 1 | (control & _TCIE) << 1
            level = bool(self._flags[stream] & enabled)
            if level != self._levels[stream]:
                self._levels[stream] = level
                line(level)

    # --- registers

    def read(self, offset: int, size: int, core: str | None) -> int:
        word = offset & ~3
        if word in (0x00, 0x04):
            first = 4 * (word // 4)
            value = sum(self._flags[first + index] << shift for index, shift in enumerate(_SHIFTS))
        elif word in (0x08, 0x0C):
            value = 0
        elif _FIRST <= word < _FIRST + _STREAMS * _STEP:
            stream, register = divmod(word - _FIRST, _STEP)
            value = self._registers[stream][register]
            if register == _NDTR and core is not None:
                self._serve(stream)
        else:
            return super().read(offset, size, core)
        return value >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        word = offset & ~3
        if word in (0x08, 0x0C):
            first = 4 * (word // 4 - 2)
            for index, shift in enumerate(_SHIFTS):
                self._flags[first + index] &= ~(value >> shift)
            for index in range(4):
                self._serve(first + index)
        elif _FIRST <= word < _FIRST + _STREAMS * _STEP:
            self._write_stream(*divmod(word - _FIRST, _STEP), value)
        elif word not in (0x00, 0x04):
            super().write(offset, size, value, core)
        self._update()

    def _write_stream(self, stream: int, register: int, value: int) -> None:
        registers = self._registers[stream]
        was_on = registers[_CR] & _EN
        if was_on and register not in (_CR, _M1AR, _M0AR):
            return  # write-protected while the stream is enabled (15.5.5)
        registers[register] = value & 0xFFFF if register == _NDTR else value
        if register == _CR and value & _EN and not was_on:
            self._start(stream)

    def _start(self, stream: int) -> None:
        registers = self._registers[stream]
        self._totals[stream] = registers[_NDTR]
        direction = registers[_CR] >> 6 & 3
        if registers[_CR] & _DBM:
            self._host.unmodelled(_FIRST + stream * _STEP, "double buffer")
        if direction != _MEMORY:
            port = self._ports(registers[_PAR])
            if port is None:
                self._host.unmodelled(_FIRST + stream * _STEP, f"DMA with {registers[_PAR]:#010x}")
                return
            port.dma_serve(self.serve)
        self._serve(stream)

    # --- moving

    def serve(self) -> None:
        """A peripheral may have something to move."""
        for stream in range(_STREAMS):
            self._serve(stream)
        self._update()

    def _serve(self, stream: int) -> None:
        registers = self._registers[stream]
        while registers[_CR] & _EN and registers[_NDTR]:
            control, total = registers[_CR], self._totals[stream]
            if self._flags[stream] & (_HTIF | _TCIF) and control & _CIRC:
                return  # the firmware has yet to see what there is
            unit = 1 << (control >> 11 & 3)
            done = total - registers[_NDTR]
            most = (total // 2 if done < total // 2 else total) - done
            moved = self._move(control >> 6 & 3, registers, done * unit, most * unit) // unit
            if moved < 0:
                registers[_CR] &= ~_EN
                self._flags[stream] |= _TEIF
                return
            if not moved:
                return
            self._count(stream, moved)

    def _move(self, direction: int, registers: dict[int, int], done: int, most: int) -> int:
        """Bytes moved; negative for a transfer error."""
        place = registers[_M0AR] + (done if registers[_CR] & _MINC else 0)
        if direction == _MEMORY:
            data = self._memory.read(registers[_PAR] + (done if registers[_CR] & _PINC else 0), most)
            return most if data is not None and self._memory.write(place, data) else -most
        port = self._ports(registers[_PAR])
        if port is None:
            return 0
        if direction == _TO_PERIPHERAL:
            data = self._memory.read(place, most)
            if data is None:
                return -most
            return most if port.dma_send(data) else 0
        if self._memory.read(place, most) is None:
            return -most
        data = port.dma_take(most)
        self._memory.write(place, data)
        return len(data)

    def _count(self, stream: int, moved: int) -> None:
        registers = self._registers[stream]
        half = self._totals[stream] - self._totals[stream] // 2
        before = registers[_NDTR]
        registers[_NDTR] -= moved
        if registers[_NDTR] <= half < before:
            self._flags[stream] |= _HTIF
        if not registers[_NDTR]:
            self._flags[stream] |= _TCIF
            if registers[_CR] & _CIRC:
                registers[_NDTR] = self._totals[stream]
            else:
                registers[_CR] &= ~_EN
