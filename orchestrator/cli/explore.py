"""``rptwin explore``: many schedules, a summary, and the report of the one that matters."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import format_duration, parse_duration
from orchestrator.base.errors import UsageError
from orchestrator.base.words import counted
from orchestrator.board import Board
from orchestrator.board.from_settings import board_options
from orchestrator.board.schedule import Schedule, write_schedule
from orchestrator.cli.errors import COULD_NOT_RUN
from orchestrator.cli.options import refuse_overwriting, some_image
from orchestrator.cli.run import Verbosity, run_and_report
from orchestrator.config import Settings
from orchestrator.explore import Bounds, Exploration, Progress
from orchestrator.explore import explore as search

__all__ = ["Wanted", "explore_and_report"]

_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command's own options say."""

    bounds: Bounds
    save: str | None

    @classmethod
    def of(cls, count: int, wall: str, delays: tuple[str, ...], jobs: int | None, save: str | None) -> Wanted:
        """:class:`UsageError` for what is no duration."""
        bounds = Bounds(count=count, wall_s=_positive(wall, "--for") / 1e9)
        if jobs is not None:
            bounds = dataclasses.replace(bounds, jobs=jobs)
        if delays:
            bounds = dataclasses.replace(bounds, for_ns=tuple(_positive(each, "--delay") for each in delays))
        return cls(bounds, save)


def _positive(text: str, where: str) -> int:
    time_ns = parse_duration(text, where)
    if not time_ns:
        raise UsageError("bad value", where=where, expected="more than zero", found=repr(text))
    return time_ns


def explore_and_report(settings: Settings, wanted: Wanted, verbosity: Verbosity) -> int:
    """0: every schedule came to the verdict of the pair as it is, and that is good; 1: not so; 2: it could not run."""
    some_image(settings)
    if wanted.save is not None:
        refuse_overwriting({"--save": wanted.save}, settings)

    def open_board(schedule: Schedule) -> Board:
        return Board(settings.platform, dataclasses.replace(board_options(settings), schedule=schedule))

    with _progress() as progress:
        found = search(open_board, wanted.bounds, until=settings.until, timeout_ns=settings.timeout, progress=progress)
    shortest = found.shortest
    _print("\n".join(_summary(found, wanted)) + "\n\n")
    if found.is_interrupted:
        if wanted.save is not None and shortest is not None and shortest is not found.base:
            write_schedule(shortest.schedule, wanted.save)
        return COULD_NOT_RUN
    if shortest is None or shortest is found.base:
        return run_and_report(settings, verbosity)
    with _written(shortest.schedule, wanted.save) as path:
        code = run_and_report(dataclasses.replace(settings, schedule=path), verbosity)
    return code or 1  # it is another verdict than the pair's, if not one with findings


def _summary(found: Exploration, wanted: Wanted) -> Iterator[str]:
    rate = len(found.tried) / found.seconds if found.seconds else 0
    bound = ", interrupted" if found.is_interrupted else "" if found.is_whole else ", cut off by --count or --for"
    how = f"{rate:.{0 if rate >= 10 else 1}f} a second, {wanted.bounds.jobs} at a time{bound}"
    yield f"{counted(len(found.tried), 'schedule')} in {found.seconds:.1f} s ({how})"
    for verdict, count, first in found.verdicts():
        yield f"{count:7}  {verdict}"
        if first is not found.base:
            yield f"         the shortest: {first.schedule}"
    if wanted.save is not None and found.shortest is not None and found.shortest is not found.base:
        yield f"{wanted.save}: that schedule, for `rptwin run --schedule`"


@contextlib.contextmanager
def _written(schedule: Schedule, save: str | None) -> Iterator[str]:
    """The file of a schedule, which stays where it was asked for."""
    if save is not None:
        write_schedule(schedule, save)
        yield save
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schedule.json"
        write_schedule(schedule, path)
        yield str(path)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """A line on stderr that is overwritten; none where that is no terminal."""
    shown = sys.stderr.isatty()
    last = 0.0

    def say(tried: int, seconds: float) -> None:
        nonlocal last
        now = time.monotonic()
        if shown and now - last >= _EVERY_S:
            last = now
            with contextlib.suppress(OSError):
                sys.stderr.write(f"\r\x1b[K{tried} schedules, {format_duration(int(seconds) * 10**9)}")
                sys.stderr.flush()

    try:
        yield say
    finally:
        if last:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
