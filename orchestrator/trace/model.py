"""A run as it went: plain values. Times are virtual nanoseconds since power-on, cores are named as in the platform.

Each list is in the order in which things were seen; two cores that act in the same quantum are seen one after the
other, so that times of different cores may go back by less than a quantum. What an engine does not tell is not there,
and ``Trace.absent`` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.board import ConsoleLine
from orchestrator.checks.finding import Severity
from orchestrator.events import CoreState
from orchestrator.formats.elf import SourceLine
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.observe.run import Milestone

__all__ = [
    "CodePlace",
    "CoreSpan",
    "ExceptionSpan",
    "FaultMark",
    "FindingMark",
    "LeftOut",
    "MessageTrace",
    "Notification",
    "PairTrace",
    "RingChange",
    "RingShape",
    "StackSample",
    "TableChange",
    "Trace",
    "TraceCore",
]


class TraceCore(NamedTuple):
    """A core, and what it is called in a report: its role, or its name where it has none."""

    name: str
    label: str


class CoreSpan(NamedTuple):
    """A core was in one state."""

    core: str
    state: CoreState
    began_ns: int
    ended_ns: int
    why: str  # it came to be so: "released by firmware", "WFI"


class ExceptionSpan(NamedTuple):
    """A core was in an exception; those that came in meanwhile lie inside."""

    core: str
    number: int  # as in IPSR
    name: str
    began_ns: int
    ended_ns: int | None  # None: it had not returned when the run ended, or the engine does not tell returns
    return_address: int  # 0: not told


class FaultMark(NamedTuple):
    """A fault, a lockup, or something else that a correct firmware does not do."""

    time_ns: int
    core: str
    name: str  # "BusFault", "lockup", "guest error"
    what: str
    pc: int


class Notification(NamedTuple):
    """A channel of a mailbox was signalled to a core."""

    sent_ns: int
    mailbox: str
    channel: int | None  # None: the mailbox has no channels
    sender: str  # "": not by a core
    target: str
    ignored: bool  # the target has not enabled it
    taken_ns: int | None  # when the target entered the exception of it; None: it did not, or is not told
    pc: int | None = None  # that signalled it, where that is told


class RingShape(NamedTuple):
    """A ring from a moment on: where it is, and every byte of it then."""

    ring: str  # "vdev[0].vring[1]"
    vdev: int
    queue: int  # of the vdev
    since_ns: int
    layout: RingLayout  # in the view of ``view``
    view: str  # the core whose addresses the layout has
    driver: str  # core that makes buffers available
    device: str
    data: bytes  # of ``layout.extent``
    begins: int  # how many of the pair's ``ring_changes`` were before


class RingChange(NamedTuple):
    """Bytes of a ring that changed; ``offset`` counts from the first byte of the layout's extent."""

    time_ns: int
    ring: str
    core: str  # whose turn it was, "": not a core's
    pc: int | None  # None: known by its turn alone, with ``time_ns`` the end of the turn
    offset: int
    before: bytes
    after: bytes


class TableChange(NamedTuple):
    """A field of the resource table changed."""

    time_ns: int
    core: str  # "": nobody knows whose doing
    pc: int | None  # as in :class:`RingChange`
    path: str  # "vdev[0].status"
    before: int | None  # None: the table was not there before
    after: int


class MessageTrace(NamedTuple):
    """An RPMsg message."""

    sent_ns: int  # when the index moved past it; where stores are not told, the turn's end or the notification
    seen_ns: int | None  # when the receiver first read it; where reads are not told, when it gave the buffer back
    ring: str
    head: int  # of the chain of descriptors
    sender: str  # core
    receiver: str
    from_driver: bool
    src: int
    dst: int
    length: int  # of the payload
    payload: bytes  # its beginning: all of it, until much has been kept
    text: str  # of the name service: "create rptwin-echo at 1024"; else ""


class FindingMark(NamedTuple):
    """A finding of the verdict, and when what it is about was seen; None: it is about what was never seen."""

    time_ns: int | None
    rule: str
    severity: Severity
    subject: str
    text: str
    core: str  # "": no core's doing
    is_cause: bool


class CodePlace(NamedTuple):
    """Code at an address: ``main+0x12``, and its lines of source, the innermost first; of very many only the names."""

    symbol: str | None
    lines: tuple[SourceLine, ...]


class StackSample(NamedTuple):
    """Where a core was at one moment, and at so many more, ``interval_ns`` apart."""

    core: str
    time_ns: int
    number: int
    interval_ns: int
    stack: tuple[str, ...]  # functions, the outermost first; the last may be what it did: "[sleeping]"


class LeftOut(NamedTuple):
    """What was not kept, as there was too much."""

    number: int
    since_ns: int  # of the first of them


@dataclass(frozen=True, slots=True)
class PairTrace:
    """What a pair of cores did with what they share."""

    name: str  # "" for the first pair
    cores: Mapping[str, str]  # name of the core by role
    shapes: tuple[RingShape, ...]
    ring_changes: tuple[RingChange, ...]
    table_changes: tuple[TableChange, ...]
    messages: tuple[MessageTrace, ...]
    milestones: tuple[Milestone, ...]
    findings: tuple[FindingMark, ...]

    @property
    def rings(self) -> tuple[str, ...]:
        """The paths of its rings, in order."""
        return tuple(sorted({shape.ring for shape in self.shapes}, key=_by_number))


@dataclass(frozen=True, slots=True)
class Trace:
    """A run from power-on, or from where the collector was made, to ``ended_ns``."""

    platform: str
    engine: str
    began_ns: int
    ended_ns: int
    cores: tuple[TraceCore, ...]
    states: tuple[CoreSpan, ...]  # by core, in order, without gaps
    exceptions: tuple[ExceptionSpan, ...]
    faults: tuple[FaultMark, ...]
    notifications: tuple[Notification, ...]
    lines: tuple[ConsoleLine, ...]
    pairs: tuple[PairTrace, ...]
    places: Mapping[
        str, Mapping[int, CodePlace]
    ]  # by core and address: of each ``pc`` and return address, up to 20,000
    absent: tuple[str, ...]  # what the engine does not tell, a sentence each
    left_out: Mapping[str, LeftOut]  # by the name of the list
    samples: tuple[StackSample, ...] = ()  # where somebody asked for them

    def pair(self, name: str) -> PairTrace:
        """One of the pairs; "" is the first."""
        return next(each for each in self.pairs if each.name == name)


def _by_number(path: str) -> tuple[str, ...]:
    return tuple(part.zfill(8) for part in path.replace("]", "").split("["))
