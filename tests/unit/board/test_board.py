"""Board: what it loads, how a run ends, what can be asked of it. The engine is a fake that does what a test says."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.consoles import FakeConsole

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.base.memory import BytesMemory, Extent, Memory
from orchestrator.board import QUIET_NS, Board, EndReason, Progress, choose_vector_table, parse_until
from orchestrator.engines.common.console_match import TextMatch
from orchestrator.engines.contract import (
    Capability,
    Coming,
    Condition,
    ConsoleText,
    EngineOptions,
    MemoryEquals,
    Stop,
    StopReason,
)
from orchestrator.engines.registry import create_engine
from orchestrator.events import Backtrace, CoreState, Listener
from orchestrator.formats.elf import Image, load_elf
from orchestrator.platform import Platform, load_platform

MS = 1_000_000
MAIN_BOOT, REMOTE_BOOT = 0x0800_0000, 0x0810_0000


def elf(address: int, name: str, folder: Path) -> Path:
    """An image of one segment: stack pointer and reset vector."""
    data = struct.pack("<2I", 0x2000_1000, address | 0x101)
    header = struct.pack(
        "<16s2H5I6H", b"\x7fELF\x01\x01\x01", 2, 40, 1, address | 0x101, 52, 0, 0x0500_0000, 52, 32, 1, 40, 0, 0
    )
    segment = struct.pack("<8I", 1, 84, address, address, len(data), len(data), 5, 4)
    path = folder / name
    path.write_bytes(header + segment + data)
    return path


@dataclass
class FakeEngine:
    """Time passes as it is told to; ``on_turn`` is called at the end of each run with the engine."""

    platform: Platform
    name: str = "fake"
    capabilities: frozenset[Capability] = frozenset()
    time_ns: int = 0
    loaded: dict[str, int] = field(default_factory=dict)
    runs: list[int] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    on_turn: Callable[[FakeEngine], StopReason | None] = lambda engine: None
    refuses: str = ""
    closed: bool = False

    def __post_init__(self) -> None:
        self.consoles: Mapping[str, FakeConsole] = {n: FakeConsole(name=n) for n in ("usart1", "usart2", "usart3")}

    def load(self, core: str, image: Image, vector_table: int) -> None:
        if core == self.refuses:
            raise EngineError("no memory", where=core)
        self.loaded[core] = vector_table

    def run(self, timeout_ns: int, until: Condition | None = None) -> Stop:
        self.runs.append(timeout_ns)
        self.time_ns += timeout_ns
        reason = self.on_turn(self)
        if reason is None and isinstance(until, ConsoleText):
            shown = TextMatch(until.text, regex=until.regex, since=until.since or 0)
            reason = StopReason.CONDITION if shown.is_in(self.consoles[until.uart].output) else None
        return Stop(reason or StopReason.TIMEOUT, self.time_ns)

    def stop(self) -> None: ...

    def start(self, core: str) -> None: ...

    def hold(self, core: str) -> None: ...

    def reset(self, core: str) -> None: ...

    def state(self, core: str) -> CoreState:
        return CoreState.RUNNING

    def memory(self, core: str) -> Memory:
        return BytesMemory(core, 0x3000_0000, bytes(16))

    def registers(self, core: str) -> Mapping[str, int]:
        return {}

    def backtrace(self, core: str) -> Backtrace:
        return ()

    def waiting(self, core: str) -> None:
        return None

    def data_cache(self, core: str) -> None:
        return None

    def instructions(self, core: str) -> int:
        return self.time_ns // 10

    def watch(self, name: str, core: str, extent: Extent) -> None: ...

    def unwatch(self, name: str) -> None: ...

    def subscribe(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def snapshot(self) -> Stop:
        raise CapabilityError("no snapshots", where=self.name)

    def restore(self, snapshot: object) -> None:
        raise CapabilityError("no snapshots", where=self.name)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def platform() -> Platform:
    return load_platform("stm32h745")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {"main": elf(MAIN_BOOT, "m.elf", tmp_path), "remote": elf(REMOTE_BOOT, "r.elf", tmp_path)}


@pytest.fixture
def engine(platform: Platform) -> FakeEngine:
    return FakeEngine(platform)


@pytest.fixture
def board(platform: Platform, files: dict[str, Path], engine: FakeEngine) -> Board:
    return Board(platform, engine=engine, **files)


def test_each_image_is_loaded_into_the_core_of_its_role(board: Board, engine: FakeEngine) -> None:
    assert engine.loaded == {"cpu_cm7": MAIN_BOOT, "cpu_cm4": REMOTE_BOOT}


@pytest.mark.parametrize(("role", "left"), [("main", "remote"), ("remote", "main")])
def test_an_engine_that_cannot_play_a_core_says_whose_firmware_is_missing(
    platform: Platform, files: dict[str, Path], role: str, left: str
) -> None:
    engine = FakeEngine(platform)
    with pytest.raises(CapabilityError, match=f"no firmware for {left}, and no core played in Python"):
        Board(platform, engine=engine, **{role: files[role]})
    assert engine.closed


def test_a_board_without_any_firmware_is_refused(platform: Platform) -> None:
    with pytest.raises(UsageError, match="no firmware: expected an ELF file"):
        Board(platform)


def test_a_board_that_cannot_be_loaded_gives_its_engine_back(platform: Platform, files: dict[str, Path]) -> None:
    engine = FakeEngine(platform, refuses="cpu_cm4")
    with pytest.raises(EngineError):
        Board(platform, engine=engine, **files)
    assert engine.closed


def test_leaving_the_context_closes_the_engine(board: Board, engine: FakeEngine) -> None:
    with board:
        assert not engine.closed
    assert engine.closed


def test_a_core_boots_where_the_platform_says_if_a_segment_lies_there(
    platform: Platform, files: dict[str, Path]
) -> None:
    table = choose_vector_table(platform.core("main"), load_elf(files["main"]), None)
    assert (table.address, table.how) == (MAIN_BOOT, "the platform's boot address")


def test_a_core_boots_from_its_images_vector_table_when_nothing_lies_at_the_boot_address(
    platform: Platform, tmp_path: Path
) -> None:
    table = choose_vector_table(platform.core("main"), load_elf(elf(0x2400_0000, "ram.elf", tmp_path)), None)
    assert (table.address, table.how) == (0x2400_0000, "the vector table of ram.elf")


def test_a_vector_table_that_is_given_wins_by_role_or_by_name(platform: Platform, files: dict[str, Path]) -> None:
    for name in ("main", "cpu_cm7"):
        with Board(platform, engine=FakeEngine(platform), vtor={name: 0x2400_0000}, **files) as board:
            assert (board.vector_tables["main"].address, board.vector_tables["main"].how) == (
                0x2400_0000,
                "given by --vtor",
            )


def test_a_vector_table_of_an_unknown_core_is_refused(platform: Platform, files: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match=r"no such core: expected main \| remote \| cpu_cm7 \| cpu_cm4, found cm7"):
        Board(platform, vtor={"cm7": 0}, **files)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "posix"}, r"no such profile: expected auto \| linux \| openamp \| nuttx \| common, found posix"),
        ({"table": "?"}, "not a table locator"),
        ({"maps": ["1:2"]}, "not an address range"),
        ({"nuttx_config": "new"}, "not a NuttX release"),
        ({"engine": "simics"}, "no such engine: expected unicorn"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    platform: Platform, files: dict[str, Path], options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Board(platform, **{**files, **options})  # type: ignore[arg-type]


def test_a_run_that_never_comes_up_ends_at_its_timeout(board: Board) -> None:
    end = board.run(timeout="123 ms")
    assert (end.reason, end.time_ns) == (EndReason.TIMEOUT, 123 * MS)
    assert board.end == end


def test_a_second_run_has_its_own_timeout(board: Board) -> None:
    board.run_for("20 ms")
    assert board.run(timeout=0.03).time_ns == 50 * MS


def test_a_run_ends_when_up_and_quiet_for_50_ms_to_the_nanosecond(
    board: Board, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board.observer, "is_up", lambda: engine.time_ns >= 10 * MS)
    board.observer.run.last_activity_ns = 3 * MS + 7
    end = board.run(timeout="5 s")
    assert (end.reason, end.time_ns) == (EndReason.QUIET, 3 * MS + 7 + QUIET_NS)
    assert str(end) == "up, and shared memory quiet for 50 ms at 0.053000 s"


def test_a_longer_quiet_time_is_asked_for(
    platform: Platform, engine: FakeEngine, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Board(platform, engine=engine, quiet_for="600 ms", **files) as board:  # type: ignore[arg-type]
        monkeypatch.setattr(board.observer, "is_up", lambda: True)
        end = board.run(timeout="5 s")
    assert (end.reason, end.time_ns) == (EndReason.QUIET, 600 * MS)
    assert str(end) == "up, and shared memory quiet for 600 ms at 0.600000 s"


def test_what_is_armed_at_a_quiet_end_is_named_by_role(
    board: Board, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def coming(seen_ns: int) -> tuple[Coming, ...]:
        asked.append(seen_ns)
        return Coming("iwdg1", "cpu_cm7", 512 * MS), Coming("tim3", "", 700 * MS)

    monkeypatch.setattr(engine, "coming", coming, raising=False)
    monkeypatch.setattr(board.observer, "is_up", lambda: True)
    end = board.run(timeout="5 s")
    assert list(map(str, end.not_waited_for)) == ["main's iwdg1 at 512.000 ms", "tim3 at 700.000 ms"]
    assert asked == [QUIET_NS]


def test_a_board_that_repeats_itself_is_asked_no_more_and_says_so_at_the_timeout(
    board: Board, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda *asked: replace(run(*asked), repeats=True))
    end = board.run(timeout="5 s")
    assert (end.reason, end.time_ns, len(engine.runs)) == (EndReason.REPEATING, 5_000 * MS, 2)
    monkeypatch.setattr(board.observer, "is_up", lambda: True)
    assert board.run(timeout="5 s").reason is EndReason.QUIET


def test_activity_puts_the_end_off(board: Board, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board.observer, "is_up", lambda: True)

    def busy(engine: FakeEngine) -> None:
        if len(engine.runs) == 1:
            board.observer.run.last_activity_ns = engine.time_ns - MS

    engine.on_turn = busy
    assert board.run(timeout="5 s").time_ns == QUIET_NS - MS + QUIET_NS


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (StopReason.DEAD, EndReason.DEAD),
        (StopReason.CONDITION, EndReason.CONDITION),
        (StopReason.REQUESTED, EndReason.INTERRUPTED),
    ],
)
def test_what_the_engine_stopped_for_is_what_the_run_ended_for(
    board: Board, engine: FakeEngine, stop: StopReason, reason: EndReason
) -> None:
    engine.on_turn = lambda engine: stop
    assert board.run().reason is reason


def test_stop_ends_the_run_that_is_under_way_and_not_the_one_after_it(board: Board, engine: FakeEngine) -> None:
    engine.on_turn = lambda engine: board.stop() if engine.time_ns == 20 * MS else None
    assert (board.run().reason, board.time_ns) == (EndReason.INTERRUPTED, 20 * MS)
    assert board.run(timeout="1 s").reason is EndReason.TIMEOUT


def test_what_was_gathered_stays_when_a_run_is_interrupted_or_fails(board: Board, engine: FakeEngine) -> None:
    def interrupt(engine: FakeEngine) -> None:
        raise KeyboardInterrupt

    def fail(engine: FakeEngine) -> None:
        raise EngineError("a peripheral script failed")

    for turn, error, reason in (
        (interrupt, KeyboardInterrupt, EndReason.INTERRUPTED),
        (fail, EngineError, EndReason.FAILED),
    ):
        engine.on_turn = turn
        with pytest.raises(error):
            board.run()
        assert board.end is not None
        assert board.end.reason is reason
        assert not board.verdict().up


def test_text_that_comes_in_two_pieces_of_a_run_ends_it(board: Board, engine: FakeEngine) -> None:
    def print_slowly(engine: FakeEngine) -> None:
        engine.consoles["usart3"].output += b"ping " if engine.time_ns == 10 * MS else b"done"

    engine.on_turn = print_slowly
    assert (board.run("main:ping done").reason, board.time_ns) == (EndReason.CONDITION, 20 * MS)


def test_a_piece_of_a_run_begins_no_line(board: Board, engine: FakeEngine) -> None:
    def print_slowly(engine: FakeEngine) -> None:
        engine.consoles["usart3"].output += {10: b"not ", 20: b"ready\n", 30: b"rea", 40: b"dy\n"}[engine.time_ns // MS]

    engine.on_turn = print_slowly
    assert (board.run("main~^ready$").reason, board.time_ns) == (EndReason.CONDITION, 40 * MS)


def test_a_console_in_memory_is_read_as_a_uart_is(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = FakeConsole(b"booted\nready \xc3\xa9\n", "remote.trace")
    monkeypatch.setattr("orchestrator.board.Consoles._in_memory", lambda _: {"remote.trace": trace})
    for text in ("remote.trace~^ready", "remote.trace~booted$", "remote.trace:ready \u00e9"):
        assert board.run(text).reason is EndReason.CONDITION
    assert board.run("remote.trace~^\u00e9", timeout="10 ms").reason is EndReason.TIMEOUT


def test_text_from_before_the_run_does_not_end_it(board: Board, engine: FakeEngine) -> None:
    engine.consoles["usart3"].output = b"ready"
    assert board.run("main:ready", timeout="30 ms").reason is EndReason.TIMEOUT


def test_a_function_ends_a_run(board: Board) -> None:
    assert board.run(lambda board: board.time_s >= 0.03).time_ns == 30 * MS


def test_progress_is_reported_after_each_piece(board: Board) -> None:
    seen: list[Progress] = []
    board.run(timeout="25 ms", progress=seen.append)
    assert [each.time_ns for each in seen] == [10 * MS, 20 * MS, 25 * MS]
    assert {each.deadline_ns for each in seen} == {25 * MS}
    assert seen[-1].instructions == 2 * 25 * MS // 10


def test_conditions_are_read_from_text(board: Board) -> None:
    assert parse_until("main:a:b=c", board) == ConsoleText("usart3", "a:b=c", False)
    assert parse_until("usart1~a.*b", board) == ConsoleText("usart1", "a.*b", True)
    assert parse_until("remote@0x30040000=7", board) == MemoryEquals("cpu_cm4", 0x3004_0000, 4, 7)
    assert parse_until("cpu_cm7@0x10&0xff=0x12", board) == MemoryEquals("cpu_cm7", 0x10, 4, 0x12, 0xFF)
    assert parse_until("up", board) == board.is_up


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("done", r"not a condition: expected up \| CONSOLE:TEXT \| CONSOLE~REGEX \| CORE@0xADDRESS\[&MASK\]=VALUE"),
        ("main:", "not a condition"),
        ("main~(", "not a regular expression"),
        ("main@1000=1", "not a condition"),
        ("uart9:x", r"no such console: expected main \| remote \| usart1 \| usart2 \| usart3, found uart9"),
        ("m0@0x0=1", "no such core"),
    ],
)
def test_what_is_no_condition_is_refused(board: Board, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        board.run(text)


def test_consoles_are_found_by_role_and_by_uart_and_listed_once(board: Board) -> None:
    assert list(board.consoles) == ["main", "remote", "usart1"]
    assert board.consoles["main"] is board.consoles["usart3"]
    assert "usart2" in board.consoles
    assert "remote.trace" not in board.consoles
    assert len(board.consoles) == 3


def test_memory_is_found_by_role_and_by_name(board: Board) -> None:
    assert board.memory("main").view == board.memory("cpu_cm7").view == "cpu_cm7"


def test_a_board_without_a_table_has_nothing_to_show(board: Board) -> None:
    assert (board.table, board.vrings, board.buffers, board.messages) == (None, (), (), ())
    assert not board.is_up()


def test_an_engine_by_name_is_made_for_the_platform(platform: Platform) -> None:
    with pytest.raises(UsageError, match="no such engine"):
        create_engine("fake", platform, EngineOptions())
