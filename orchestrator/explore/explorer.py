"""The search: one schedule after the other, the plainest first, as far as count and time go.

First the pair as it is, which tells where the order of the cores may matter. Then late starts, other clocks and quanta.
Then one delay at each point: of what is alike the first one first. Then two, where one has changed the course of
things without breaking a rule. Child processes walk a board from point to point, and go back to each.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field, replace
from functools import partial

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import DEFAULT_QUANTUM_NS
from orchestrator.base.errors import CapabilityError, EngineError, RptwinError
from orchestrator.board import Board
from orchestrator.board.schedule import Delay, Schedule, digest
from orchestrator.config import DEFAULT_TIMEOUT_NS
from orchestrator.engines.contract import Active, Forking
from orchestrator.explore.crew import Crew, Tell, told
from orchestrator.explore.outcome import Outcome, outcome_of
from orchestrator.explore.points import Point, PointRecorder
from orchestrator.platform.model import Platform

__all__ = ["Bounds", "Exploration", "Progress", "explore"]

US = 1000
_LONG_S = 1e9
_AHEAD_NS = 2_000_000  # behind the last point: by then the cores idle
_LATE_NS = (20 * US, 100 * US, 500 * US, 2000 * US)  # starts
_FACTORS = ((1, 2), (2, 1), (1, 10))  # of a core's clock
_QUANTA_NS = (1 * US, 5 * US, 100 * US)

Progress = Callable[[int, float], None]
"""Schedules tried, and seconds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to go; ``for_ns`` are how long a core is delayed at a point."""

    count: int = 1000
    wall_s: float = 60.0
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    for_ns: tuple[int, ...] = (200 * US, 20 * US)


@dataclass(frozen=True, slots=True)
class Exploration:
    """All that was tried, in the order of planning; ``is_whole``: no bound has cut it short."""

    base: Outcome
    tried: tuple[Outcome, ...]  # the base too
    is_whole: bool
    seconds: float
    is_interrupted: bool = False  # by Ctrl-C, once the pair as it is was known

    def verdicts(self) -> list[tuple[str, int, Outcome]]:
        """Each verdict, how many schedules came to it, and the shortest of them; the base's first."""
        found: dict[str, list[Outcome]] = {self.base.verdict: []}
        for each in self.tried:
            found.setdefault(each.verdict, []).append(each)
        return [(verdict, len(those), min(those, key=lambda each: each.length)) for verdict, those in found.items()]

    @property
    def shortest(self) -> Outcome | None:
        """The schedule that breaks a rule with the fewest changes, else the one that comes to another verdict than the
        pair as it is; None where none does.
        """
        broken = [each for each in self.tried if each.is_broken]
        others = [each for each in self.tried if each.verdict != self.base.verdict]
        return min(broken or others, key=lambda each: each.length, default=None)


def explore(
    open_board: Callable[[Schedule], Board],
    bounds: Bounds | None = None,
    *,
    until: str | None = None,
    timeout_ns: int = DEFAULT_TIMEOUT_NS,
    progress: Progress | None = None,
) -> Exploration:
    """Try schedules of the board that this opens at power-on; each run ends as :meth:`Board.run` does.

    Raises what opening it raises, CapabilityError for an engine that delays no core and for a system without ``fork``,
    and EngineError where the schedule that was found does not repeat.
    """
    if not hasattr(os, "fork"):
        raise CapabilityError("schedules are explored by fork, which this system does not have", where="explore")
    return _Explorer(open_board, bounds or Bounds(), until, timeout_ns, progress).explore()


class _Explorer:
    def __init__(
        self,
        open_board: Callable[[Schedule], Board],
        bounds: Bounds,
        until: str | None,
        timeout_ns: int,
        progress: Progress | None,
    ) -> None:
        self._open_board = open_board
        self._bounds = bounds
        self._until = until
        self._timeout_ns = timeout_ns
        self._progress = progress
        self._tried: list[Outcome] = []
        self._begun = time.monotonic()
        self._board: Board | None = None  # at power-on, for children to go on from

    # --- in this process

    def explore(self) -> Exploration:
        with self._open_board(Schedule()) as board:  # says at once what cannot be opened
            plain = Schedule(images={role: digest(image) for role, image in board.images.items()})
            base = self._only(partial(self._run, plain, ""))
            is_whole, is_interrupted = True, False
            try:
                if not base.is_broken and not base.failure:
                    self._prepare(board, base)
                    is_whole = all(self._try(each) for each in self._batches(plain, board.platform, base))
            except KeyboardInterrupt:
                is_whole, is_interrupted = False, True
            finally:
                self._board = None
                gc.unfreeze()
        seconds = time.monotonic() - self._begun
        found = Exploration(base, tuple(self._tried), is_whole, seconds, is_interrupted)
        if found.shortest is not None and not is_interrupted:
            self._repeat(found.shortest)
        return found

    def _prepare(self, board: Board, base: Outcome) -> None:
        """Children start as copies of this board, which has seen what is to come."""
        assert isinstance(board.engine, Forking)
        if base.points:
            board.rehearse(base.points[-1].time_ns + _AHEAD_NS)
        gc.collect()
        gc.freeze()  # what is not looked at is not copied
        self._board = board

    def _batches(self, plain: Schedule, platform: Platform, base: Outcome) -> Iterator[Callable[[Tell], None]]:
        at_power_on = list(_at_power_on(plain, platform))
        yield partial(self._run_all, at_power_on, base.course)
        yield from self._walks(plain, base.points, base.course)
        # As far as it is known when it is asked for.
        for each in tuple(self._tried):
            if each.points and not each.is_broken:
                after = each.schedule.delays[-1]
                later = tuple(point for point in each.points if _follows(point, after, platform))
                yield from self._walks(each.schedule, later, base.course)

    def _walks(self, prefix: Schedule, points: tuple[Point, ...], course: str) -> Iterator[Callable[[Tell], None]]:
        for rank in sorted({each.rank for each in points}):
            alike = tuple(each for each in points if each.rank == rank)
            for duration_ns in self._bounds.for_ns:
                yield partial(self._walk, prefix, alike, duration_ns, course)

    def _try(self, work: Callable[[Tell], None]) -> bool:
        """Whether it was done to its end."""
        deadline = self._begun + self._bounds.wall_s
        left = self._bounds.count - len(self._tried)
        if left <= 0 or time.monotonic() >= deadline:
            return False
        found: list[Outcome] = []
        try:
            for each in told(work, deadline):
                if isinstance(each, int):  # how many died: it is over
                    if each:
                        raise _died(each)
                    return True
                found.append(each)
                if self._progress is not None:
                    self._progress(len(self._tried) + len(found), time.monotonic() - self._begun)
                if len(found) >= left:
                    return False
        finally:
            self._tried += sorted(found, key=lambda each: each.schedule.to_json())
        if time.monotonic() < deadline:
            raise _died(1)
        return False

    def _only(self, work: Callable[[Tell], None]) -> Outcome:
        found: list[Outcome] = list(told(work, time.monotonic() + _LONG_S))
        if not found:
            raise _died(1)
        self._tried += found
        return found[0]

    def _repeat(self, outcome: Outcome) -> None:
        """From power-on the schedule has to come to the same."""
        (again,) = told(partial(self._run, outcome.schedule, ""), time.monotonic() + _LONG_S)
        if (again.verdict, again.course) != (outcome.verdict, outcome.course):
            raise EngineError(
                "a schedule did not repeat", where="explore", expected=outcome.verdict, found=again.verdict
            )

    # --- in children

    @contextlib.contextmanager
    def _opened(self, schedule: Schedule) -> Iterator[Board]:
        """A board at power-on; a copy of the one that is there, where delays are all that sets the schedule apart."""
        board = self._board
        if board is None or schedule.mips or schedule.quantum_ns != board.quantum_ns:
            with self._open_board(schedule) as board:
                yield board
            return
        assert isinstance(board.engine, Forking)
        board.engine.part()
        schedule.begin(board.engine)
        yield board

    def _run(self, schedule: Schedule, course: str, tell: Tell) -> None:
        """From power-on."""
        with self._opened(schedule) as board:
            tell(self._finish(board, schedule, self._listen(board), course))

    def _run_all(self, schedules: Iterable[Schedule], course: str, tell: Tell) -> None:
        crew = Crew(self._bounds.jobs)
        for each in schedules:
            crew.start(partial(self._run, each, course, tell))
        crew.wait()
        tell(crew.died)

    def _walk(self, prefix: Schedule, points: tuple[Point, ...], duration_ns: int, course: str, tell: Tell) -> None:
        """One delay more, at each of these points: those of each process in the order of time."""
        crew, jobs = Crew(self._bounds.jobs), min(self._bounds.jobs, len(points))
        for number in range(jobs):
            crew.start(partial(self._walk_alone, prefix, points[number::jobs], duration_ns, course, tell))
        crew.wait()
        tell(crew.died)

    def _walk_alone(
        self, prefix: Schedule, points: tuple[Point, ...], duration_ns: int, course: str, tell: Tell
    ) -> None:
        crew = Crew(1)
        with self._opened(prefix) as board:
            assert isinstance(board.engine, Forking)
            recorder = self._listen(board)
            for point in points:
                begin_ns = point.time_ns // board.quantum_ns * board.quantum_ns
                if begin_ns > board.engine.time_ns:
                    board.engine.run(begin_ns - board.engine.time_ns)
                delay = Delay(point.core, point.cycle, duration_ns, str(point))
                schedule = replace(prefix, delays=(*prefix.delays, delay))
                branch = partial(self._branch, board, schedule, recorder, course, tell)
                if board.can_go_back:
                    here, known = board.snapshot(), recorder.known
                    branch()
                    board.restore(here)
                    recorder.forget_all_but(known)
                else:
                    crew.start(branch, board.engine.part)
            crew.wait()
        if crew.died:
            raise _died(crew.died)

    def _branch(self, board: Board, schedule: Schedule, recorder: PointRecorder, course: str, tell: Tell) -> None:
        """One delay more, from where the board stands."""
        Schedule(delays=schedule.delays[-1:]).begin(board.engine)
        tell(self._finish(board, schedule, recorder, course))

    @staticmethod
    def _listen(board: Board) -> PointRecorder:
        cores = {board.platform.core(role).name: [image] for role, image in board.images.items()}
        assert isinstance(board.engine, Active)
        recorder = PointRecorder(board.platform, cores, board.engine.last_sleep)
        board.subscribe(recorder)
        return recorder

    def _finish(self, board: Board, schedule: Schedule, recorder: PointRecorder, course: str) -> Outcome:
        try:
            board.run(self._until, f"{self._timeout_ns - board.time_ns} ns")
            return outcome_of(board, schedule, recorder, course)
        except RptwinError as error:
            return Outcome(schedule, 2, "", (), "", failure=str(error))


def _died(count: int) -> EngineError:
    return EngineError("processes that ran a board died", where="explore", found=count)


def _follows(point: Point, delay: Delay, platform: Platform) -> bool:
    """Whether it comes after what a delay has moved."""
    return point.time_ns * platform.core(delay.core).mips > delay.cycle * 1000


def _at_power_on(plain: Schedule, platform: Platform) -> Iterator[Schedule]:
    """Late starts, other clocks, other quanta."""
    for core in platform.cores[:2]:
        for late_ns in _LATE_NS:
            yield replace(plain, delays=(Delay(core.name, 0, late_ns),))
        for up, down in _FACTORS:
            mips = max(1, core.mips * up // down)
            if mips != core.mips:
                yield replace(plain, mips={core.name: mips})
    for quantum_ns in _QUANTA_NS:
        if quantum_ns != DEFAULT_QUANTUM_NS:
            yield replace(plain, quantum_ns=quantum_ns)
