"""Every death of a child in every phase: a typed error, no orphan, and nothing lost of what was seen before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.engines.common.child import EngineDiedError
from orchestrator.engines.contract import Capability, EngineOptions, StopReason
from orchestrator.engines.isolated import conversation
from orchestrator.engines.isolated.engine import IsolatedEngine, IsolatedUnicorn
from orchestrator.events import Event
from orchestrator.platform import Platform, load_platform

CHILD = Path(__file__).parent / "fake_child.py"
DEATHS = {
    "abort": "was killed by SIGABRT",
    "exit": "ended with exit code 3",
    "kill": "was killed by SIGKILL",
    "hang": "was silent for",
    "close": "had to be ended",
    "truncate": "ended with exit code 0",
    "garbage": "speaks nonsense",
    "huge": "speaks nonsense",
    "unknown": "speaks nonsense",
    "wrong answer": "speaks nonsense",
    "grandchild": "was killed by SIGABRT",
}
PHASES = ("start", "Open", "Load", "Run", "event", "AskState", "Read")
# Every death while it runs, where there is most to lose, and an abort and a hang in each phase.
CASES = [("Run", death) for death in DEATHS] + [(p, d) for p in PHASES for d in ("abort", "hang") if p != "Run"]


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("stm32h745")


Make = Callable[..., IsolatedEngine]


@pytest.fixture
def make(platform: Platform) -> Iterator[Make]:
    engines = []

    def start(phase: str = "", death: str = "", patience_s: float = 1.0) -> IsolatedEngine:
        command = (sys.executable, str(CHILD), phase, death)
        opening_s = 3.0 if (death == "hang" and phase in ("start", "Open")) else 60.0
        engine = IsolatedEngine(platform, EngineOptions(), command=command, patience_s=patience_s, opening_s=opening_s)
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


def children() -> set[int]:
    """Processes that this one has started and that are still there, zombies included."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(pid) for path in found for pid in path.read_text().split()}


def use(engine: IsolatedEngine) -> None:
    """A board's life."""
    events: list[Event] = []
    engine.subscribe(events.append)
    engine.load("cpu_cm7", Elf, 0)  # type: ignore[arg-type]
    engine.run(1_000)
    engine.state("cpu_cm7")
    engine.memory("cpu_cm7").read(0x3800_1000, 4)


class Elf:
    """What ``load`` looks at of an image; the child's engine looks at nothing."""

    path = Path("x.elf")
    name = "x.elf"
    data = (
        b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
        + (2).to_bytes(2, "little")
        + (40).to_bytes(2, "little")
        + (1).to_bytes(4, "little")
        + bytes(4)
        + (52).to_bytes(4, "little")
        + bytes(8)
        + b"".join(n.to_bytes(2, "little") for n in (52, 32, 1, 40, 0, 0))
        + b"".join(n.to_bytes(4, "little") for n in (1, 84, 0, 0, 8, 8, 5, 4))
        + bytes(8)
    )


@pytest.mark.parametrize(("phase", "death"), CASES)
def test_a_death_is_a_typed_error_with_the_last_words_and_leaves_no_process(make: Make, phase: str, death: str) -> None:
    before = children()
    with pytest.raises(EngineDiedError) as caught:
        use(make(phase, death))
    assert DEATHS[death] in str(caught.value)
    assert "last words" in caught.value.log
    assert "last words" in str(caught.value)
    assert children() <= before


def test_what_net_has_not_handled_is_said_in_one_line_and_where_it_was_behind_it(make: Make) -> None:
    with pytest.raises(EngineDiedError) as caught:
        use(make("Run", "unhandled"))
    assert str(caught.value).endswith(
        "was killed by SIGABRT (in Run) at 0.000000 s of virtual time; it said: System.Exception: the reason"
    )
    assert caught.value.__notes__[1:] == ["   at Somewhere()", "   at Elsewhere()"]


def test_what_was_seen_before_a_death_is_still_there_after_it(make: Make) -> None:
    engine = make("event", "abort")
    events: list[Event] = []
    engine.subscribe(events.append)
    memory = engine.memory("cpu_cm4")
    assert memory.read(0x3800_0010, 2) == b"\x10\x11"
    with pytest.raises(EngineDiedError) as caught:
        engine.run(5_000)
    assert [event.detail.text for event in events] == ["subscribed", "still alive"]
    assert engine.consoles["usart3"].output == b"boot\n"
    assert engine.time_ns == caught.value.time_ns == 5_000
    assert memory.read(0x3800_0020, 2) == b"\x20\x21"  # of a page that was read before
    for question in (lambda: memory.read(0x3800_8000, 1), lambda: engine.run(1), lambda: engine.state("cpu_cm4")):
        with pytest.raises(EngineDiedError) as again:
            question()
        assert again.value is caught.value
    engine.close()
    engine.close()


def test_a_child_of_another_version_is_refused(make: Make) -> None:
    before = children()
    with pytest.raises(EngineDiedError, match="another protocol: expected 2, found 0"):
        make("version")
    assert children() <= before


def test_a_program_that_is_not_there_is_named(platform: Platform) -> None:
    with pytest.raises(EngineError, match=r"/no/such/program: .*cannot be started: found No such file"):
        IsolatedEngine(platform, EngineOptions(), command=("/no/such/program",))


def test_noise_on_standard_output_hurts_nobody(make: Make) -> None:
    engine = make()
    use(engine)
    assert engine.run(1_000).reason is StopReason.TIMEOUT


def test_a_run_that_goes_on_longer_than_the_patience_is_no_hang(make: Make) -> None:
    engine = make("long run")
    threading.Timer(2.5, engine.stop).start()
    assert engine.run(1_000).time_ns > 1_000


def test_a_capability_that_is_missing_is_refused_by_name(make: Make) -> None:
    engine = make()
    assert Capability.SNAPSHOT not in engine.capabilities
    with pytest.raises(CapabilityError, match="engine remote: no snapshot"):
        engine.snapshot()
    engine.lacking = {Capability.SNAPSHOT: "its Save refuses scripts"}
    with pytest.raises(CapabilityError, match="no snapshot: found its Save refuses scripts; the unicorn engine has it"):
        engine.snapshot()


def test_a_signal_handler_that_raises_breaks_off_the_conversation_and_ends_the_child(make: Make) -> None:
    class OurError(Exception):
        pass

    def raise_it(number: int, frame: object) -> None:
        raise OurError

    before = children()
    engine = make("long run", patience_s=30)
    old = signal.signal(signal.SIGUSR1, raise_it)
    try:
        threading.Timer(0.2, signal.raise_signal, [signal.SIGUSR1]).start()
        with pytest.raises(OurError):
            engine.run(1_000)
    finally:
        signal.signal(signal.SIGUSR1, old)
    with pytest.raises(EngineDiedError, match="broken off"):
        engine.run(1)
    assert children() <= before


PARENT = """
import sys, time
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.isolated.engine import IsolatedEngine
from orchestrator.platform import load_platform
engine = IsolatedEngine(load_platform("stm32h745"), EngineOptions(), command=(sys.executable, *sys.argv[1:]))
print(engine.pid, flush=True)
try:
    engine.run(1)
except KeyboardInterrupt:
    sys.exit(77)
"""


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folders of children are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_child_has_a_folder_for_its_files_which_goes_with_it(make: Make, folders: Path) -> None:
    engine = make()
    (folder,) = folders.iterdir()
    assert Path(f"/proc/{engine.pid}/environ").read_bytes().split(b"\0").count(f"TMPDIR={folder}".encode()) == 1
    (folder / "inner").mkdir()
    (folder / "inner" / "left.txt").write_text("x")
    engine.close()
    assert list(folders.iterdir()) == []


def test_a_child_that_is_killed_leaves_no_file(make: Make, folders: Path) -> None:
    engine = make()
    (folder,) = folders.iterdir()
    (folder / "left.txt").write_text("x")
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineDiedError):
        engine.run(1)
    assert list(folders.iterdir()) == []


def test_no_room_for_files_is_an_error_that_says_where(make: Make, folders: Path) -> None:
    folders.rmdir()
    with pytest.raises(EngineError, match=r"no room for the engine's files: found No such file.*; TMPDIR"):
        make()


def test_a_board_that_does_not_stop_when_it_is_told_to_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "STOP_PATIENCE_S", 0.2)
    engine = make("Run", "hang", patience_s=1000)
    threading.Timer(0.2, engine.stop).start()
    with pytest.raises(EngineDiedError, match=r"did not stop within 0.2 s \(in Run\)"):
        engine.run(1_000)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 77), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_no_child_outlives_its_parent_however_that_ends(folders: Path, number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", PARENT, str(CHILD), "long run", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.send_signal(number)
        assert parent.wait(20) == code
    wait_for_the_end_of(pid)
    assert list(folders.iterdir()) == []


def test_files_of_processes_that_were_all_killed_go_when_the_next_child_is_started(make: Make, folders: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(CHILD), "long run", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # it cannot see the end of its parent
        wait_for_the_stop_of(pid)
        parent.kill()
    (left,) = folders.iterdir()
    make().close()
    assert left.exists()  # one of the two is still there
    os.kill(pid, signal.SIGKILL)
    wait_for_the_end_of(pid)
    for _ in range(50):  # its last threads may hold the lock a moment longer than it is seen
        make().close()
        if not any(folders.iterdir()):
            break
        time.sleep(0.05)
    assert list(folders.iterdir()) == []


def wait_for_the_stop_of(pid: int) -> None:
    for _ in range(200):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} did not stop")


def wait_for_the_end_of(pid: int) -> None:
    for _ in range(200):
        if not is_alive(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_boards_stand_side_by_side(platform: Platform) -> None:
    boards = [IsolatedUnicorn(platform, EngineOptions()) for _ in range(2)]
    boards[0].memory("cpu_cm7").write(0x3000_0000, b"one")
    boards[1].memory("cpu_cm7").write(0x3000_0000, b"two")
    assert [board.memory("cpu_cm7").read(0x3000_0000, 3) for board in boards] == [b"one", b"two"]
    assert boards[0].pid != boards[1].pid
    boards[0].close()
    assert boards[1].run(20_000).time_ns == 20_000
    boards[1].close()


def test_a_closed_engine_says_so(platform: Platform) -> None:
    board = IsolatedUnicorn(platform, EngineOptions())
    board.close()
    with pytest.raises(EngineError, match="the engine was closed"):
        board.run(1)


def test_what_the_engine_refuses_at_power_on_is_raised_as_it_would_be_here(platform: Platform) -> None:
    before = children()
    with pytest.raises(UsageError, match="expected more than 0 ns, found 0"):
        IsolatedUnicorn(platform, EngineOptions(quantum_ns=0))
    assert children() <= before
