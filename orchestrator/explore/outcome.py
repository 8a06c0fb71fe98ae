"""What one schedule came to."""

from __future__ import annotations

import hashlib

from orchestrator.base.dataclass import dataclass
from orchestrator.board import Board
from orchestrator.board.schedule import Schedule
from orchestrator.checks.finding import Severity
from orchestrator.explore.points import Point, PointRecorder

__all__ = ["Outcome", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. ``course`` is what the cores did to each other, by its hash: equal ones took the same way."""

    schedule: Schedule
    exit_code: int
    headline: str
    causes: tuple[tuple[str, str], ...]  # rule and subject of each error or warning that nothing explains
    course: str
    points: tuple[Point, ...] = ()  # where another delay may be put, if that was asked for
    failure: str = ""  # why it could not be run

    @property
    def is_broken(self) -> bool:
        return self.exit_code == 1

    @property
    def verdict(self) -> str:
        """In a line; equal texts are one verdict."""
        if self.failure:
            return f"could not run: {self.failure}"
        return ", ".join(f"{rule} {subject}" for rule, subject in self.causes) or self.headline

    @property
    def length(self) -> tuple[int, int, int]:
        """How much a schedule bends: the number of changes, the time of its delays, the moment of the last one."""
        delays = self.schedule.delays
        changes = len(delays) + 2 * len(self.schedule.mips)  # that a core is late is the smaller thing
        return changes, sum(each.duration_ns for each in delays), max((each.cycle for each in delays), default=0)


def outcome_of(board: Board, schedule: Schedule, recorder: PointRecorder, usual: str) -> Outcome:
    """Of a board whose run is over; with points where its course is another than the ``usual`` one."""
    verdict = board.verdict()
    causes = tuple(
        (cause.finding.rule, cause.finding.subject)
        for cause in verdict.causes
        if cause.finding.severity is not Severity.NOTE
    )
    words = "\n".join((*recorder.course, *map(str, causes)))
    course = hashlib.sha256(words.encode()).hexdigest()[:16]
    points = recorder.points() if course != usual else ()
    return Outcome(schedule, verdict.exit_code, verdict.headline, causes, course, points)
