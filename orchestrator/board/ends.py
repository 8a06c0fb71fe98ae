"""How a run ends, and how far it is."""

from __future__ import annotations

import enum

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration
from orchestrator.engines.contract import Coming
from orchestrator.observe.run import Cut

__all__ = ["QUIET_NS", "UNANSWERED_NS", "End", "EndReason", "Progress"]

QUIET_NS = 50_000_000  # nothing in shared memory and no notification for this long: the bring-up is over
UNANSWERED_NS = 1_500_000_000  # the same where one side offers buffers and the other has used none: RPTUN of NuttX
# looks again after 1 s (RPTUN_RETRY_PERIOD_US)


class EndReason(enum.StrEnum):
    """Why a run ended."""

    QUIET = "quiet"
    CONDITION = "condition"
    TIMEOUT = "timeout"
    WALL_TIME = "wall-time"
    DEAD = "dead"
    RESETTING = "resetting"
    INTERRUPTING = "interrupting"
    FAULTING = "faulting"
    LIVELOCK = "livelock"
    REPEATING = "repeating"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    READ = "read"  # no run: the memory of a board that runs elsewhere

    @property
    def is_dead_end(self) -> bool:
        """Whether nothing that could be waited for will come any more."""
        return self in (
            EndReason.DEAD, EndReason.RESETTING, EndReason.INTERRUPTING, EndReason.FAULTING, EndReason.LIVELOCK
        )  # fmt: skip

    @property
    def is_cut(self) -> bool:
        """Whether it ended for a reason outside the board: what it has not reached says nothing about the firmware."""
        return self.cut is not Cut.BY_NOBODY

    @property
    def cut(self) -> Cut:
        """Who cut it."""
        if self is EndReason.FAILED:
            return Cut.BY_ENGINE
        return Cut.BY_CALLER if self in (EndReason.WALL_TIME, EndReason.INTERRUPTED) else Cut.BY_NOBODY


END_TEXTS = {
    EndReason.QUIET: "up, and shared memory quiet",
    EndReason.CONDITION: "the condition was met",
    EndReason.TIMEOUT: "timeout",
    EndReason.WALL_TIME: "wall time is up",
    EndReason.DEAD: "no core can run again",
    EndReason.RESETTING: "the firmware resets the chip again and again",
    EndReason.INTERRUPTING: "a core takes one notification again and again",
    EndReason.FAULTING: "a core takes fault after fault and does nothing else",
    EndReason.LIVELOCK: "the cores hand each other blank buffers again and again",
    EndReason.REPEATING: "timeout, and the cores do exactly the same again and again",
    EndReason.INTERRUPTED: "interrupted",
    EndReason.FAILED: "the engine failed",
    EndReason.READ: "memory was read",
}


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, and when (virtual ns since power-on)."""

    reason: EndReason
    time_ns: int
    quiet_ns: int = QUIET_NS  # how long it was quiet for, where that is the reason
    not_waited_for: tuple[Coming, ...] = ()  # armed at a quiet end; the core by its role, where it has one

    def __str__(self) -> str:
        if self.reason is EndReason.READ:
            return END_TEXTS[self.reason]
        quiet = f" for {format_duration(self.quiet_ns)}" if self.reason is EndReason.QUIET else ""
        return f"{END_TEXTS[self.reason]}{quiet} at {self.time_ns / 1e9:.6f} s"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    time_ns: int
    deadline_ns: int
    instructions: int  # of all cores since power-on
