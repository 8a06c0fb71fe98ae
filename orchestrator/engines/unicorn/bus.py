"""Device accesses of one core: which peripheral answers at which address, and what happens where none does."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import NamedTuple, Protocol, runtime_checkable

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.binding import Cpu
from orchestrator.engines.unicorn.native.abi import PAGE_BITS

__all__ = ["SCS", "Access", "Bus", "BusPort", "Device", "Foreseen", "Lasting", "Placed", "Pollers"]
__all__ += ["Sender", "Sending", "Slot", "Waking", "is_private"]

PAGE = 1 << PAGE_BITS
SCS = "scs"  # name of the slot of a core's own System Control Space
PRIVATE_START, PRIVATE_END = 0xE000_0000, 0xE010_0000  # the Private Peripheral Bus (DDI0403E B3.1)


class Device(Protocol):
    """A peripheral: registers by offset. ``core`` is who accesses; None: the host, which changes nothing by reading.

    A steady device changes only by being accessed: reading it again and again in the same state gives the same.
    """

    @property
    def is_steady(self) -> bool: ...

    def read(self, offset: int, size: int, core: str | None) -> int: ...

    def write(self, offset: int, size: int, value: int, core: str | None) -> None: ...

    def reset(self) -> None: ...

    def snapshot(self) -> object: ...

    def restore(self, state: object) -> None: ...


@runtime_checkable
class Waking(Protocol):
    """A device that asks to be woken at a moment of virtual time."""

    def wake(self) -> None: ...


@runtime_checkable
class Foreseen(Protocol):
    """A device that knows what it will do by itself."""

    def next_due(self) -> int | None:
        """At which tick of its clock, as things stand; None: nothing will come of it."""
        ...


@runtime_checkable
class Placed(Protocol):
    """A device that answers by the address at which it is asked."""

    def at(self, address: int) -> Device:
        """The device where it is seen at this address."""
        ...


class Lasting(Protocol):
    """A device some of whose answers stand until it changes: to give them again, it need not be asked."""

    version: array[int]  # one word; as long as it is the same, what stands does

    def stands(self, offset: int, size: int, core: str) -> bool:
        """Whether what a core has just read would be read again, whoever reads how often before."""
        ...


class Sending(Lasting, Protocol):
    """One that sends bytes, each by a write that may do nothing else."""

    def sends(self, offset: int) -> bool:
        """Whether a write there would do no more, for as long as the version is the same, than send its lowest byte."""
        ...


class Sender(NamedTuple):
    """Such a device, and who takes its bytes, with the time of each (virtual ns)."""

    device: Sending
    take: Callable[[bytes, Sequence[int]], None]


class Poller(Protocol):
    """Who has stopped executing, as nothing changes that it reads."""

    def leave(self) -> None:
        """A device that it reads is about to be touched."""
        ...

    def look_again(self) -> None:
        """It was touched, and nothing came of it, as it seems."""
        ...


class Pollers(list[Poller]):
    """Those of one device. ``displaced`` ones left as it was touched: two cores that poll one device would drive each
    other out of their loops for ever.
    """

    def __init__(self, lasting: Lasting | None = None) -> None:
        super().__init__()
        self.displaced: list[Poller] = []
        self._lasting = lasting

    def append(self, poller: Poller) -> None:
        """One more: it is to be told of each access."""
        super().append(poller)
        if self._lasting is not None:
            self._lasting.version[0] += 1

    def leave(self) -> None:
        """Someone is about to access the device, or it changes by itself."""
        for poller in tuple(self):
            poller.leave()
            if poller not in self.displaced:
                self.displaced.append(poller)

    def return_displaced(self) -> None:
        """Who touched it is found to change nothing."""
        displaced, self.displaced = self.displaced, []
        for poller in displaced:
            poller.look_again()


@dataclass(frozen=True, slots=True)
class Slot:
    """A device at one address of one core. ``pollers`` is shared by all slots of the device, which is ``lasting``, or a
    ``sender``, where nobody stands between it and the core.
    """

    name: str
    extent: Extent
    device: Device
    pollers: Pollers = field(default_factory=Pollers)
    lasting: Lasting | None = None
    sender: Sender | None = None


class Access(NamedTuple):
    """One access of a core to something that is not memory; ``value`` is None for a read."""

    address: int
    size: int
    value: int | None


class BusPort(Protocol):
    """What the bus tells its core."""

    def device_stores(self) -> None:
        """A device is about to be written."""
        ...

    def bus_error(self, access: Access) -> None:
        """Nothing answers at this address."""
        ...

    def device_failed(self, error: BaseException) -> None:
        """A device raised; the run is to end with this."""
        ...

    def device_written(self, slot: Slot) -> None: ...

    def may_use_private_bus(self, access: Access) -> bool:
        """Whether the instruction that runs may access the Private Peripheral Bus."""
        ...

    def keep_answer(self, access: Access, value: int, version: array[int]) -> None:
        """What was read would be read again, for as long as the version is the same."""
        ...

    def keep_sender(self, access: Access, sender: Sender) -> None:
        """What was written would do nothing but send a byte, for as long as the device's version is the same."""
        ...


class Bus:
    """The devices that one core sees."""

    def __init__(self, core: str, slots: list[Slot], port: BusPort) -> None:
        self._core = core
        self._slots = sorted(slots, key=lambda slot: slot.extent)
        self._starts = [slot.extent.start for slot in self._slots]
        self._ends = [slot.extent.end for slot in self._slots]
        self._pages = _pages_of(self._slots)
        self._port = port
        self.access: Access | None = None  # the last one
        self.count = 0  # accesses since power-on
        self.unsteady = 0  # of them, those of devices that change with time, while `notices_unsteady`
        self.notices_unsteady = False
        self.is_repeating = False  # what is read is known to change nothing

    def map_into(
        self,
        cpu: Cpu,
        read: Callable[[int, int], int] | None = None,
        write: Callable[[int, int, int], None] | None = None,
    ) -> None:
        """Map the pages that hold devices, with these functions of the address or with the bus's own."""
        read, write = read or self.read, write or self.write
        for first, count in _runs(self.pages()):
            base = first * PAGE
            cpu.map_device(
                base,
                count * PAGE,
                lambda offset, size, base=base: read(base + offset, size),
                lambda offset, size, value, base=base: write(base + offset, size, value),
            )

    def pages(self) -> list[int]:
        """Numbers of the pages that hold devices."""
        return self._pages

    def slot_at(self, address: int) -> Slot | None:
        index = bisect.bisect_right(self._starts, address) - 1
        return self._slots[index] if index >= 0 and address < self._ends[index] else None

    def slot_of(self, device: str) -> Slot:
        """The device of this name, which the core does reach."""
        return next(each for each in self._slots if each.name == device)

    def read(self, address: int, size: int) -> int:
        self.count += 1
        self.access = access = Access(address, size, None)
        try:
            slot = self.slot_at(address)
            if slot is None or (PRIVATE_START <= address < PRIVATE_END and not self._port.may_use_private_bus(access)):
                self._port.bus_error(access)
                return 0
            if slot.pollers and not self.is_repeating:
                slot.pollers.leave()
            if self.notices_unsteady:
                self._notice(slot)
            offset = address - slot.extent.start
            value = slot.device.read(offset, size, self._core)
            lasting = slot.lasting
            if lasting is not None and not slot.pollers and lasting.stands(offset, size, self._core):
                self._port.keep_answer(access, value, lasting.version)
            return value
        except BaseException as error:  # a callback of C code must not unwind through it
            self._port.device_failed(error)
            return 0

    def _notice(self, slot: Slot) -> None:
        """The System Control Space changes with its core, whose state is known."""
        if not slot.device.is_steady and slot.name != SCS:
            self.unsteady += 1

    def write(self, address: int, size: int, value: int) -> None:
        self._port.device_stores()
        self.count += 1
        self.access = access = Access(address, size, value)
        try:
            slot = self.slot_at(address)
            if slot is None or (PRIVATE_START <= address < PRIVATE_END and not self._port.may_use_private_bus(access)):
                self._port.bus_error(access)
                return
            if slot.pollers:
                slot.pollers.leave()
            if self.notices_unsteady:
                self._notice(slot)
            offset = address - slot.extent.start
            slot.device.write(offset, size, value, self._core)
            self._port.device_written(slot)
            sender = slot.sender
            if sender is not None and not slot.pollers and sender.device.sends(offset):
                self._port.keep_sender(access, sender)
        except BaseException as error:  # likewise
            self._port.device_failed(error)


def is_private(address: int) -> bool:
    """Whether an address lies on the Private Peripheral Bus."""
    return PRIVATE_START <= address < PRIVATE_END


def _pages_of(slots: Iterable[Slot]) -> list[int]:
    pages: set[int] = set()
    for slot in slots:
        pages.update(range(slot.extent.start // PAGE, (slot.extent.end + PAGE - 1) // PAGE))
    return sorted(pages)


def _runs(pages: list[int]) -> list[tuple[int, int]]:
    """Consecutive numbers as (first, count)."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][0] + runs[-1][1] == page:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((page, 1))
    return runs
