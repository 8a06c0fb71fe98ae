"""What a report is made from: the parameters of a run, how it ended, what was seen of each pair, its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.base.durations import format_duration
from orchestrator.base.roles import ROLES
from orchestrator.board import Board, BoardPair, ConsoleLine, End, VectorTable, merged_lines
from orchestrator.checks.verdict import Verdict
from orchestrator.config import Settings
from orchestrator.formats.elf import Image
from orchestrator.observe.live import LiveView
from orchestrator.observe.run import Run
from orchestrator.platform.model import Platform

__all__ = ["Record", "WallClock", "record_of"]


@dataclass(frozen=True, slots=True)
class WallClock:
    """What differs from run to run, kept apart from everything else."""

    started: str  # ISO 8601
    seconds: float


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
        }


def record_of(board: Board, settings: Settings, wall_clock: WallClock) -> Record:
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
    )
    pairs = [pair for name, pair in board.pairs.items() if name]
    return replace(first, further=tuple(_of_further_pair(first, pair) for pair in pairs))


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
