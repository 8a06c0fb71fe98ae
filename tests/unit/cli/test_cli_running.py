"""What surrounds a run on the command line: Ctrl-C, the progress line, lines of consoles."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from io import StringIO
from types import SimpleNamespace
from typing import cast

import pytest
from support.consoles import FakeConsole

from orchestrator.base.errors import UsageError
from orchestrator.board import Board, Consoles, Progress
from orchestrator.cli.console import ConsoleLines, Keyboard
from orchestrator.cli.running import ProgressLine, interruptible


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class FakeConsoles(Mapping[str, FakeConsole]):
    def __init__(self, **consoles: FakeConsole) -> None:
        self.all = {name.replace("_", "."): console for name, console in consoles.items()}

    def __getitem__(self, key: str) -> FakeConsole:
        if key not in self.all:
            raise UsageError("no such console", found=key)
        return self.all[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(s=100.0)
    monkeypatch.setattr("time.monotonic", lambda: now.s)
    return now


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_board_and_the_second_one_is_an_ordinary_one(number: signal.Signals) -> None:
    stops: list[int] = []
    board = cast(Board, SimpleNamespace(stop=lambda: stops.append(1)))
    before = signal.getsignal(number)
    with interruptible(board):
        os.kill(os.getpid(), number)
        assert stops == [1]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_the_progress_line_appears_on_a_terminal_once_a_run_is_long(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = ProgressLine()
    clock.s += 0.4
    line(Progress(1_000_000_000, 5_000_000_000, 7))
    assert terminal.getvalue() == ""
    clock.s += 0.6
    line(Progress(2_500_000_000, 5_000_000_000, 7))
    line(Progress(2_600_000_000, 5_000_000_000, 7))
    line.clear()
    assert terminal.getvalue() == "\r\x1b[K2.50 s of 5 s virtual, 2.5 x real time\r\x1b[K"


def test_there_is_no_progress_line_in_a_log(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    log = StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    line = ProgressLine()
    clock.s += 10
    line(Progress(1, 2, 3))
    line.clear()
    assert log.getvalue() == ""


def test_lines_come_whole_and_once_behind_the_name_of_their_console() -> None:
    main = FakeConsole(b"one\r\ntw")
    lines = ConsoleLines(cast(Consoles, FakeConsoles(main=main, remote_trace=FakeConsole(b"log\x1b\n"))))
    head = " " * 16
    assert list(lines.take()) == [f"{head}main         | one", f"{head}remote.trace | log?"]
    main.output += b"o\n> "
    assert list(lines.take()) == [f"{head}main         | two"]
    assert list(lines.take(unfinished=True)) == [f"{head}main         | > "]
    assert list(lines.take(unfinished=True)) == []


def test_a_trace_buffer_that_starts_over_is_read_from_its_beginning() -> None:
    trace = FakeConsole(b"first\nsecond\n")
    lines = ConsoleLines(cast(Consoles, FakeConsoles(remote_trace=trace)))
    assert len(list(lines.take())) == 2
    trace.output = b"again\n"
    assert list(lines.take()) == [f"{'':16}remote.trace | again"]


def test_typed_lines_go_to_the_console_that_was_switched_to() -> None:
    main, remote = FakeConsole(), FakeConsole()
    keyboard = Keyboard(cast(Consoles, FakeConsoles(main=main, remote=remote, remote_trace=FakeConsole())))
    keyboard.line("a")
    keyboard.switch()
    keyboard.line("b")
    keyboard.switch()
    keyboard.line("c")
    keyboard.line(":remote")
    keyboard.line("d")
    assert (main.written, remote.written, keyboard.target) == (b"a\rc\r", b"b\rd\r", "remote")
    with pytest.raises(UsageError):
        keyboard.line(":nowhere")
    assert keyboard.target == "remote"
    keyboard.line(":quit")
    assert keyboard.is_over
