"""What happens on a board, in order: the words that engines say and checks read.

Virtual time is in nanoseconds since power-on. An engine emits events in the order in which they happened and keeps
none of them; who needs them listens.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent

__all__ = [
    "ACCESS_FRAME",
    "ACCESS_STORES",
    "ACCESS_WRITES",
    "CACHE_BLOCK",
    "RECORD",
    "RESET",
    "SYSTEM_RESET",
    "Access",
    "Accessed",
    "ActiveException",
    "Activity",
    "Backtrace",
    "Barrier",
    "Changed",
    "CoreState",
    "DataCache",
    "Detail",
    "Doing",
    "Event",
    "ExceptionReturn",
    "ExceptionTaken",
    "Fault",
    "FaultInjected",
    "Fenced",
    "Frame",
    "GuestError",
    "IncoherenceKind",
    "Incoherent",
    "Listener",
    "Lockup",
    "Note",
    "NotificationIgnored",
    "NotificationListened",
    "NotificationSent",
    "NotificationTaken",
    "Place",
    "Poll",
    "Row",
    "Sleep",
    "StateChanged",
    "Touch",
    "UnmodelledAccess",
    "Waiting",
    "access_of",
    "address_and_size",
    "touched",
]


SYSTEM_RESET = "system reset"
RESET = "reset"  # of one core, from outside
CACHE_BLOCK = 1 << 10  # bytes: cache maintenance is kept no finer


class CoreState(enum.StrEnum):
    """What a core is doing."""

    HELD = "held"  # in reset, or never released
    RUNNING = "running"
    SLEEPING = "sleeping"  # in WFI or WFE
    LOCKED_UP = "locked up"


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of a backtrace; ``guess`` where it was found by scanning the stack and not by unwind tables."""

    pc: int
    symbol: str | None
    guess: bool = False


Backtrace = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """One place that a waiting core reads in each round, and what it sees there; "" for plain memory."""

    address: int
    size: int
    value: int
    peripheral: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A core is in a loop that provably does the same for ever, until something outside changes what it reads."""

    pc: int
    symbol: str | None
    polls: tuple[Poll, ...]


@dataclass(frozen=True, slots=True)
class ActiveException:
    """An exception that a core has taken and not returned from, with the address at which it came in."""

    number: int  # as in IPSR
    name: str
    since_ns: int
    return_address: int
    symbol: str | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """The last time that a core fell asleep, and what woke it: an exception, or an event (WFE)."""

    since_ns: int
    how: str  # "WFI", "WFE" or "SLEEPONEXIT"
    pc: int  # where it goes on
    symbol: str | None
    woken_ns: int | None  # None: it sleeps
    woken_by: str


@dataclass(frozen=True, slots=True)
class Place:
    """A function in which turns of a core ended: the lowest and the highest PC there, and the last time."""

    symbol: str | None  # None: no image knows it
    lowest: int
    highest: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What a core is doing, provably or not: for one that spins, ``places`` are its loop, as far as turns show it."""

    exceptions: tuple[ActiveException, ...]  # in the order in which they came in
    sleep: Sleep | None  # None: it never slept
    places: tuple[Place, ...]  # in the last millisecond in which it ran; the last one first
    elsewhere_ns: int | None  # when a turn last ended in none of these; 0: never; None: it never ran


@dataclass(frozen=True, slots=True)
class DataCache:
    """A core's data cache as its registers set it: what it may hold, and what was ever done about that.

    It is about the registers alone: no engine models what a cache holds.
    """

    enabled: bool
    cacheable: tuple[Extent, ...] = ()  # by the memory map and the MPU, memory or not
    maintained: tuple[Extent, ...] = ()  # cleaned or invalidated while it was on, in blocks of ``CACHE_BLOCK`` bytes

    def keeps(self, extent: Extent) -> bool:
        """Whether bytes of this extent may stay in the cache, and nothing was ever done about any of them."""
        return (
            self.enabled
            and any(each.overlaps(extent) for each in self.cacheable)
            and not any(each.overlaps(extent) for each in self.maintained)
        )


@dataclass(frozen=True, slots=True)
class NotificationSent:
    """A channel of a mailbox went from not pending to pending towards a core, and is enabled there."""

    mailbox: str
    target: str  # the core that is interrupted
    channel: int | None  # bit of the mailbox's status register; None: the mailbox has no channels
    interrupt: int
    rising: bool  # False: the line was already active for another channel


@dataclass(frozen=True, slots=True)
class NotificationIgnored:
    """A channel was signalled that the target core has not enabled: nothing interrupts it.

    ``pc`` is the instruction that signalled it, where the engine knows.
    """

    mailbox: str
    target: str
    channel: int
    pc: int | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class NotificationListened:
    """A core has enabled channels of its mailbox that it had not enabled before; ``waiting``: those of them that stand
    signalled at that moment.
    """

    mailbox: str
    channels: tuple[int, ...]
    waiting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NotificationTaken:
    """A core entered the exception of its mailbox interrupt; channels that were pending at that moment."""

    mailbox: str
    channels: tuple[int, ...]
    interrupt: int


@dataclass(frozen=True, slots=True)
class ExceptionTaken:
    """Entry of an exception: number as in IPSR, the address it returns to."""

    number: int
    name: str
    return_address: int


@dataclass(frozen=True, slots=True)
class ExceptionReturn:
    """Return from an exception; the address that it returns to is known for faults, where the engine can say it."""

    number: int
    name: str
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault exception was raised by the guest, decoded (DDI0403E B3.2.15..18)."""

    name: str  # "BusFault", "UsageFault", ...
    status: tuple[str, ...]  # names of the bits set by this fault: "PRECISERR", "BFARVALID"
    address: int | None  # MMFAR or BFAR where valid
    pc: int
    symbol: str | None
    what: str  # one line: "reads 0x70000000, where this chip has nothing"
    escalated: bool  # to HardFault
    registers: Mapping[str, int]
    backtrace: Backtrace


@dataclass(frozen=True, slots=True)
class Lockup:
    """The core cannot go on (DDI0403E B1.5.15)."""

    pc: int
    symbol: str | None
    what: str
    registers: Mapping[str, int]
    backtrace: Backtrace


@dataclass(frozen=True, slots=True)
class UnmodelledAccess:
    """The chip has this register and the model does not: the model is incomplete, the firmware may be right."""

    pc: int
    symbol: str | None
    address: int
    size: int
    value: int | None  # what was written; None: a read
    peripheral: str
    what: str


@dataclass(frozen=True, slots=True)
class GuestError:
    """Something a correct firmware does not do and the hardware lets pass (a store to flash, a wrong key)."""

    pc: int
    symbol: str | None
    address: int
    what: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A core was released, held, reset, fell asleep for good or woke; ``why`` names the cause.

    Where a core alone was reset, by nobody's firmware, ``why`` begins with ``RESET``. Where the firmware asked for a
    system reset, ``why`` begins with ``SYSTEM_RESET`` and the backtrace says from where.
    """

    state: CoreState
    why: str
    backtrace: Backtrace = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """Bytes of a watched extent changed during this core's turn (stamped with the end of the turn)."""

    watch: str


class Access(NamedTuple):
    """What one core did to observed bytes: one access, or ``times`` of them that say no more than one.

    Addresses are in the core's own view. Several are one where a core reads the same value from the same place again
    by the same instruction and has written nothing observed since, and, in an extent that is observed with ``merge``,
    where ranges touch and no single access has been told in between.
    """

    time_ns: int  # of the first one: that of its instruction, as other events of it are stamped
    last_ns: int
    pc: int  # of the first one; of an exception's frame: where the exception came in, or returned
    address: int
    size: int  # bytes, of all of them together
    times: int
    writes: bool
    frame: bool  # stacked or unstacked by an exception
    value: int | None  # little-endian; None: not one value
    before: int | None  # of a write with a value: what stood there


# An access as engines pack it: times, value, before, pc, address, size, count, flags, 0.
RECORD = struct.Struct("<4Q6I")
_TOUCH = struct.Struct("<36xQ4xI4x")  # of the same: address and size as one number, flags
_WHAT = itemgetter(0)  # of a ``_TOUCH``
Row = tuple[int, ...]
"""An access as the numbers of its ``RECORD``."""
Touch = tuple[int, int, int]
"""Of an access what is touched (:func:`touched`), the flags, and its number among those of its turn."""
ACCESS_WRITES, ACCESS_FRAME, _VALUE = 1, 2, 4  # its flags
ACCESS_STORES = ACCESS_WRITES | _VALUE  # one value, over another


@dataclass(frozen=True, slots=True)
class Accessed:
    """What a core did to observed bytes in its turn, in order (stamped with the end of the turn).

    Packed as ``RECORD``; it comes before each ``Changed`` of the same turn.
    """

    records: bytes

    def rows(self) -> Iterator[Row]:
        """The same as numbers, in the order of ``RECORD``: for who looks at most of them and at little of each."""
        return RECORD.iter_unpack(self.records)

    def row(self, number: int) -> Row:
        """One of :meth:`rows`."""
        return RECORD.unpack_from(self.records, number * RECORD.size)

    def touches(self) -> Iterator[tuple[int, int]]:
        """Of each what is touched (:func:`touched`), and the flags."""
        return _TOUCH.iter_unpack(self.records)

    def what_is_touched(self) -> Iterator[int]:
        """Of each, :func:`touched`."""
        return map(_WHAT, self.touches())

    def __len__(self) -> int:
        return len(self.records) // RECORD.size

    @property
    def accesses(self) -> tuple[Access, ...]:
        """Unpacked anew by each call."""
        return tuple(map(access_of, self.rows()))

    @classmethod
    def of(cls, accesses: Iterable[Access]) -> Accessed:
        return cls(b"".join(map(_packed, accesses)))


def touched(address: int, size: int) -> int:
    """The bytes that an access touches as one number: the address in the lower 32 bits, the size above them."""
    return size << 32 | address


def address_and_size(what: int) -> tuple[int, int]:
    """The other way round."""
    return what & 0xFFFF_FFFF, what >> 32


def access_of(row: Row) -> Access:
    """An access by the numbers of its ``RECORD``."""
    first, last, value, before, pc, address, size, count, flags, _ = row
    return Access(
        first,
        last,
        pc,
        address,
        size,
        count,
        flags & ACCESS_WRITES != 0,
        flags & ACCESS_FRAME != 0,
        value if flags & _VALUE else None,
        before if flags & ACCESS_STORES == ACCESS_STORES else None,
    )


def _packed(access: Access) -> bytes:
    flags = access.writes * ACCESS_WRITES | access.frame * ACCESS_FRAME | (access.value is not None) * _VALUE
    numbers = access.pc, access.address, access.size, access.times, flags, 0
    return RECORD.pack(access.time_ns, access.last_ns, access.value or 0, access.before or 0, *numbers)


class Barrier(NamedTuple):
    """A DMB or DSB: accesses before it are made before those behind it (DDI0403E A3.7.3)."""

    time_ns: int  # of the instruction
    pc: int


@dataclass(frozen=True, slots=True)
class Fenced:
    """The barriers that a core executed, in order; one behind another, with no observed access in between, is left out.

    Stamped with the end of the turn; it comes before the ``Accessed`` of the same turn.
    """

    barriers: tuple[Barrier, ...]


class IncoherenceKind(enum.StrEnum):
    """What a data cache does to bytes that others access too."""

    STALE_READ = "stale-read"  # the line was fetched before another wrote
    WRITE_STAYED = "write-stayed"  # another reads what is dirty in the cache
    INVALIDATE_DESTROYED = "invalidate-destroyed"  # what was dirty in an invalidated line is read
    WRITE_BACK_OVERWRITES = "write-back-overwrites"  # a dirty line holds older bytes of another's
    INVALIDATED_EARLY = "invalidated-early"  # before another wrote, and not after
    STALE_CODE = "stale-code"  # an instruction was fetched before it was written anew


@dataclass(frozen=True, slots=True)
class Doing:
    """Who did something, by which instruction, and when; ``core`` is "" for a device, which has no PC."""

    core: str
    pc: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Incoherent:
    """Bytes of a line are not to all what they are to one (stamped with the moment at which that shows).

    ``by`` is the access to which it shows (of an overwriting: that which made the line dirty), ``of`` the write that is
    not seen or is lost, ``since`` the step between: when the line was fetched, or invalidated.
    """

    incoherence: IncoherenceKind
    line: int  # address of the line, as the core with the cache addresses it
    address: int  # of the first byte concerned
    size: int  # to the last one
    by: Doing
    of: Doing
    since: Doing


@dataclass(frozen=True, slots=True)
class FaultInjected:
    """A fault that was asked for has happened to this core; nobody's firmware did it."""

    fault: str  # as it was named when it was asked for
    what: str  # "hsem channel 1 to cpu_cm4 is lost"


@dataclass(frozen=True, slots=True)
class Note:
    """Something the reader of a report should know of the model ("MPU enabled: not enforced")."""

    text: str


Detail = (
    NotificationSent
    | NotificationIgnored
    | NotificationListened
    | NotificationTaken
    | ExceptionTaken
    | ExceptionReturn
    | Fault
    | Lockup
    | UnmodelledAccess
    | GuestError
    | StateChanged
    | Accessed
    | Fenced
    | Changed
    | Incoherent
    | FaultInjected
    | Note
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: when (virtual ns), by or to which core ("" for the host), and what."""

    time_ns: int
    core: str
    detail: Detail

    @property
    def kind(self) -> str:
        """Stable name of the kind of event, as in JSON."""
        return _KINDS[type(self.detail)]

    def to_json(self) -> dict[str, object]:
        """Plain values, in a stable order."""
        if isinstance(self.detail, Accessed):
            what: dict[str, object] = {"accesses": [each._asdict() for each in self.detail.accesses]}
        else:
            what = dataclasses.asdict(self.detail)
        return {"time_ns": self.time_ns, "core": self.core, "kind": self.kind, **what}


_KINDS: dict[type, str] = {
    NotificationSent: "notification-sent",
    NotificationIgnored: "notification-ignored",
    NotificationListened: "notification-listened",
    NotificationTaken: "notification-taken",
    ExceptionTaken: "exception-taken",
    ExceptionReturn: "exception-return",
    Fault: "fault",
    Lockup: "lockup",
    UnmodelledAccess: "unmodelled-access",
    GuestError: "guest-error",
    StateChanged: "state",
    Accessed: "accessed",
    Fenced: "fenced",
    Changed: "changed",
    Incoherent: "incoherent",
    FaultInjected: "fault-injected",
    Note: "note",
}

Listener = Callable[[Event], None]
