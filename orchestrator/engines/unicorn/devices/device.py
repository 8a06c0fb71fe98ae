"""Registers declared, not switched on: the base of the devices written here.

A register that keeps what is written is one line, ``_brr: int = register(0x0C, mask=0xFFFF)``; what a write of it does
beside that is a method marked ``@written(0x0C)``. A register of another kind has a method for what it reads as, and one
for what is written. Two of a kind for one register are refused when the class is made; an offset that nobody declared
is an unmodelled access, by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import Any, ClassVar, Protocol, TypeVar

from orchestrator.base.copies import copied, values_of

__all__ = ["Clock", "Device", "DeviceHost", "Line", "reads", "register", "registers", "writes", "written"]

_WORD = 0xFFFF_FFFF

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


class _Register:
    """What a class says of one register, or of a row of them that is a list; the value is the device's attribute."""

    def __init__(self, offset: int, mask: int | str, reset: int, count: int | None, *, writable: bool) -> None:
        self.offsets = range(offset, offset + 4 * (count or 1), 4)
        self.mask = mask
        self.is_list = count is not None
        self.writable = writable
        self._reset = reset

    @property
    def reset_value(self) -> int | list[int]:
        return [self._reset] * len(self.offsets) if self.is_list else self._reset

    def reader(self, name: str, index: int) -> Callable[[Any], int]:
        get = attrgetter(name)
        return (lambda device: get(device)[index]) if self.is_list else get

    def writer(self, name: str, index: int) -> Callable[[Any, int], None]:
        def masked(device: Any, value: int) -> int:
            return value & (getattr(device, self.mask) if isinstance(self.mask, str) else self.mask)

        def write(device: Any, value: int) -> None:
            setattr(device, name, masked(device, value))

        def write_element(device: Any, value: int) -> None:
            getattr(device, name)[index] = masked(device, value)

        return write_element if self.is_list else write


def register(offset: int, *, mask: int | str = _WORD, reset: int = 0, writable: bool = True) -> Any:
    """An attribute that is a register: its bits that can be written, or the attribute that says which."""
    return _Register(offset, mask, reset, None, writable=writable)


def registers(offset: int, count: int, *, mask: int | str = _WORD, reset: int = 0) -> Any:
    """An attribute that is a list of registers, one behind the other."""
    return _Register(offset, mask, reset, count, writable=True)


def reads(offset: int) -> Callable[[Handler], Handler]:
    """This method gives the 32-bit value of the register at an offset."""
    return _marked("_reads", offset)


def writes(offset: int) -> Callable[[Handler], Handler]:
    """This method takes the value that is written to the register at an offset."""
    return _marked("_writes", offset)


def written(offset: int) -> Callable[[Handler], Handler]:
    """This method is called when the register declared at an offset has been written."""
    return _marked("_written", offset)


def _marked(kind: str, offset: int) -> Callable[[Handler], Handler]:
    def mark(method: Handler) -> Handler:
        setattr(method, kind, (*getattr(method, kind, ()), offset))
        return method

    return mark


class Device:
    """A peripheral of 32-bit registers, snapshot by its plain attributes.

    ``core`` in an access is who makes it; None is the host, which must change nothing by reading.
    """

    _readers: ClassVar[dict[int, Callable[[Any], int]]] = {}
    _writers: ClassVar[dict[int, Callable[[Any, int], None]]] = {}
    _declared: ClassVar[dict[str, _Register]] = {}
    is_steady: ClassVar[bool] = True  # False: its registers change with time
    state: ClassVar[tuple[str, ...]] = ()  # names of the attributes that a snapshot keeps beside its registers
    _kept: ClassVar[tuple[str, ...]] = ()  # of all that it keeps
    _values: Callable[[Any], tuple[Any, ...]] = staticmethod(values_of(()))
    _known: object = None  # its last snapshot

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found = {name: getattr(cls, name) for name in dir(cls)}
        cls._declared = {name: each for name, each in found.items() if isinstance(each, _Register)}
        cls._kept = (*cls.state, *cls._declared)
        cls._values = staticmethod(values_of(cls._kept))
        kept = [(at, name, index) for name, each in cls._declared.items() for index, at in enumerate(each.offsets)]
        reading = _collect(cls, "_reads", [(at, name) for at, name, _ in kept])
        writing = _collect(cls, "_writes", [(at, name) for at, name, _ in kept if cls._declared[name].writable])
        effects = _collect(cls, "_written", [])
        cls._readers = {at: methodcaller(name) for at, name in reading.items() if name not in cls._declared}
        cls._writers = {at: found[name] for at, name in writing.items() if name not in cls._declared}
        for at, name, index in kept:
            each = cls._declared[name]
            cls._readers[at] = each.reader(name, index)
            if each.writable:
                write = each.writer(name, index)
                cls._writers[at] = _then(write, effects.pop(at)) if at in effects else write
        for at, name in effects.items():
            raise TypeError(f"{cls.__name__}: {name} follows writes of {at:#05x}, where no register is declared")

    def __init__(self, host: DeviceHost) -> None:
        self._host = host

    def clear_registers(self) -> None:
        """Those that are declared to their reset values, without any effect."""
        for name, each in self._declared.items():
            setattr(self, name, each.reset_value)

    def read(self, offset: int, size: int, core: str | None) -> int:
        reader = self._readers.get(offset & ~3)
        if reader is None:
            if core is not None:
                self._host.unmodelled(offset, f"register {offset:#05x}")
            return 0
        value = reader(self) if core is not None else self.peek(offset & ~3)
        return value >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def peek(self, offset: int) -> int:
        """What a read would give; a device whose registers change by being read overrides this for them."""
        return self._readers[offset](self)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        writer = self._writers.get(offset & ~3)
        if writer is None:
            if core is not None:
                self._host.unmodelled(offset, f"register {offset:#05x}")
            return
        writer(self, value << 8 * (offset & 3))

    def reset(self) -> None:
        """Registers to their reset values."""
        raise NotImplementedError

    def snapshot(self) -> object:
        """What it remembers; the very object that was saved or restored last, where it still says that."""
        values = self._values(self)
        if values != self._known:
            self._known = tuple(copied(each, {}) for each in values)
        return self._known

    def restore(self, state: Any) -> None:
        if self._values(self) != state:
            for name, value in zip(self._kept, state, strict=True):
                setattr(self, name, copied(value, {}))
        self._known = state


def _then(write: Callable[[Any, int], None], effect: str) -> Callable[[Any, int], None]:
    def both(device: Any, value: int) -> None:
        write(device, value)
        getattr(device, effect)()

    return both


def _collect(cls: type, kind: str, declared: list[tuple[int, str]]) -> dict[int, str]:
    """Who serves which offset: a method, or an attribute that is a register."""
    marked = [(at, name) for name in dir(cls) for at in getattr(getattr(cls, name), kind, ())]
    found: dict[int, str] = {}
    for offset, name in (*declared, *marked):
        if offset in found:
            raise TypeError(f"{cls.__name__}: {name} and {found[offset]} both serve {kind[1:]} at {offset:#05x}")
        found[offset] = name
    return found
