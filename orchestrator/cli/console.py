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
from orchestrator.board import Board, ConsoleLine, Consoles, End, EndReason, LineReader, in_order
from orchestrator.board.consoles import is_trace
from orchestrator.cli.errors import COULD_NOT_RUN, complain
from orchestrator.cli.failures import Clock, reported_failure
from orchestrator.cli.line_editor import KeyDecoder, LineEditor
from orchestrator.cli.options import some_image
from orchestrator.cli.running import interruptible, open_board
from orchestrator.config import Settings
from orchestrator.report.documents import documents_of, takes_standard_output
from orchestrator.report.files import write_documents
from orchestrator.report.record import record_of
from orchestrator.report.terminal import make_console, printable, rendered
from orchestrator.report.text import print_verdict
from orchestrator.report.traces import Traces

__all__ = ["ConsoleLines", "Keyboard", "converse"]

_SILENT_NS = 50_000_000  # no console has said anything for this long: it waits for input
_WORKING_NS = 1_000_000_000  # the same where shared memory is worked on all the while
_LONGEST_NS = 2_000_000_000  # for what a line of input sets off
_FRAME_NS = 20_000_000  # of virtual time between two looks at the keyboard


class ConsoleLines:
    """What the consoles have said since the last look, in whole lines, by virtual time."""

    def __init__(self, consoles: Consoles) -> None:
        self._consoles = consoles
        self._readers: dict[str, LineReader] = {}

    @property
    def total(self) -> int:
        """Bytes of all consoles so far."""
        return sum(console.total for console in self._consoles.values())

    def take(self, *, unfinished: bool = False) -> Iterator[str]:
        """``0.052 ms  main | text`` for each new line; with ``unfinished``, lines that have not ended too, as a prompt.

        The name alone where nobody knows when a line came, as of a trace buffer.
        """
        fresh: list[ConsoleLine] = []
        for name, console in self._consoles.items():
            fresh += self._readers.setdefault(name, LineReader(name, console)).take(unfinished=unfinished)
        for each in in_order(fresh):
            time = "" if each.time_ns is None else f"{each.time_ns / 1e6:.3f} ms"
            yield f"{time:>14}  {each.console:<12} | {printable(each.text)}"


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
    """Talk until the input ends, somebody ends it, or no core can run again; write the reports that were asked for.

    With input from a pipe the exit code is that of ``rptwin run``; a person who ends a session is no finding: 0.
    """
    clock = Clock()
    if takes_standard_output(settings):
        raise UsageError("the standard output is the consoles'", where="-", advice="name a file for the report")
    with reported_failure(settings, clock):
        some_image(settings)
        code = 0
        try:
            with open_board(settings) as board:
                traces = Traces.of(settings, board)
                if sys.stdin.isatty() and sys.stdout.isatty():
                    _Screen(board).loop()
                    _write(board, settings, clock, traces)
                else:
                    _from_pipe(board, settings)
                    code = _write(board, settings, clock, traces)
        except KeyboardInterrupt:  # between two runs, or while the board is closed
            raised.clear()  # an end like any other
        return code


def _write(board: Board, settings: Settings, clock: Clock, traces: Traces) -> int:
    """The reports for machines, and the verdict on stderr where it is bad; the exit code."""
    if board.end is None:
        return 0
    record = record_of(board, settings, clock.read(), traces.trace)
    failures = write_documents((*documents_of(record), *traces.documents()))
    for each in failures:
        complain(each)
    if failures:
        return COULD_NOT_RUN
    if record.exit_code and board.end.reason is not EndReason.INTERRUPTED:
        sys.stderr.write(rendered(make_console(sys.stderr), lambda console: print_verdict(console, record, ended=True)))
        return record.exit_code
    return 0


def _silent(lines: ConsoleLines) -> Callable[[Board], bool]:
    """Whether no console has said anything for ``_SILENT_NS`` up to now, and nobody is working on an answer.

    Where cores talk all the time, silence of ``_WORKING_NS`` is enough.
    """
    total, since_ns = lines.total, -1

    def ask(board: Board) -> bool:
        nonlocal total, since_ns
        now_total = lines.total
        if now_total != total or since_ns < 0:
            total, since_ns = now_total, board.time_ns
        silent_ns, quiet_ns = board.time_ns - since_ns, board.time_ns - board.last_activity_ns
        return silent_ns >= _WORKING_NS or min(silent_ns, quiet_ns) >= _SILENT_NS

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
        self._keys = KeyDecoder()
        self._editor = LineEditor(lambda: board.consoles)

    def loop(self) -> None:
        """Until the person ends it, or no core can run again; :class:`UsageError` on a system without termios."""
        try:
            import termios  # noqa: PLC0415  # not on Windows
            import tty  # noqa: PLC0415
        except ImportError:
            raise UsageError(
                "no terminal that can be read key by key",
                where="console",
                expected="a system with termios",
                advice="give the lines by a pipe: type lines.txt | rptwin console ...",
            ) from None

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        try:
            tty.setcbreak(fd)
            self._say("Ctrl-T or :NAME switches the console, Tab completes a name, Ctrl-C or :quit ends")
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
                for key in self._keys.keys(os.read(fd, 1024).decode("utf-8", "replace")):
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
        if key == "ctrl-t":
            self._keyboard.switch()
        elif key == "ctrl-d":
            self._keyboard.is_over = not self._editor.text
        elif (line := self._editor.press(key)) is not None:
            sys.stdout.write("\r\x1b[K")
            _type(self._keyboard, line)
        self._draw()

    def _say(self, line: str) -> None:
        sys.stdout.write(f"\r\x1b[K{line}\n")
        self._draw()

    def _draw(self) -> None:
        behind = len(self._editor.text) - self._editor.cursor
        back = f"\x1b[{behind}D" if behind else ""
        sys.stdout.write(f"\r\x1b[K{self._keyboard.target}> {self._editor.text}{back}")
        sys.stdout.flush()
