"""What a report is made from: the parameters of a run, how it ended, what was seen of each pair, its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration
from orchestrator.base.roles import ROLES
from orchestrator.board import Board, BoardPair, ConsoleLine, End, EndReason, VectorTable, merged_lines
from orchestrator.checks.reading import Indices
from orchestrator.checks.verdict import Verdict
from orchestrator.config import Settings
from orchestrator.formats.elf import Image
from orchestrator.observe.live import LiveView
from orchestrator.observe.run import Run
from orchestrator.platform.model import Platform

if TYPE_CHECKING:
    from orchestrator.trace import Trace

__all__ = ["Reading", "Record", "WallClock", "record_of", "record_of_reading"]


@dataclass(frozen=True, slots=True)
class WallClock:
    """What differs from run to run, kept apart from everything else."""

    started: str  # ISO 8601
    seconds: float


@dataclass(frozen=True)
class Reading:
    """How a board that rptwin did not run was looked at, and what that cannot say."""

    sources: tuple[str, ...]  # "main: gdb server localhost:3333"
    looks: int
    pause_ns: int  # between two looks
    moved: Mapping[str, Indices]  # by ring: how far its indices went in between
    waiting: Mapping[str, int]  # by ring: messages that the device has not returned
    left_out: Mapping[str, str]  # why, by rule
    notes: tuple[str, ...] = ()
    halted_s: Mapping[str, float] = field(default_factory=dict)  # by source: how long, in the last look

    @property
    def moving(self) -> tuple[str, ...]:
        """Rings that moved."""
        return tuple(path for path, by in self.moved.items() if any(by))

    @property
    def left_out_by_reason(self) -> dict[str, list[str]]:
        """Rules that were not applied."""
        found: dict[str, list[str]] = {}
        for rule, reason in self.left_out.items():
            found.setdefault(reason, []).append(rule)
        return found

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order."""
        return {
            "sources": list(self.sources),
            "looks": self.looks,
            "pause_ns": self.pause_ns,
            "moved": {path: by._asdict() for path, by in self.moved.items()},
            "waiting": dict(self.waiting),
            "not_applied": self.left_out_by_reason,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Record:
    """A run that is over, as one pair of cores saw it: the first, whose ``further`` are the others of the board.

    ``platform`` has this pair's roles; ``files``, ``images`` and ``vector_tables`` are by role (and by name for cores
    that have none), ``consoles`` by console. A further pair has no consoles and instructions of its own: they are the
    board's.
    """

    settings: Settings
    platform: Platform
    files: Mapping[str, str]  # as given
    images: Mapping[str, Image]
    vector_tables: Mapping[str, VectorTable]
    profile: str
    profile_reason: str
    end: End
    live: LiveView
    run: Run
    verdict: Verdict
    consoles: Mapping[str, str]
    lines: tuple[ConsoleLine, ...]  # of all consoles, by time
    instructions: Mapping[str, int]  # by core
    wall_clock: WallClock
    faults: tuple[str, ...] = ()  # that were to be injected, exactly
    pair: str = ""  # its name in the platform; "" for the first
    further: tuple[Record, ...] = ()
    trace: Trace | None = None  # moment by moment, where somebody asked for it
    reading: Reading | None = None  # no run at all

    @property
    def pairs(self) -> tuple[Record, ...]:
        """Every pair of the board, this one first."""
        return self, *self.further

    @property
    def exit_code(self) -> int:
        """The worst of all pairs."""
        return max(each.verdict.exit_code for each in self.pairs)

    @property
    def pair_name(self) -> str:
        """The pair as a report of several names it: ``second (cpu0, cpu2)``."""
        cores = ", ".join(self.platform.core(role).name for role in ROLES)
        return f"{self.pair or 'first'} ({cores})"

    def parameters(self) -> dict[str, object]:
        """What was run, as plain values in a stable order."""
        settings = self.settings
        if self.reading is not None:
            return {
                "platform": self.platform.name,
                "main": self.files["main"],
                "remote": self.files["remote"],
                "sources": list(self.reading.sources),
                "profile": {"asked": settings.profile, "used": self.profile, "why": self.profile_reason},
                "table": settings.table,
                "vrings": list(settings.vrings),
                "map": list(settings.map),
                "nuttx_config": settings.nuttx_config,
            }
        return {
            "platform": self.platform.name,
            "engine": settings.engine,
            "main": self.files["main"],
            "remote": self.files["remote"],
            **({"firmware": dict(settings.firmware)} if settings.firmware else {}),
            "vector_tables": {
                role: {"core": each.core, "address": each.address, "how": each.how}
                for role, each in self.vector_tables.items()
            },
            "profile": {"asked": settings.profile, "used": self.profile, "why": self.profile_reason},
            "table": settings.table,
            "vrings": list(settings.vrings),
            "memory": list(settings.memory),
            "map": list(settings.map),
            "nuttx_config": settings.nuttx_config,
            "notify": dict(settings.notify),
            "quantum": format_duration(settings.quantum),
            "timeout": format_duration(settings.timeout),
            "wall_time": format_duration(settings.wall_time),
            "until": settings.until,
            "quiet_for": None if settings.quiet_for is None else format_duration(settings.quiet_for),
            "console_size": settings.console_size,
            "seed": settings.seed,
            "coherence": settings.coherence,
            **({"order": True} if settings.order else {}),
            **({"faults": list(self.faults)} if self.faults else {}),
            "svd": settings.svd,
        }


def record_of(board: Board, settings: Settings, wall_clock: WallClock, trace: Trace | None = None) -> Record:
    """Everything that a report says of a board that has run; :class:`ValueError` when it has not."""
    if board.end is None:
        raise ValueError("the board has not run")
    first = Record(
        settings=settings,
        platform=board.platform,
        files={"main": settings.main or "", "remote": settings.remote or ""},
        images=board.images,
        vector_tables=board.vector_tables,
        profile=board.observer.profile.value,
        profile_reason=board.observer.profile_reason,
        end=board.end,
        live=board.live,
        run=board.observer.run,
        verdict=board.verdict(),
        lines=merged_lines(board.consoles),
        consoles={name: console.output.decode("utf-8", "replace") for name, console in board.consoles.items()},
        instructions={core.name: board.engine.instructions(core.name) for core in board.platform.cores},
        wall_clock=wall_clock,
        faults=tuple(map(str, board.faults)),
        trace=trace,
    )
    pairs = [pair for name, pair in board.pairs.items() if name]
    return replace(first, further=tuple(_of_further_pair(first, pair) for pair in pairs))


def record_of_reading(
    settings: Settings,
    platform: Platform,
    images: Mapping[str, Image],
    verdict: Verdict,
    reading: Reading,
    wall_clock: WallClock,
) -> Record:
    """What a report says of memory that was read; ``platform`` has at least two cores that play the roles."""
    return Record(
        settings=settings,
        platform=platform,
        files={"main": settings.main or "", "remote": settings.remote or ""},
        images=images,
        vector_tables={},
        profile=verdict.profile.value,
        profile_reason=verdict.profile_reason,
        end=End(EndReason.READ, verdict.time_ns),
        live=verdict.live,
        run=verdict.run,
        verdict=verdict,
        lines=(),
        consoles={},
        instructions={},
        wall_clock=wall_clock,
        reading=reading,
    )


def _of_further_pair(first: Record, pair: BoardPair) -> Record:
    files = {role: str(image.path) for role, image in pair.images.items()}
    return replace(
        first,
        pair=pair.name,
        platform=pair.platform,
        files={role: files.get(role, "") for role in ROLES},
        images=pair.images,
        vector_tables=pair.vector_tables,
        profile=pair.observer.profile.value,
        profile_reason=pair.observer.profile_reason,
        live=pair.observer.live,
        run=pair.observer.run,
        verdict=pair.verdict(),
        consoles={},
        lines=(),
        instructions={},
    )
