"""What peripherals of Nordic's nRF series have in common (nRF5340 PS, Peripheral interface): tasks, events, interrupts.

A task is triggered by writing 1, an event is a register of one bit, and the interrupt is high while an enabled event is
set. The bit of an event in INTEN follows from its offset. An event that is published and a task that subscribes meet in
a controller (``dppi``); where there is none, the connection is stored and said to be unmodelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost, Line

__all__ = ["NrfDevice", "event_bit"]

_EVENTS, _SUBSCRIBE, _PUBLISH = 0x100, 0x080, 0x180
_SHORTS, _INTEN, _INTENSET, _INTENCLR = 0x200, 0x300, 0x304, 0x308
_CONNECTED = 0x8000_0000
_CHANNEL = 0xFF
_CONNECTION = _CONNECTED | _CHANNEL


def event_bit(offset: int) -> int:
    """The bit of an event in INTEN, and in ``_events`` here."""
    return 1 << ((offset - _EVENTS) >> 2)


class NrfDevice(Device):
    """Offsets up to 0x308; a device declares its other registers as any other does."""

    state: ClassVar[tuple[str, ...]] = ("_events", "_enabled", "_shorts", "_connections", "_level")
    has_inten: ClassVar[bool] = True  # the RTC has INTENSET and INTENCLR alone

    def __init__(
        self,
        host: DeviceHost,
        line: Line,
        *,
        tasks: Mapping[int, Callable[[], None]],
        events: Iterable[int],
        shorts: int = 0,
    ) -> None:
        super().__init__(host)
        self._line = line
        self._tasks = tasks
        self._event_mask = sum(event_bit(offset) for offset in events)
        self._shorts_mask = shorts
        self._level = False
        self._publish: Callable[[int], None] | None = None
        self._clear_common()

    def _clear_common(self) -> None:
        self._events = self._enabled = self._shorts = 0
        self._connections: dict[int, int] = {}

    def reset(self) -> None:
        self._clear_common()
        self._update()

    def connect(self, publish: Callable[[int], None]) -> None:
        """``publish(channel)`` takes what happens to the controller of connections."""
        self._publish = publish

    def trigger(self, channel: int) -> None:
        """An event was published: the tasks that subscribe to its channel happen."""
        for offset, task in self._tasks.items():
            if self._connections.get(_SUBSCRIBE + offset) == _CONNECTED | channel:
                task()

    def _raise(self, *offsets: int) -> None:
        for offset in offsets:
            self._events |= event_bit(offset)
        self._update()
        if self._connections:
            for offset in offsets:
                self._happened(offset)

    def _happened(self, offset: int) -> None:
        """An event of the peripheral itself is published, whether its register was clear or not."""
        connection = self._connections.get(_SUBSCRIBE + offset, 0)
        if connection & _CONNECTED and self._publish is not None:
            self._publish(connection & _CHANNEL)

    @property
    def _published(self) -> int:
        """Events that are published somewhere, as bits of INTEN."""
        return sum(
            event_bit(offset - _SUBSCRIBE)
            for offset, value in self._connections.items()
            if offset >= _PUBLISH and value & _CONNECTED
        )

    def _update(self) -> None:
        level = self._events & self._enabled != 0
        if level != self._level:
            self._level = level
            self._line(level)

    def _event_cleared(self) -> None:
        """Firmware has seen an event: what waits for that may go on."""

    def _interrupts_changed(self) -> None:
        """What somebody waits for is another: INTEN, or what is published."""

    def _before_look(self) -> None:
        """Events are about to be read: those that are due happen first."""

    def read(self, offset: int, size: int, core: str | None) -> int:
        value = self._read_common(offset & ~3)
        if value is None:
            return super().read(offset, size, core)
        return value >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def _read_common(self, offset: int) -> int | None:
        if self._is_event(offset):
            self._before_look()
            return 1 if self._events & event_bit(offset) else 0
        if offset in self._tasks:
            return 0
        if self._is_connection(offset):
            return self._connections.get(offset, 0)
        if offset == _SHORTS and self._shorts_mask:
            return self._shorts
        if offset in (_INTENSET, _INTENCLR) or (offset == _INTEN and self.has_inten):
            return self._enabled
        return None

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        word, value = offset & ~3, value << 8 * (offset & 3)
        if word in self._tasks:
            if value & 1:
                self._tasks[word]()
        elif self._is_event(word):
            self._before_look()
            if value & 1:  # an event that software sets is not published
                self._events |= event_bit(word)
                self._update()
            else:
                self._events &= ~event_bit(word)
                self._update()
                self._event_cleared()
        elif self._is_connection(word):
            self._connections[word] = value & _CONNECTION
            if value & _CONNECTED and core is not None and self._publish is None:
                self._host.unmodelled(word, f"register {word:#05x}: a connection by DPPI")
            self._interrupts_changed()
        elif word == _SHORTS and self._shorts_mask:
            self._shorts = value & self._shorts_mask
            self._interrupts_changed()
        elif word in (_INTENSET, _INTENCLR) or (word == _INTEN and self.has_inten):
            self._before_look()
            self._enable(word, value & self._event_mask)
        else:
            super().write(offset, size, value >> 8 * (offset & 3), core)

    def _enable(self, offset: int, bits: int) -> None:
        if offset == _INTENSET:
            bits |= self._enabled
        elif offset == _INTENCLR:
            bits = self._enabled & ~bits
        self._enabled = bits
        self._interrupts_changed()
        self._update()

    def _is_event(self, offset: int) -> bool:
        return _EVENTS <= offset < _PUBLISH and self._event_mask & event_bit(offset) != 0

    def _is_connection(self, offset: int) -> bool:
        return offset - _SUBSCRIBE in self._tasks or (offset >= _PUBLISH and self._is_event(offset - _SUBSCRIBE))
