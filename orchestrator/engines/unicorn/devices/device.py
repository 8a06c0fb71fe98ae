"""Registers declared, not switched on: the base of the devices written here.

A handler says which offset it serves; two handlers of one register are refused when the class is made; an offset that
nobody declared is an unmodelled access, by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, ClassVar, Protocol, TypeVar

__all__ = ["Clock", "Device", "DeviceHost", "Line", "reads", "writes"]

Handler = TypeVar("Handler", bound=Callable[..., Any])


class Line(Protocol):
    """An interrupt output; called on a change of level only."""

    def __call__(self, level: bool) -> None: ...


class Clock(Protocol):
    """A device's own clock, in its ticks since power-on."""

    def now(self) -> int:
        """At the very instruction that is executed. Cores take turns, so the next one may be a quantum earlier."""
        ...

    def wake_at(self, tick: int) -> None:
        """Ask for a call of the device's ``wake`` at this tick; one may come too early, and for nothing."""
        ...


class DeviceHost(Protocol):
    """What a device says to the board."""

    def unmodelled(self, offset: int, text: str) -> None:
        """A core touched a register that the model does not have."""
        ...


def reads(offset: int) -> Callable[[Handler], Handler]:
    """This method gives the 32-bit value of the register at an offset."""
    return _marked("_reads", offset)


def writes(offset: int) -> Callable[[Handler], Handler]:
    """This method takes the value that is written to the register at an offset."""
    return _marked("_writes", offset)


def _marked(kind: str, offset: int) -> Callable[[Handler], Handler]:
    def mark(method: Handler) -> Handler:
        setattr(method, kind, (*getattr(method, kind, ()), offset))
        return method

    return mark


class Device:
    """A peripheral of 32-bit registers, snapshot by its plain attributes.

    ``core`` in an access is who makes it; None is the host, which must change nothing by reading.
    """

    _readers: ClassVar[dict[int, str]] = {}
    _writers: ClassVar[dict[int, str]] = {}
    is_steady: ClassVar[bool] = True  # False: its registers change with time
    state: ClassVar[tuple[str, ...]] = ()  # names of the attributes that a snapshot keeps

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._readers = _collect(cls, "_reads")
        cls._writers = _collect(cls, "_writes")

    def __init__(self, host: DeviceHost) -> None:
        self._host = host

    def read(self, offset: int, size: int, core: str | None) -> int:
        name = self._readers.get(offset & ~3)
        if name is None:
            if core is not None:
                self._host.unmodelled(offset, f"register {offset:#05x}")
            return 0
        value: int = getattr(self, name)() if core is not None else self.peek(offset & ~3)
        return value >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def peek(self, offset: int) -> int:
        """What a read would give; a device whose registers change by being read overrides this for them."""
        value: int = getattr(self, self._readers[offset])()
        return value

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        name = self._writers.get(offset & ~3)
        if name is None:
            if core is not None:
                self._host.unmodelled(offset, f"register {offset:#05x}")
            return
        getattr(self, name)(value << 8 * (offset & 3))

    def reset(self) -> None:
        """Registers to their reset values."""
        raise NotImplementedError

    def snapshot(self) -> object:
        return {name: deepcopy(getattr(self, name)) for name in self.state}

    def restore(self, state: Any) -> None:
        for name, value in state.items():
            setattr(self, name, deepcopy(value))


def _collect(cls: type, kind: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for name in dir(cls):
        for offset in getattr(getattr(cls, name), kind, ()):
            if offset in found:
                raise TypeError(f"{cls.__name__}: {name} and {found[offset]} both serve {kind[1:]} at {offset:#05x}")
            found[offset] = name
    return found
