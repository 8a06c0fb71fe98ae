"""The QEMU engine: it repeats, stops exactly, and says what is the matter when it cannot go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.base.errors import CapabilityError, EngineError
from orchestrator.board import Board, EndReason
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.qemu import process
from orchestrator.events import Event, Fault, Lockup

pytestmark = [pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm"), pytest.mark.xdist_group("remote")]

PLATFORM = "mps2_an521"


@pytest.fixture
def board(pair):
    boards = []

    def make(variant: str = "demo") -> Board:
        images = pair(variant, PLATFORM)
        boards.append(Board(PLATFORM, main=images.main, remote=images.remote, engine="qemu"))
        return boards[-1]

    yield make
    for each in boards:
        each.close()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("variant", ["demo", "crash-main", "dead-remote"])
def test_two_runs_are_the_same_event_by_event(board, variant):
    runs: list[list[Event]] = []
    for _ in range(2):
        events: list[Event] = []
        each = board(variant)
        each.subscribe(events.append)
        each.run(timeout="60 ms")
        runs.append(events)
    assert runs[0]
    assert runs[0] == runs[1]


def test_a_run_ends_at_the_nanosecond_that_was_asked_for(board):
    each = board()
    assert [each.run_for("1 ms").time_ns for _ in range(3)] == [1_000_000, 2_000_000, 3_000_000]


def test_memory_that_the_plugin_copies_at_a_stop_is_what_gdb_reads(board):
    each = board()
    each.run_for("2 ms")
    engine = each.engine
    extents = {region.name: region.extents("cpu0")[0] for region in each.platform.regions}
    copied = {place: engine._link.control.copied(at, 1024) for place, at in engine._memory.copies.items()}
    assert copied
    assert any(any(data) for data in copied.values())
    for (region, page), data in copied.items():
        assert data == engine._link.gdb.read(0, extents[region].start + page * 1024, 1024), (region, page)


def test_a_shell_answers_over_its_uart(board):
    each = board()
    each.run("main:main> ")
    each.consoles["main"].write(b"status\r")
    assert each.run("main:vdev 0: status").reason is EndReason.CONDITION


def test_a_fault_has_the_registers_of_the_instruction_that_faulted(board):
    each, faults = board("crash-main"), []
    each.subscribe(lambda event: faults.append(event.detail) if isinstance(event.detail, Fault) else None)
    each.run(timeout="5 ms")
    [fault] = faults
    assert (fault.name, fault.address) == ("BusFault", 0x7000_0000)
    assert fault.status == ("PRECISERR", "BFARVALID")
    assert fault.symbol.startswith("main")
    assert fault.registers["PC"] == fault.pc
    assert [frame.symbol.split("+")[0] for frame in fault.backtrace][:2] == ["main", "start"]


def test_a_lockup_ends_qemu_and_is_an_event_and_memory_is_kept(board):
    each, lockups = board("lockup"), []
    each.subscribe(lambda event: lockups.append(event) if isinstance(event.detail, Lockup) else None)
    assert each.run(timeout="5 ms").reason is EndReason.DEAD
    [event] = lockups
    assert event.core == "cpu0"
    assert event.detail.symbol.startswith("fault_report")
    assert event.detail.backtrace[0].symbol.startswith("fault_report")
    table = each.images["main"].segments[0]
    assert each.memory("main").read(table.load_address, 64) == table.data[:64]


def test_a_qemu_that_is_killed_is_an_error_with_its_end_and_what_was_seen_stays(board):
    each = board()
    each.run_for("2 ms")
    seen = each.consoles["main"].output
    os.kill(each.engine.pid, signal.SIGKILL)
    with pytest.raises(EngineDiedError, match="QEMU was killed by SIGKILL"):
        each.run_for("1 ms")
    assert each.consoles["main"].output == seen != b""
    with pytest.raises(EngineDiedError):
        each.run_for("1 ms")


def test_a_qemu_that_hangs_is_an_error_and_leaves_no_process(board):
    each = board()
    each.run_for("2 ms")
    each.engine._link.process.socket("gdb").settimeout(2.0)  # a minute otherwise
    seen, pid = each.consoles["main"].output, each.engine.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineDiedError, match="QEMU does not answer"):
        each.run_for("1 ms")
    assert each.consoles["main"].output == seen != b""
    assert not is_running(pid)


def test_the_log_of_a_long_run_takes_no_more_room_than_it_may_and_loses_no_line(board, monkeypatch):
    def events(most: int) -> tuple[list[Event], int]:
        monkeypatch.setattr(process, "_MOST_LOG", most)
        each, seen = board(), []
        each.subscribe(seen.append)
        each.run(timeout="60 ms")
        return seen, (each.engine._link.process.scratch / "log").stat().st_blocks * 512

    whole, room = events(1 << 30)
    pieces, less = events(1 << 14)
    assert pieces == whole
    assert less < room / 2


def test_a_closed_board_leaves_no_process_and_no_files(board):
    each = board()
    pid, scratch = each.engine.pid, each.engine._link.process.scratch
    each.run_for("1 ms")
    each.close()
    assert not is_running(pid)
    assert not scratch.exists()


def test_what_qemu_lacks_is_refused_by_name(board):
    each = board()
    with pytest.raises(CapabilityError, match="no snapshot"):
        each.snapshot()
    with pytest.raises(CapabilityError, match="no reset of one core"):
        each.engine.reset("cpu1")


def test_a_board_that_qemu_has_not_is_refused_by_name(pair):
    images = pair("demo")
    with pytest.raises(EngineError, match="no machine for this platform: expected mps2_an521, found stm32h745"):
        Board(main=images.main, remote=images.remote, engine="qemu")


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / process.COMMAND
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_an_old_qemu_is_refused_with_both_versions(tmp_path, monkeypatch):
    fake(tmp_path, monkeypatch, 'echo "QEMU emulator version 6.2.0 (old)"')
    with pytest.raises(EngineError, match=r"QEMU is too old: expected 7\.2 or newer, found 6\.2\.0"):
        process.find_qemu()


def test_a_qemu_that_does_not_come_up_is_quoted(pair, tmp_path, monkeypatch):
    fake(
        tmp_path,
        monkeypatch,
        'case "$1" in --version) echo "version 7.2.0";; *) echo "no such machine" >&2; exit 1;; esac',
    )
    images = pair("demo", PLATFORM)
    with pytest.raises(EngineError, match="no such machine"):
        Board(PLATFORM, main=images.main, remote=images.remote, engine="qemu")


def test_no_qemu_is_said_with_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EngineError, match="no QEMU: expected qemu-system-arm; sudo apt-get install qemu-system-arm"):
        process.find_qemu()


def started(pair) -> tuple[subprocess.Popen[bytes], int]:
    """A run that does not end by itself, and the process of its QEMU."""
    images = pair("dead-remote", PLATFORM)
    command = [sys.executable, "-m", "orchestrator", "run", "--platform", PLATFORM, "--engine", "qemu"]
    run = subprocess.Popen(
        [*command, "--timeout", "1000 s", str(images.main), str(images.remote)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        for pid in children.read_text().split():
            if b"-icount" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return run, int(pid)
        time.sleep(0.05)
    run.kill()
    raise AssertionError(run.communicate())


def is_gone(pid: int) -> bool:
    patience = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < patience:
        time.sleep(0.05)
    return not is_running(pid)


def test_ctrl_c_ends_a_run_with_its_report_and_leaves_no_qemu(pair):
    run, qemu = started(pair)
    time.sleep(0.5)  # anywhere in the run
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate(timeout=60)
    assert b"Traceback" not in output + errors
    assert b"interrupted" in output + errors
    assert is_gone(qemu)


def test_a_run_that_is_killed_takes_its_qemu_with_it(pair):
    run, qemu = started(pair)
    run.kill()
    run.communicate()
    assert is_gone(qemu)
