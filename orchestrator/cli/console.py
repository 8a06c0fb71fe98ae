"""``rptwin console``: every console of a board in one terminal, and a keyboard for one of them at a time.

Output comes as whole lines, each behind the name of its console. On a terminal, virtual time goes no faster than real
time and what is being typed stays below the output; from a pipe, each line is sent once all consoles have fallen
silent, so that a session repeats exactly.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator

from orchestrator.base.errors import UsageError
from orchestrator.base.interrupts import raised
from orchestrator.board import Board, Consoles, End, EndReason
from orchestrator.board.consoles import is_trace
from orchestrator.cli.errors import complain
from orchestrator.cli.options import some_image
from orchestrator.cli.running import interruptible, open_board
from orchestrator.config import Settings
from orchestrator.report.terminal import printable

__all__ = ["ConsoleLines", "Keyboard", "converse"]

_SILENT_NS = 50_000_000  # no console has said anything for this long: it waits for input
_LONGEST_NS = 2_000_000_000  # for what a line of input sets off
_FRAME_NS = 20_000_000  # of virtual time between two looks at the keyboard
_CTRL_T, _CTRL_D, _BACKSPACES = "\x14", "\x04", "\x7f\b"


class ConsoleLines:
    """What the consoles have said since the last look, in whole lines."""

    def __init__(self, consoles: Consoles) -> None:
        self._consoles = consoles
        self._taken: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Bytes of all consoles so far."""
        return sum(console.total for console in self._consoles.values())

    def take(self, *, unfinished: bool = False) -> Iterator[str]:
        """``main    | text`` for each new line; with ``unfinished``, lines that have not ended too, as a prompt."""
        for name, console in self._consoles.items():
            taken = self._taken.get(name, 0)
            if console.total < taken:  # a trace buffer that was cleared or has wrapped
                taken = 0
            while (fresh := console.since(taken)) != (0, b""):
                if fresh.left_out:
                    yield f"{name:<12} | [... {fresh.left_out} bytes left out ...]"
                taken += fresh.left_out
                end = len(fresh.data) if unfinished else fresh.data.rfind(b"\n") + 1
                for line in fresh.data[:end].decode("utf-8", "replace").replace("\r", "").splitlines():
                    yield f"{name:<12} | {printable(line)}"
                self._taken[name] = taken = taken + end
                if end < len(fresh.data):
                    break


class Keyboard:
    """Where input goes, and the commands that are not for the guest."""

    def __init__(self, consoles: Consoles) -> None:
        self._consoles = consoles
        self.target = next(iter(consoles))
        self.is_over = False

    def switch(self) -> None:
        """To the next console that takes input."""
        names = [name for name in self._consoles if not is_trace(name)]
        self.target = names[(names.index(self.target) + 1) % len(names)] if self.target in names else names[0]

    def line(self, text: str) -> None:
        """A line as typed: ``:quit``, ``:NAME``, or text for the guest. :class:`UsageError` for an unknown name."""
        if not text.startswith(":"):
            self._consoles[self.target].write(text.encode() + b"\r")
        elif text == ":quit":
            self.is_over = True
        else:
            name = text.removeprefix(":").strip()
            self._consoles[name].write(b"")
            self.target = name


def converse(settings: Settings) -> int:
    """Talk until the input ends, somebody ends it, or no core can run again; 0 in each case."""
    some_image(settings)
    try:
        with open_board(settings) as board:
            if sys.stdin.isatty() and sys.stdout.isatty():
                _Screen(board).loop()
            else:
                _from_pipe(board, settings)
    except KeyboardInterrupt:  # between two runs, or while the board is closed
        raised.clear()  # an end like any other
    return 0


def _silent(lines: ConsoleLines) -> Callable[[Board], bool]:
    """Whether no console has said anything for ``_SILENT_NS`` up to now."""
    total, since_ns = lines.total, -1

    def ask(board: Board) -> bool:
        nonlocal total, since_ns
        now_total = lines.total
        if now_total != total or since_ns < 0:
            total, since_ns = now_total, board.time_ns
        return board.time_ns - since_ns >= _SILENT_NS

    return ask


def _from_pipe(board: Board, settings: Settings) -> None:
    lines, keyboard = ConsoleLines(board.consoles), Keyboard(board.consoles)

    def show(*, unfinished: bool) -> None:
        for line in lines.take(unfinished=unfinished):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def run(until: Callable[[Board], bool] | str | None, timeout: str) -> bool:
        with interruptible(board) as interrupt:
            end = board.run(until, timeout, progress=lambda _: show(unfinished=False))
        show(unfinished=True)
        return _goes_on(end) and not interrupt.came

    if not run(settings.until, f"{settings.timeout} ns"):
        return
    for text in sys.stdin:
        _type(keyboard, text.rstrip("\r\n"))
        if keyboard.is_over or not run(_silent(lines), f"{_LONGEST_NS} ns"):
            return


def _type(keyboard: Keyboard, text: str) -> None:
    try:
        keyboard.line(text)
    except UsageError as error:  # a mistyped name ends no session
        complain(error)


def _goes_on(end: End) -> bool:
    if end.reason.is_dead_end or end.reason is EndReason.WALL_TIME:
        complain(f"{end}")
    return not (end.reason.is_dead_end or end.reason.is_cut)


class _Screen:
    """A terminal: the line that is being typed stays at the bottom."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lines = ConsoleLines(board.consoles)
        self._keyboard = Keyboard(board.consoles)
        self._typed = ""

    def loop(self) -> None:
        """Until the person ends it, or no core can run again."""
        import termios  # noqa: PLC0415  # not on Windows, where a console is a pipe
        import tty  # noqa: PLC0415

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        try:
            tty.setcbreak(fd)
            self._say("Ctrl-T or :NAME switches the console, Ctrl-C or :quit ends")
            self._run(fd)
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
            sys.stdout.write("\n")

    def _run(self, fd: int) -> None:
        started, first_ns = time.monotonic(), self._board.time_ns
        quiet = False
        while not self._keyboard.is_over:
            ahead_s = (self._board.time_ns - first_ns) / 1e9 - (time.monotonic() - started)
            if select.select([fd], [], [], max(0.0, ahead_s))[0]:
                for key in os.read(fd, 1024).decode("utf-8", "replace"):
                    self._press(key)
            with interruptible(self._board) as interrupt:
                end = self._board.run_for(f"{_FRAME_NS} ns")
            said = list(self._lines.take(unfinished=quiet))
            quiet = not said
            for line in said:
                self._say(line)
            if interrupt.came or not _goes_on(end):
                return

    def _press(self, key: str) -> None:
        if key == _CTRL_T:
            self._keyboard.switch()
        elif key == _CTRL_D and not self._typed:
            self._keyboard.is_over = True
        elif key in "\r\n":
            text, self._typed = self._typed, ""
            sys.stdout.write("\r\x1b[K")
            _type(self._keyboard, text)
        elif key in _BACKSPACES:
            self._typed = self._typed[:-1]
        elif key.isprintable():
            self._typed += key
        self._draw()

    def _say(self, line: str) -> None:
        sys.stdout.write(f"\r\x1b[K{line}\n")
        self._draw()

    def _draw(self) -> None:
        sys.stdout.write(f"\r\x1b[K{self._keyboard.target}> {self._typed}")
        sys.stdout.flush()
