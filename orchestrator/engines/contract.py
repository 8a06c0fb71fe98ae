"""What every engine promises.

Addresses are absolute in the view of the core that is named with them; sizes are bytes; time is virtual nanoseconds
since power-on and never depends on the speed of the machine. Cores are named as in the platform description.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from orchestrator.base.console_output import DEFAULT_CONSOLE_SIZE, Fresh, LineStart
from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.memory import Extent, Memory
from orchestrator.events import Activity, Backtrace, CoreState, DataCache, Listener, Sleep, Waiting
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = [
    "EVER_NS",
    "SEMIHOSTING",
    "Active",
    "Assistant",
    "Capability",
    "CoherenceMode",
    "Coming",
    "Condition",
    "Console",
    "ConsoleText",
    "DebugReason",
    "DebugStop",
    "Debuggable",
    "Delaying",
    "Engine",
    "EngineOptions",
    "Faulting",
    "Foreseeing",
    "Forking",
    "InjectedFault",
    "InjectedKind",
    "MemoryEquals",
    "Monitored",
    "Observing",
    "Ordered",
    "Ordering",
    "PlayedCore",
    "Player",
    "Playing",
    "Profiling",
    "SharedMemory",
    "Sharing",
    "Snapshot",
    "Stop",
    "StopReason",
    "Watchpoint",
    "why_lacking",
]


SEMIHOSTING = ".semihosting"  # behind a core's name: the console of what it says by semihosting


class Capability(enum.StrEnum):
    """What an engine may lack; asking for a missing one is a CapabilityError that names it."""

    SNAPSHOT = "snapshot"
    WATCH = "watch"
    ACCESSES = "accesses"  # :class:`Observing`
    ACTIVITY = "activity"  # :class:`Active`
    FAULTS = "faults"
    MONITOR = "monitor"  # Renode's own commands
    PLAY = "play"  # a core played in Python
    DEBUG = "debug"  # :class:`Debuggable`
    SHARE = "share"  # :class:`Sharing`
    DELAY = "delay"  # :class:`Delaying`
    PROFILE = "profile"  # :class:`Profiling`
    COHERENCE = "coherence"  # data caches are modelled: ``EngineOptions.coherence``
    FAULT = "fault"  # :class:`Faulting`
    ORDER = "order"  # :class:`Ordering`


class CoherenceMode(enum.StrEnum):
    """What the model of a data cache is for."""

    REPORT = "report"  # memory stays coherent: findings alone
    REAL = "real"  # the core sees what its cache holds


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a board runs, whatever it runs."""

    quantum_ns: int = DEFAULT_QUANTUM_NS
    seed: int = 0  # start skew of the cores and the platform's random numbers; 0: none
    console_size: int = DEFAULT_CONSOLE_SIZE  # bytes that are kept of what each console says
    shares_memory: bool = False  # the board's memory is in files that other processes can map: :class:`Sharing`
    coherence: CoherenceMode | None = None  # model the cores' data caches; None: memory is coherent
    order: bool = False  # tell the barriers between accesses: :class:`Ordering`


@dataclass(frozen=True, slots=True)
class ConsoleText:
    """Met when this text has come out of a UART since the run began (a regular expression if ``regex``).

    In one, ``^`` and ``$`` are the ends of lines. ``since`` is where the run began where an engine runs it in pieces:
    the bytes that had come out by then.
    """

    uart: str
    text: str
    regex: bool = False
    since: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryEquals:
    """Met when ``value == stored & mask``, an unsigned little-endian number of ``size`` bytes in a core's view."""

    core: str
    address: int
    size: int
    value: int
    mask: int = 0xFFFF_FFFF


Condition = ConsoleText | MemoryEquals


class StopReason(enum.StrEnum):
    """Why a run ended."""

    TIMEOUT = "timeout"
    CONDITION = "condition"
    REQUESTED = "requested"  # Engine.stop() was called, by a listener or from another thread
    DEAD = "dead"  # no core can ever run again: each is held or locked up


@dataclass(frozen=True, slots=True)
class Stop:
    """How a run ended, and when."""

    reason: StopReason
    time_ns: int
    repeats: bool = False  # the board does exactly the same for ever, as far as nobody outside changes it


class Console(Protocol):
    """One UART, seen from the cable. Of endless output the beginning and the end are kept."""

    @property
    def name(self) -> str: ...

    @property
    def output(self) -> bytes:
        """What the guest has sent since power-on; where a part of it was left out, a line says how much."""
        ...

    @property
    def total(self) -> int:
        """Bytes that the guest has sent since power-on."""
        ...

    def since(self, position: int) -> Fresh:
        """What it has sent behind a position, as far as that is kept; nothing where there was less."""
        ...

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        """When lines began, as far as that is known and kept."""
        ...

    def write(self, data: bytes) -> None:
        """Queue bytes towards the guest; each arrives when the guest has read the one before."""
        ...


class Snapshot(Protocol):
    """A whole board at one moment; belongs to the engine that took it."""

    @property
    def time_ns(self) -> int: ...


class Engine(Protocol):
    """A live board."""

    name: str
    platform: Platform
    capabilities: frozenset[Capability]

    @property
    def time_ns(self) -> int: ...

    @property
    def consoles(self) -> Mapping[str, Console]:
        """Every UART of the platform by its name, and what each core says by semihosting, where the engine has it."""
        ...

    def load(self, core: str, image: Image, vector_table: int) -> None:
        """Store the image's segments at their load addresses as this core sees them and set where it boots.

        Raises PlacementError (rule-like text, segment, address) when a segment lies where the core has no memory.
        """
        ...

    def start(self, core: str) -> None:
        """Let a held core go; it starts from its vector table."""
        ...

    def hold(self, core: str) -> None:
        """Stop a core until ``start``."""
        ...

    def reset(self, core: str) -> None:
        """Reset a core and its private peripherals; it starts again from its vector table."""
        ...

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        """Run for at most this much virtual time, or until the condition is met, whichever comes first."""
        ...

    def stop(self) -> None:
        """End the current run at the next turn boundary; may be called from a listener or another thread."""
        ...

    def state(self, core: str) -> CoreState: ...

    def memory(self, core: str) -> Memory:
        """Plain memory as this core sees it (no device registers), live."""
        ...

    def registers(self, core: str) -> Mapping[str, int]:
        """R0..R12, SP, LR, PC, XPSR, MSP, PSP, PRIMASK, BASEPRI, FAULTMASK, CONTROL."""
        ...

    def backtrace(self, core: str) -> Backtrace: ...

    def waiting(self, core: str) -> Waiting | None:
        """What a core that polls without progress waits for; None when it does something, sleeps or cannot be told."""
        ...

    def data_cache(self, core: str) -> DataCache | None:
        """What its registers say of a core's data cache; None where it has none, or none that can be told."""
        ...

    def instructions(self, core: str) -> int:
        """Instructions executed since power-on, skipped idle loops included."""
        ...

    def watch(self, name: str, core: str, extent: Extent) -> None:
        """Emit ``Changed(name)`` after each turn of a core that changed a byte of this extent, whatever the alias.

        The same name again replaces the watch. The bytes of one turn are seen together, at its end.
        """
        ...

    def unwatch(self, name: str) -> None: ...

    def subscribe(self, listener: Listener) -> None:
        """Call this for every event from now on, in order, on the thread that runs the board.

        An exception may be told later in its core's turn: its time is its own, what the board shows is of then.
        """
        ...

    def snapshot(self) -> Snapshot: ...

    def restore(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None:
        """Give back everything; the engine cannot be used afterwards."""
        ...


def why_lacking(engine: object, capability: Capability) -> str | None:
    """What keeps an engine from a capability that it has not, in its own words: ``lacking``, where it has that."""
    reasons: Mapping[Capability, str] = getattr(engine, "lacking", {})
    return reasons.get(capability)


@runtime_checkable
class Monitored(Protocol):
    """An engine that may have Renode's monitor; asking one without ``Capability.MONITOR`` is a CapabilityError."""

    def execute(self, command: str) -> str:
        """What the command prints; EngineError when the monitor refuses it."""
        ...


@runtime_checkable
class Observing(Protocol):
    """An engine that may tell who reads and writes what; without ``Capability.ACCESSES`` each call is a
    CapabilityError.

    Observing changes nothing: the run goes on as it would have. An engine for which it costs far more than the access
    itself says so by an attribute ``tells_slowly``.
    """

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        """Emit ``Accessed`` after each turn of a core that accessed a byte of this extent, whatever the alias.

        The same name again replaces the extent. ``merge``: accesses that touch one another become one record, for
        what is copied as a whole. Given back are the cores whose accesses are told; of the others, and of devices,
        ``watch`` tells what they change. EngineError where the extent does not lie in one piece of memory.
        """
        ...

    def unobserve(self, name: str) -> None: ...


@runtime_checkable
class Active(Protocol):
    """An engine that may have ``Capability.ACTIVITY``; asking one without it is a CapabilityError."""

    def activity(self, core: str) -> Activity:
        """Exceptions that it is in, its last sleep, and where it has been running."""
        ...

    def last_sleep(self, core: str) -> Sleep | None:
        """Its last sleep alone, which takes less to say; None: it never slept."""
        ...


@dataclass(frozen=True, slots=True)
class Coming:
    """What is armed and has not come: a watchdog, a timer, an alarm."""

    device: str
    core: str  # that armed it; "": nobody's core
    time_ns: int  # when it comes, if nobody does anything about it

    def __str__(self) -> str:
        whose = f"{self.core}'s " if self.core else ""
        return f"{whose}{self.device} at {self.time_ns / 1e6:.3f} ms"


@runtime_checkable
class Foreseeing(Protocol):
    """An engine that can tell what will happen by itself."""

    def coming(self, seen_ns: int) -> tuple[Coming, ...]:
        """What is armed now, by time, but for what came or was put off again and again in the last ``seen_ns``."""
        ...


@runtime_checkable
class Delaying(Protocol):
    """An engine that may have ``Capability.DELAY``; asking one without it is a CapabilityError."""

    def delay(self, core: str, cycle: int, duration_ns: int) -> None:
        """Let a core stand still for this long before a cycle of its clock, counted from power-on; at 0 it starts late.

        It takes no exception meanwhile, and its timers go on. EngineError for a cycle that has passed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ordered:
    """How many instructions that order accesses a core has executed since power-on; of exclusive pairs the loads."""

    dmb: int = 0
    dsb: int = 0
    isb: int = 0
    exclusive: int = 0


@runtime_checkable
class Ordering(Protocol):
    """An engine that may have ``Capability.ORDER``; made with ``EngineOptions.order``, else nothing is counted.

    Before each ``Accessed`` of a core, ``Fenced`` has the barriers that came between these accesses.
    """

    def ordered(self, core: str) -> Ordered: ...

    def device_memory(self, core: str) -> tuple[Extent, ...]:
        """What is Device or Strongly-ordered memory to this core now, memory or not: accesses to it keep their order
        among themselves (DDI0403E A3.7.3).
        """
        ...


EVER_NS = 1 << 62  # longer than any run


class InjectedKind(enum.StrEnum):
    """What goes wrong on a board without anybody's doing."""

    LOST = "lost"  # a notification: as if nobody had rung
    LATE = "late"  # a notification: it comes ``duration_ns`` later
    DOUBLED = "doubled"  # a notification: it comes again ``duration_ns`` later
    RESET = "reset"  # a core, with its private peripherals: it starts again from its vector table
    HOLD = "hold"  # a core stands still for ``duration_ns``, and takes no exception; its timers go on
    FLIP = "flip"  # a bit of memory


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault, exactly. Notifications to a core are counted from 1 as ``NotificationSent`` tells of them."""

    kind: InjectedKind
    core: str  # that is interrupted, reset or held, or in whose view the address lies
    number: int = 0  # of a notification
    time_ns: int = 0  # of the others
    duration_ns: int = 0
    address: int = 0
    bit: int = 0  # 0..7


@runtime_checkable
class Faulting(Protocol):
    """An engine that may have ``Capability.FAULT``; asking one without it is a CapabilityError."""

    def inject(self, fault: InjectedFault, name: str) -> None:
        """Have this happen, before the board has run; ``FaultInjected(name)`` tells that it did.

        UsageError where this board has no such thing: no memory at the address, a mailbox of which the platform does
        not say how a core works it.
        """
        ...


@runtime_checkable
class Profiling(Protocol):
    """An engine that may have ``Capability.PROFILE``; asking one without it is a CapabilityError.

    Neither changes anything for the board.
    """

    def sample(
        self, core: str, interval_ns: int, on_sample: Callable[[int, CoreState, Backtrace], None]
    ) -> Callable[[], None]:
        """Call back where the core is, every so much virtual time: how many samples are alike, what it does, and where
        (nowhere while it is held or locked up). What is given back tells of the time that has passed without a call.
        """
        ...

    def count(self, core: str, extent: Extent) -> None:
        """Count from now on how often each instruction of this extent is executed."""
        ...

    def counts(self, core: str) -> Mapping[int, int]:
        """How often, by address, those that were; a loop whose rounds passed at once, as often as it was executed."""
        ...


@runtime_checkable
class Forking(Protocol):
    """An engine that is in this process and nowhere else: a fork of the process is a copy of the board."""

    def part(self) -> None:
        """In the child of a fork, before the parent goes on: share nothing with it. OSError where there is no room."""
        ...


class Player(Protocol):
    """Plays a core from outside; called on the thread that runs the board, only by the engine."""

    def turn(self, time_ns: int) -> int | None:
        """Act, as the core would have done by now; when to be called again at the latest, None: when interrupted."""
        ...

    def reset(self) -> None:
        """The core is reset: begin again at the next turn."""
        ...


class PlayedCore(Protocol):
    """What a player has of its core; to be used in its turns only."""

    @property
    def memory(self) -> Memory:
        """Memory as the core sees it; what is written is the core's doing."""
        ...

    def read(self, address: int) -> int:
        """Read a 32-bit register of a device. EngineError where this core has no device."""
        ...

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register of a device, with all that follows from it."""
        ...

    def peek(self, core: str, address: int) -> int:
        """A 32-bit register of a device as another core would read it; only for what reading does not change."""
        ...

    def wake(self) -> None:
        """Have a turn in the next quantum; may be called at any time."""
        ...


@runtime_checkable
class Playing(Protocol):
    """An engine that may have ``Capability.PLAY``."""

    def play(self, core: str, player: Player) -> PlayedCore:
        """Put a player in a core's place, before the board has run: the core itself executes nothing from then on.

        The player has a turn at the end of each quantum in which an interrupt of a mailbox is active at its core, in
        which it asked for one, or that its last turn named. It stands still while the core is held.
        """
        ...


class Assistant(Protocol):
    """Acts in the name of a core that runs firmware; called on the thread that runs the board, only by the engine."""

    def turn(self, time_ns: int) -> int | None:
        """Act; when to be called again at the latest, None: when woken."""
        ...


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """A piece of a board's memory that other processes can map; the descriptor stays the engine's."""

    region: str
    extent: Extent  # in the view of the core that was asked for
    descriptor: int
    offset: int  # of its first byte in the descriptor's file


@runtime_checkable
class Sharing(Protocol):
    """An engine that may have ``Capability.SHARE``; made with ``EngineOptions.shares_memory``."""

    def shared_memory(self, core: str) -> tuple[SharedMemory, ...]:
        """Every piece of memory that this core can write, by address; what others write there, cores see at once."""
        ...

    def assist(self, core: str, assistant: Assistant) -> PlayedCore:
        """Put an assistant beside a core's firmware: it has a turn at the end of each quantum in which it asked for
        one, or that its last turn named. What it does, and what changes in its turn, is the core's doing.
        """
        ...


@dataclass(frozen=True, slots=True)
class Watchpoint:
    """Bytes whose accesses by a core are to be reported."""

    extent: Extent
    reads: bool
    writes: bool


class DebugReason(enum.StrEnum):
    """Why a core stands still for a debugger."""

    BREAKPOINT = "breakpoint"  # before the instruction; or at a BKPT of the firmware
    WATCHPOINT = "watchpoint"  # after the instruction that made the access
    STEP = "step"


@dataclass(frozen=True, slots=True)
class DebugStop:
    """A core stands still between two instructions, and the board with it, until the listener returns."""

    core: str
    reason: DebugReason
    time_ns: int
    access: tuple[int, int, bool] | None  # of a watchpoint: PC of the instruction, address, whether it writes


@runtime_checkable
class Debuggable(Protocol):
    """An engine that may serve a debugger; without ``Capability.DEBUG`` each call is a CapabilityError.

    What a debugger only looks at changes nothing: the run goes on as it would have. Addresses are in the core's view.
    """

    def debug(self, core: str, on_stop: Callable[[DebugStop], None] | None) -> None:
        """Report this core's stops from now on; None: no more, and whatever was set is taken back.

        The listener is called on the thread that runs the board, in the middle of a turn, and may use every call here.
        """
        ...

    def set_breakpoints(self, core: str, addresses: frozenset[int]) -> None:
        """Stand still before each instruction that begins at one of these; replaces those before."""
        ...

    def set_watchpoints(self, core: str, watchpoints: tuple[Watchpoint, ...]) -> None:
        """Stand still after an instruction of this core that made one of these accesses; replaces those before."""
        ...

    def step(self, core: str, *, wanted: bool) -> None:
        """Stand still again after one instruction, or before the first one of a handler; False: not any more."""
        ...

    def debug_registers(self, core: str) -> Mapping[str, int]:
        """As ``Engine.registers``, and D0..D15, FPSCR."""
        ...

    def write_register(self, core: str, name: str, value: int) -> None:
        """Change one of :meth:`debug_registers`."""
        ...

    def peek(self, core: str, address: int, size: int) -> bytes:
        """Memory and device registers as this core sees them; a device's registers do not change by it.

        Raises TranslationError where there is nothing.
        """
        ...

    def poke(self, core: str, address: int, data: bytes) -> None:
        """Store as this core would, in flash too; TranslationError where there is nothing."""
        ...
