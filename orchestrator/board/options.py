"""What a board is told besides its chip: images, an engine, and how to run and look at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from orchestrator.base.console_output import DEFAULT_CONSOLE_SIZE
from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS, Duration
from orchestrator.base.errors import UsageError
from orchestrator.board.images import checked_maps, checked_notify, parse_profile, parse_release
from orchestrator.board.schedule import Schedule
from orchestrator.config import DEFAULT_WALL_TIME_NS
from orchestrator.engines.contract import CoherenceMode, Engine, EngineOptions
from orchestrator.formats.locator import parse_locator
from orchestrator.observe.given import parse_vrings
from orchestrator.observe.observer import ObserveOptions
from orchestrator.platform.memory import with_memory
from orchestrator.platform.model import Platform

__all__ = ["BoardOptions"]

_OWN_MEMORY = ("renode", "qemu")  # engines that make the machine from text of their own


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """Everything that :class:`~orchestrator.board.Board` can be told; :class:`UsageError` comes when it reads it."""

    main: str | Path | None = None  # ELF file; None: Python plays the core, as for ``remote``
    remote: str | Path | None = None
    others: Mapping[str, str | Path] = field(default_factory=dict)  # ELF files of further cores by name
    engine: str | Engine = "unicorn"  # a name, or an engine for this platform that is at power-on
    profile: str = "auto"
    table: str | None = None  # a locator: :func:`~orchestrator.formats.locator.parse_locator`
    vrings: Iterable[str] = ()  # "ADDRESS:NUM:ALIGN", where no table has them
    memory: Iterable[str] = ()  # "ADDRESS:SIZE", what the board has beside the chip's
    vtor: Mapping[str, int] = field(default_factory=dict)  # core (role or name) to vector table
    maps: Iterable[str] = ()  # "PA:DA:SIZE"
    nuttx_config: str | None = None  # a release, as "12.13"
    # A vring's path to its mailbox channel, or, where Python rings a core, a mailbox's name to the channel that the
    # core listens to.
    notify: Mapping[str, int] = field(default_factory=dict)
    quantum_ns: int = DEFAULT_QUANTUM_NS
    seed: int = 0
    schedule: Schedule | None = None  # its quantum holds
    quiet_for: Duration | None = None  # how long shared memory has to be quiet for; None: it depends (Board.run)
    console_size: int = DEFAULT_CONSOLE_SIZE  # bytes that are kept of what each console says
    shares_memory: bool = False  # other processes can map the board's memory, as :meth:`Board.hand_out` needs it
    coherence: str | None = None  # "report" or "real": model the cores' data caches
    order: bool = False  # look at barriers and the order of accesses to rings
    faults: Iterable[str] = ()  # to inject: :mod:`orchestrator.board.faults`
    fault_seed: int = 0  # of what these leave open
    svd: str | Path | None = None  # CMSIS-SVD: the names of registers in messages
    wall_time: Duration = DEFAULT_WALL_TIME_NS / 1e9  # time of this computer after which a run ends in any case

    def with_memory(self, platform: Platform) -> Platform:
        """The chip, with what the board has beside it."""
        given = tuple(self.memory)
        if given and self.engine in _OWN_MEMORY:
            raise UsageError(
                "its memory is its own",
                where=f"engine {self.engine}",
                found=f"memory {given[0]}",
                advice="put a Memory.MappedMemory into a .repl on top of the chip's (using)",
            )
        return with_memory(platform, given)

    def for_engine(self) -> EngineOptions:
        """How the engine runs the board."""
        modes = {each.value: each for each in CoherenceMode}
        if self.coherence is not None and self.coherence not in modes:
            raise UsageError("bad value", where="coherence", expected=" | ".join(modes), found=repr(self.coherence))
        mode = None if self.coherence is None else modes[self.coherence]
        return EngineOptions(self.quantum_ns, self.seed, self.console_size, self.shares_memory, mode, self.order)

    def for_observer(self, platform: Platform) -> ObserveOptions:
        """How the observers look at the board, read from the words here."""
        return ObserveOptions(
            profile=parse_profile(self.profile),
            locator=None if self.table is None else parse_locator(self.table),
            vrings=parse_vrings(self.vrings),
            maps=checked_maps(platform, self.maps),
            notify=checked_notify(platform, self.notify),
            release=parse_release(self.nuttx_config),
            quantum_ns=self.quantum_ns,
            order=self.order,
        )
