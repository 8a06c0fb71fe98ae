"""What rptwin and the process of an engine say to each other.

The parent asks one thing at a time and gets one answer. Before the answer the child may send what happens on the
board; at each event it waits for ``Continue``, and answers questions meanwhile, so that a listener sees the board as it
was at the event. When a listener asks for a stop, ``Finish`` comes instead, and the run ends where it would end in one
process. A turn of a core that the parent plays is such an event, too: ``Turn``, ended by ``TurnTaken``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Capability, Condition, EngineOptions, Stop
from orchestrator.events import Activity, Backtrace, CoreState, DataCache, Event, Waiting
from orchestrator.platform.model import Platform

__all__ = [
    "MESSAGES",
    "REPLIES",
    "VERSION",
    "Abandon",
    "AskActivity",
    "AskBacktrace",
    "AskDataCache",
    "AskInstructions",
    "AskRegisters",
    "AskState",
    "AskWaiting",
    "Close",
    "Continue",
    "Done",
    "Emitted",
    "Execute",
    "Failed",
    "Finish",
    "Hold",
    "Load",
    "Message",
    "Observe",
    "Open",
    "Opened",
    "Output",
    "PeekRegister",
    "Play",
    "PlayerReset",
    "Progress",
    "Read",
    "ReadRegister",
    "Release",
    "Reset",
    "Restore",
    "Run",
    "Start",
    "Store",
    "Subscribe",
    "TakeSnapshot",
    "Turn",
    "TurnTaken",
    "Type",
    "Unobserve",
    "Unwatch",
    "Wake",
    "Watch",
    "Write",
    "WriteRegister",
]

VERSION = 2

# What the parent says


@dataclass(frozen=True, slots=True)
class Open:
    """The first frame: which engine, and the board to make; ``prepared`` is what the engine's own half here has made of
    it, texts by name.
    """

    version: int
    engine: str
    platform: Platform
    options: EngineOptions
    prepared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """Load the ELF file in the blob."""

    core: str
    vector_table: int
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Start:
    """Let a core go."""

    core: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop a core."""

    core: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset a core."""

    core: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run; ``number`` is what a stop request names."""

    number: int
    timeout_ns: int
    until: Condition | None


@dataclass(frozen=True, slots=True)
class AskState:
    """What a core is doing."""

    core: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read memory; the answer's blob."""

    core: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Write:
    """Store the blob."""

    core: str
    address: int


@dataclass(frozen=True, slots=True)
class AskRegisters:
    """Registers of a core."""

    core: str


@dataclass(frozen=True, slots=True)
class AskBacktrace:
    """Backtrace of a core."""

    core: str


@dataclass(frozen=True, slots=True)
class AskWaiting:
    """What a core waits for."""

    core: str


@dataclass(frozen=True, slots=True)
class AskActivity:
    """What a core is doing."""

    core: str


@dataclass(frozen=True, slots=True)
class AskDataCache:
    """What a core's registers say of its data cache."""

    core: str


@dataclass(frozen=True, slots=True)
class AskInstructions:
    """Instructions that a core has executed."""

    core: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Watch an extent."""

    name: str
    core: str
    extent: Extent


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Watch it no more."""

    name: str


@dataclass(frozen=True, slots=True)
class Observe:
    """Tell who accesses an extent."""

    name: str
    core: str
    extent: Extent
    merge: bool


@dataclass(frozen=True, slots=True)
class Unobserve:
    """Tell it no more."""

    name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send events from now on."""


@dataclass(frozen=True, slots=True)
class Type:
    """Send the blob to the guest through a UART."""

    uart: str


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Keep a snapshot under this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Go back to a snapshot."""

    number: int


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody can ask for these snapshots any more."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Execute:
    """A command for the engine's monitor."""

    command: str


@dataclass(frozen=True, slots=True)
class Play:
    """The parent plays this core from now on."""

    core: str


@dataclass(frozen=True, slots=True)
class Store:
    """The played core stores the blob."""

    core: str
    address: int


@dataclass(frozen=True, slots=True)
class ReadRegister:
    """The played core reads a register of a device."""

    core: str
    address: int


@dataclass(frozen=True, slots=True)
class WriteRegister:
    """The played core writes a register of a device."""

    core: str
    address: int
    value: int


@dataclass(frozen=True, slots=True)
class PeekRegister:
    """The played core looks at a register of a device as another core would read it."""

    core: str
    viewer: str
    address: int


@dataclass(frozen=True, slots=True)
class Wake:
    """The played core wants a turn in the next quantum."""

    core: str


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """The player has acted; when it wants its next turn at the latest, and whether the run is to end here."""

    at_ns: int | None
    ends_run: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Leave."""


@dataclass(frozen=True, slots=True)
class Continue:
    """Every listener has seen the event."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Every listener has seen the event, and one of them ends the run here."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """A listener failed: end what is under way."""


# What the child says


@dataclass(frozen=True, slots=True)
class Opened:
    """The board is there."""

    version: int
    capabilities: frozenset[Capability]
    consoles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The answer; its type is the request's in ``REPLIES``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer is an error; ``kind`` is a class of :mod:`orchestrator.base.errors`, or any other exception's name."""

    kind: str
    what: str
    where: str | None = None
    expected: str | None = None
    found: str | None = None
    advice: str | None = None
    rule: str | None = None
    place: tuple[int | None, int | None] | None = None  # line and column of a PlatformError, whose file is ``where``
    details: tuple[str, ...] = ()  # what a person may want to read after the one line


@dataclass(frozen=True, slots=True)
class Emitted:
    """Something happened; the child waits for ``Continue``, ``Finish`` or ``Abandon``."""

    event: Event


@dataclass(frozen=True, slots=True)
class Turn:
    """A played core has a turn; the child waits for ``TurnTaken`` or ``Abandon``."""

    core: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class PlayerReset:
    """A played core is reset; the child waits likewise."""

    core: str


@dataclass(frozen=True, slots=True)
class Output:
    """What a UART has sent: the blob, and bytes before it that were not kept, replace all from byte ``start`` on."""

    uart: str
    start: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Virtual time goes on, and nothing else happens."""


Message = (
    Open
    | Load
    | Start
    | Hold
    | Reset
    | Run
    | AskState
    | Read
    | Write
    | AskRegisters
    | AskBacktrace
    | AskWaiting
    | AskActivity
    | AskDataCache
    | AskInstructions
    | Watch
    | Unwatch
    | Observe
    | Unobserve
    | Subscribe
    | Type
    | TakeSnapshot
    | Restore
    | Release
    | Execute
    | Play
    | Store
    | ReadRegister
    | WriteRegister
    | PeekRegister
    | Wake
    | TurnTaken
    | Close
    | Continue
    | Finish
    | Abandon
    | Opened
    | Done
    | Failed
    | Emitted
    | Turn
    | PlayerReset
    | Output
    | Progress
)

# request: type of the answer's value, where it has one
REPLIES: dict[type, Any] = {
    Run: Stop,
    AskState: CoreState,
    AskRegisters: dict[str, int],
    AskBacktrace: Backtrace,
    AskWaiting: Waiting | None,
    AskActivity: Activity,
    AskDataCache: DataCache | None,
    AskInstructions: int,
    Observe: frozenset[str],
    TakeSnapshot: int,
    Execute: str,
    ReadRegister: int,
    PeekRegister: int,
}

MESSAGES: dict[str, type] = {each.__name__: each for each in Message.__args__}
