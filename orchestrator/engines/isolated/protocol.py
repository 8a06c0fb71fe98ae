"""The frames between rptwin and the process of an engine.

A frame is a header (``HEADER``: magic, bytes of text, bytes of blob, virtual time of the board in ns), a message as
JSON, and a blob: memory, an ELF file, console output. The parent asks one thing at a time and gets one answer. Before
the answer the child may send what happens on the board; at each event it waits for ``Continue``, and answers questions
meanwhile, so that a listener sees the board as it was at the event. When a listener asks for a stop, ``Finish`` comes
instead, and the run ends where it would end in one process. A turn of a core that the parent plays is such an event,
too: ``Turn``, ended by ``TurnTaken``. Any other request to stop goes through a second channel
(``STOP``: number of the run), which also tells the child that the parent is gone.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Any

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Capability, Condition, EngineOptions, Stop
from orchestrator.engines.isolated.codec import MalformedError, from_plain, to_plain
from orchestrator.events import Activity, Backtrace, CoreState, DataCache, Event, Waiting
from orchestrator.platform.model import Platform

__all__ = [
    "HEADER",
    "REPLIES",
    "STOP",
    "VERSION",
    "Abandon",
    "AskActivity",
    "AskBacktrace",
    "AskDataCache",
    "AskInstructions",
    "AskRegisters",
    "AskState",
    "AskWaiting",
    "Channel",
    "Close",
    "ClosedError",
    "Continue",
    "Done",
    "Emitted",
    "Execute",
    "Failed",
    "Finish",
    "Frame",
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
    "SilentError",
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
HEADER = struct.Struct("<4sIIQ")
STOP = struct.Struct("<I")
_MAGIC = b"rptw"
_MOST_TEXT = 1 << 26  # bytes; a platform with all its scripts has less than one in a hundred of that
_MOST_BLOB = 1 << 30
_CHUNK = 1 << 16


# What the parent says


@dataclass(frozen=True, slots=True)
class Open:
    """The first frame: which engine, and the board to make."""

    version: int
    engine: str
    platform: Platform
    options: EngineOptions


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
    """What a UART has sent: the blob replaces everything from byte ``start`` on."""

    uart: str
    start: int


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

_MESSAGES: dict[str, type] = {each.__name__: each for each in Message.__args__}


@dataclass(frozen=True, slots=True)
class Frame:
    """A message, its blob, and the board's virtual time when it was sent."""

    message: Message
    blob: bytes
    time_ns: int


class ClosedError(MalformedError):
    """The other side has closed the channel, perhaps in the middle of a frame."""


class SilentError(MalformedError):
    """Nothing came in the time that was given."""


class Channel:
    """Frames over a stream socket. One thread receives; sending is safe from several."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()

    def send(self, message: Message, blob: bytes = b"", time_ns: int = 0) -> None:
        """Raises :class:`ClosedError` when nobody is there to read."""
        text = json.dumps(to_plain(message), separators=(",", ":")).encode()
        with self._lock:
            try:
                self._socket.sendall(HEADER.pack(_MAGIC, len(text), len(blob), time_ns) + text + blob)
            except OSError as error:
                raise ClosedError("the channel is closed", found=error.strerror) from None

    def wait(self, patience_s: float) -> bool:
        """Whether a frame begins, or the channel is closed, within this much wall time."""
        return bool(select.select([self._socket], [], [], patience_s)[0])

    def receive(self, patience_s: float | None = None) -> Frame:
        """The next frame, waiting for at most ``patience_s`` of wall time for each of its parts.

        Raises ClosedError, SilentError, or MalformedError for bytes that are no frame.
        """
        magic, text_size, blob_size, time_ns = HEADER.unpack(self._take(HEADER.size, patience_s))
        if magic != _MAGIC or text_size > _MOST_TEXT or blob_size > _MOST_BLOB:
            raise MalformedError("no frame begins so", expected=_MAGIC.decode(), found=repr(magic))
        text = self._take(text_size, patience_s)
        blob = self._take(blob_size, patience_s)
        return Frame(_decoded(text), blob, time_ns)

    def _take(self, size: int, patience_s: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            if patience_s is not None and not select.select([self._socket], [], [], patience_s)[0]:
                raise SilentError("nothing came", expected=f"{size} bytes in {patience_s:g} s", found=len(data))
            try:
                part = self._socket.recv(min(size - len(data), _CHUNK))
            except OSError:
                part = b""
            if not part:
                raise ClosedError("the channel is closed", expected=f"{size} bytes", found=len(data))
            data += part
        return bytes(data)

    def close(self) -> None:
        """The other side sees the end."""
        self._socket.close()


def _decoded(text: bytes) -> Message:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedError("no message", expected="JSON", found=repr(text[:80])) from None
    name = plain.get("!") if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in _MESSAGES:
        raise MalformedError("no message", expected="a known one", found=repr(name))
    if _MESSAGES[name] is Done and plain.keys() == {"!", "value"}:
        return Done(plain["value"])  # typed by who asked
    message: Message = from_plain(_MESSAGES[name], plain)
    return message
