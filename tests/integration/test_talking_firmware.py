"""Firmware that talks by SEGGER RTT and by semihosting is heard as on a UART, and listened to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import ziglang

from orchestrator.base.errors import UsageError
from orchestrator.board import Board, EndReason
from orchestrator.events import CoreState, StateChanged
from orchestrator.robot import RptwinLibrary

IMAGES = Path(__file__).resolve().parents[1] / "support" / "images"
ZIG = Path(ziglang.__file__).parent / "zig"
TARGET = ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7")


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The image, as it is or stripped of its symbols."""

    @cache
    def build(symbols: str) -> Path:
        path = tmp_path_factory.mktemp("talker") / "talker.elf"
        flags = ("-O2", "-g", "-nostdlib", "-ffreestanding", "-fno-builtin", "-Wall", "-Wextra", "-Werror")
        command = [ZIG, "cc", *TARGET, *flags, *(["-s"] if symbols == "stripped" else []), "-T", IMAGES / "talker.ld"]
        command += [IMAGES / "talker.c", "-o", path]
        done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return path

    return build


@pytest.fixture
def boot(talker, pair) -> Iterator[Callable[..., Board]]:
    boards: list[Board] = []

    def boot(symbols: str = "symbols", **options: object) -> Board:
        board = Board("stm32h745", main=talker(symbols), remote=pair("dead-remote").remote, **options)
        boards.append(board)
        return board

    yield boot
    for board in boards:
        board.close()


@pytest.mark.parametrize("symbols", ["symbols", "stripped"])
def test_a_dialogue_over_rtt_goes_through_buffers_smaller_than_its_lines(boot, symbols):
    board = boot(symbols)
    assert board.run("main.rtt0:ready for lines\n", "100 ms").reason is EndReason.CONDITION
    board.consoles["main.rtt0"].write(b"a line longer than both buffers\rand one more\r")
    assert board.run("main.rtt0:AND ONE MORE\n", "100 ms").reason is EndReason.CONDITION
    assert board.consoles["main.rtt0"].output == (
        b"RTT is ready for lines\nA LINE LONGER THAN BOTH BUFFERS\nAND ONE MORE\n"
    )
    assert "main.rtt0" in board.consoles
    assert "main.rtt1" not in list(board.consoles), "up-buffer 1 was never set up"


def test_rtt_is_the_same_with_the_engine_in_a_child(boot):
    outputs = []
    for engine in ("unicorn", "unicorn-remote"):
        board = boot(engine=engine)
        board.run("main.rtt0:lines\n", "100 ms")
        board.consoles["main.rtt0"].write(b"hello there\r")
        end = board.run("main.rtt0:HELLO THERE\n", "100 ms")
        outputs.append((end, board.consoles["main.rtt0"].output, board.consoles["main.semihosting"].output))
    assert outputs[0] == outputs[1]
    assert outputs[0][0].reason is EndReason.CONDITION


def test_a_restored_board_says_the_same_again(boot):
    board = boot()
    board.run("main.rtt0:lines\n", "100 ms")
    snapshot = board.snapshot()
    heard = []
    for _ in range(2):
        board.consoles["main.rtt0"].write(b"again\r")
        board.run("main.rtt0:AGAIN\n", "100 ms")
        heard.append((board.time_ns, board.consoles["main.rtt0"].output))
        board.restore(snapshot)
    assert heard[0] == heard[1]


def test_semihosting_writes_to_a_console_and_what_it_refuses_is_noted(boot):
    board = boot()
    board.run("main.semihosting:through a handle\n", "100 ms")
    board.run("main.rtt0:lines\n", "100 ms")
    assert board.consoles["main.semihosting"].output == b"by semihosting\nthrough a handle\n"
    assert "cpu_cm7: semihosting: SYS_SYSTEM is not served: -1" in board.observer.run.notes.counts


def test_a_program_that_ends_itself_holds_its_core_with_its_exit_code(boot):
    board = boot()
    said = []
    board.subscribe(lambda event: said.append(event.detail) if isinstance(event.detail, StateChanged) else None)
    board.run("main.rtt0:lines\n", "100 ms")
    board.consoles["main.rtt0"].write(b"end\r")
    board.run_for("10 ms")
    assert said[-1] == StateChanged(CoreState.HELD, "its program ended by semihosting, exit code 7")
    assert board.consoles["main.rtt0"].output.endswith(b"END\n")


def test_a_robot_suite_waits_for_lines_of_both(talker, pair):
    library = RptwinLibrary()
    library.start_board("stm32h745", str(talker("symbols")), str(pair("dead-remote").remote))
    try:
        rtt = library.create_terminal_tester("main.rtt0")
        hosted = library.create_terminal_tester("main.semihosting")
        library.wait_for_line_on_uart("through a handle", testerId=hosted)
        library.wait_for_line_on_uart("ready for lines", testerId=rtt)
        library.write_line_to_uart("typed", testerId=rtt, waitForEcho=False)
        library.wait_for_line_on_uart("TYPED", testerId=rtt)
    finally:
        library.stop_board()


def test_the_console_command_shows_and_feeds_them(talker, pair):
    command = [sys.executable, "-m", "orchestrator", "console", "--timeout", "10 ms"]
    images = [str(talker("symbols")), str(pair("dead-remote").remote)]
    done = subprocess.run(
        [*command, *images], input=":main.rtt0\ntyped\n:quit\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr  # the verdict of a pair whose remote is dead
    for line in ("main.rtt0    | RTT is ready for lines", "main.rtt0    | TYPED", "main.semihosting | by semihosting"):
        assert line in done.stdout


def test_an_image_without_rtt_has_no_such_console(pair):
    images = pair("demo")
    with Board("stm32h745", main=images.main, remote=images.remote) as board:
        board.run_for("1 ms")
        assert not [name for name in board.consoles if "rtt" in name or "semihosting" in name]
        with pytest.raises(UsageError, match="no such console"):
            board.consoles["main.rtt0"]
