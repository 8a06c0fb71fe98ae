"""What the keywords of one suite share: the board that runs, and the terminals on its UARTs."""

from __future__ import annotations

from collections.abc import Sequence

from robot.utils import timestr_to_secs

from orchestrator.base.durations import Duration, format_duration, parse_duration
from orchestrator.base.errors import UsageError
from orchestrator.base.words import counted
from orchestrator.board import Board, BoardSnapshot
from orchestrator.checks import Finding
from orchestrator.gdb import GdbServer
from orchestrator.observe.live import LiveRing, LiveVdev
from orchestrator.report.files import write_documents
from orchestrator.report.plain import plain_findings
from orchestrator.report.sources import SourcePaths
from orchestrator.report.traces import Traces
from orchestrator.robot.tester import Tester
from orchestrator.trace import TraceCollector

__all__ = ["Suite", "duration_ns", "duration_text"]


class Suite:
    """The board of a suite; every topic's keywords stand on it."""

    def __init__(self) -> None:
        self._writes_pages = False  # of tests that failed
        self._open: Board | None = None
        self._collector: TraceCollector | None = None  # of what goes on on it, where pages are wanted
        self._traces: Traces | None = None
        self._debuggers: list[GdbServer] = []
        self._testers: list[Tester] = []  # a tester's id is its index
        self._states: dict[str, BoardSnapshot] = {}  # by the name under which a test provides it
        self._default_tester: int | None = None

    def _board(self) -> Board:
        if self._open is None:
            raise AssertionError("no board is running: use `Start Board` first")
        return self._open

    def _close(self) -> None:
        """Give the board up, and write the traces that were asked for."""
        unwritten = [] if self._traces is None else write_documents(self._traces.documents())
        self._traces = None
        for debugger in self._debuggers:
            debugger.close()
        self._debuggers.clear()
        if self._open is not None:
            self._open.close()
        self._open = self._collector = None
        self._testers.clear()
        self._states.clear()
        self._default_tester = None
        for each in unwritten:
            raise each

    def _vdev(self, vdev: int) -> LiveVdev:
        vdevs = self._board().live.vdevs
        if not 0 <= vdev < len(vdevs):
            raise AssertionError(f"no vdev[{vdev}]: {self._table_seen()}")
        return vdevs[vdev]

    def _ring(self, vdev: int, vring: int) -> LiveRing:
        rings = self._vdev(vdev).rings
        if not 0 <= vring < len(rings):
            raise AssertionError(f"no vdev[{vdev}].vring[{vring}]: the vdev has {counted(len(rings), 'vring')}")
        return rings[vring]

    def _plain(self, findings: Sequence[Finding]) -> str:
        """Findings as text, with lines of source as they can be opened from here."""
        return plain_findings(findings, SourcePaths.of(self._board().images))

    def _table_seen(self) -> str:
        live = self._board().live
        if live.table is None:
            return "there is no resource table in memory" + (f" at {live.span}" if live.span else "")
        return f"the resource table at {live.span} has {counted(len(live.vdevs), 'vdev')}"


def duration_ns(duration: Duration, where: str) -> int:
    """Nanoseconds of ``50 ms`` or ``1.5s``, of a plain number (seconds), and of all forms that Robot Framework has.

    Those are ``2 minutes 10 seconds`` and ``00:00:01.500``; :class:`UsageError` for what is none, or negative.
    """
    if isinstance(duration, str):
        try:
            return parse_duration(duration, where)
        except UsageError:
            seconds = _seconds(duration)
            if seconds is None:
                raise
            duration = seconds
    return parse_duration(duration, where)


def duration_text(given: Duration, where: str = "timeout") -> str:
    """The same as text for a board."""
    return format_duration(duration_ns(given, where))


def _seconds(text: str) -> float | None:
    try:
        seconds = timestr_to_secs(text, round_to=None)
    except ValueError:
        return None
    return float(seconds) if seconds >= 0 else None
