"""What a report is made from: the parameters of a run, how it ended, what was seen, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.base.durations import format_duration
from orchestrator.board import Board, End, VectorTable
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
    """A run that is over. ``files``, ``images`` and ``vector_tables`` are by role, ``consoles`` by console."""

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
    instructions: Mapping[str, int]  # by core
    wall_clock: WallClock

    def parameters(self) -> dict[str, object]:
        """What was run, as plain values in a stable order."""
        settings = self.settings
        return {
            "platform": self.platform.name,
            "engine": settings.engine,
            "main": self.files["main"],
            "remote": self.files["remote"],
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
            "seed": settings.seed,
        }


def record_of(board: Board, settings: Settings, wall_clock: WallClock) -> Record:
    """Everything that a report says of a board that has run; :class:`ValueError` when it has not."""
    if board.end is None:
        raise ValueError("the board has not run")
    return Record(
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
        consoles={name: console.output.decode("utf-8", "replace") for name, console in board.consoles.items()},
        instructions={core.name: board.engine.instructions(core.name) for core in board.platform.cores},
        wall_clock=wall_clock,
    )
