"""A board as the command line runs it: opened from settings, ended by Ctrl-C, with a line that shows progress."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.base.interrupts import ENDING, is_ignored, was_raised
from orchestrator.board import Board, Progress
from orchestrator.board.from_settings import board_options
from orchestrator.board.schedule import digest, load_schedule
from orchestrator.cli.options import some_image
from orchestrator.config import SETTINGS, TRACES, Settings

__all__ = ["CountLine", "Interrupt", "ProgressLine", "interruptible", "named_options", "open_board", "traced"]

_FIRST_S = 0.5  # of wall time before the line appears: short runs show none
_EVERY_S = 0.1
_OPTIONS = {setting.key for setting in SETTINGS} - {"main", "remote", "platform", "engine"}


def open_board(settings: Settings, *, shares_memory: bool = False) -> Board:
    """The board that the settings describe, at power-on; Python plays a core without firmware."""
    some_image(settings)
    with named_options():
        board = Board(settings.platform, dataclasses.replace(board_options(settings), shares_memory=shares_memory))
    if settings.schedule is not None:
        _say_of_other_images(settings.schedule, board)
    return board


def _say_of_other_images(path: str, board: Board) -> None:
    """Its moments are counted in cycles: of other code they may be others."""
    found_with = load_schedule(path).images
    other = [role for role, image in board.images.items() if found_with.get(role, digest(image)) != digest(image)]
    if other:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{path}: found with another image of {' and '.join(other)}: its moments may be others\n")


@contextlib.contextmanager
def traced(settings: Settings, board: Board) -> Iterator[None]:
    """Write the traces that are asked for behind all that happens inside; ReportError for one that cannot be.

    For commands that print something of their own: UsageError where a trace is to be the standard output.
    """
    from orchestrator.report.files import STANDARD_OUTPUT, write_documents  # noqa: PLC0415  # few runs have a trace
    from orchestrator.report.traces import Traces  # noqa: PLC0415

    if any(getattr(settings, key) == STANDARD_OUTPUT for key in TRACES):
        raise UsageError("the standard output is taken", where=STANDARD_OUTPUT, advice="name a file for the trace")
    traces = Traces.of(settings, board)
    try:
        yield
    finally:
        for failure in write_documents(traces.documents()):
            raise failure


@contextlib.contextmanager
def named_options() -> Iterator[None]:
    """What the library calls ``map`` in a message is ``--map`` to whoever typed it."""
    try:
        yield
    except UsageError as error:
        first = (error.where or "").partition(" ")[0].replace("_", "-")
        if first in _OPTIONS:
            error.where = f"--{error.where}"
        raise


@dataclass(slots=True)
class Interrupt:
    """Whether somebody has asked for an end."""

    came: bool = False


@contextlib.contextmanager
def interruptible(board: Board) -> Iterator[Interrupt]:
    """Ctrl-C ends the run between two turns of a core, where everything gathered is whole; a second one ends rptwin.

    So do SIGTERM and SIGHUP. What is given says whether there was one: it may come when a run has just ended by itself,
    or have come before, in an import that has swallowed it.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {each: signal.getsignal(each) for each in ENDING if not is_ignored(each)}

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        interrupt.came = True
        for each in before:
            signal.signal(each, signal.default_int_handler)
        board.stop()

    try:
        for each in before:
            signal.signal(each, on_interrupt)
        if was_raised():
            interrupt.came = True
            board.stop()
        yield interrupt
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Line:
    """One line on stderr that is overwritten as something long goes on; nothing when stderr is no terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._started = time.monotonic()
        self._next = self._started + _FIRST_S
        self._written = False

    def _show(self, text: Callable[[float], str]) -> None:
        """What is said after so many seconds, if it is time to."""
        now = time.monotonic()
        if not self._is_shown or now < self._next:
            return
        self._next = now + _EVERY_S
        self._written = True
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\r\x1b[K{text(now - self._started)}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._written:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


class ProgressLine(_Line):
    """How far a run is; ``what`` stands in front."""

    def __init__(self, what: str = "") -> None:
        super().__init__()
        self._what = what

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        done, whole = progress.time_ns / 1e9, progress.deadline_ns / 1e9
        self._show(lambda seconds: f"{self._what}{done:.2f} s of {whole:g} s virtual, {done / seconds:.1f} x real time")


class CountLine(_Line):
    """How many of so many things are done."""

    def __init__(self, what: str, total: int) -> None:
        super().__init__()
        self._what, self._total = what, total

    def __call__(self, done: int) -> None:
        """Show it."""
        self._show(lambda _: f"{done} of {self._total} {self._what}")
