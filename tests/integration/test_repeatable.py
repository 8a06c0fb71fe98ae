"""The same inputs give the same events and the same memory: repeated, in pieces, restored, and with nothing skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.board import Board
from orchestrator.engines.contract import EngineOptions, StopReason
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.events import Accessed, Event
from orchestrator.formats.elf import load_elf
from orchestrator.platform import Platform, load_platform

HEALTHY = ("demo", "static", "two-vdevs", "silent", "sram", "other")
HURT = ("crash-main", "lockup", "stuck-lock", "dead-remote", "wrong-channel")
US = 1_000
QUANTUM_US = 20
PINGS_US = 700  # the demo pair's bring-up and its pings
RUN_US = 1_200
ON_QEMU = pytest.param(
    "mps2_an521", "qemu", marks=pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm"), id="mps2_an521-qemu"
)
BOARDS = [(name, "unicorn") for name in ("stm32h745", "nrf5340", "mps2_an521")]
CARVEOUT = {"stm32h745": 0x3004_1000, "nrf5340": 0x2007_1000}


@dataclass
class Recorded:
    """An engine with a pair of images and all of its events."""

    engine: UnicornEngine
    events: list[Event] = field(default_factory=list)

    def run_us(self, time_us: int) -> StopReason:
        return self.engine.run(time_us * US).reason

    def everything(self) -> Mapping[str, object]:
        engine = self.engine
        cores = [core.name for core in engine.platform.cores]
        return {
            "time": engine.time_ns,
            "states": [engine.state(core) for core in cores],
            "registers": [engine.registers(core) for core in cores],
            "instructions": [engine.instructions(core) for core in cores],
            "memory": [
                engine.memory(core).read(extent.start, extent.size)
                for core in cores
                for region in engine.platform.regions
                for extent in region.extents(core)[:1]
            ],
            "consoles": {name: console.output for name, console in engine.consoles.items()},
        }


@pytest.fixture(scope="module", params=["stm32h745", "nrf5340"])
def platform(request) -> Platform:
    return load_platform(request.param)


@pytest.fixture
def boot(pair, platform) -> Callable[..., Recorded]:
    boards = []

    def make(variant: str, *, skip_idle_loops: bool = True, seed: int = 0) -> Recorded:
        recorded = Recorded(UnicornEngine(platform, EngineOptions(seed=seed), skip_idle_loops=skip_idle_loops))
        recorded.engine.subscribe(recorded.events.append)
        images = pair(variant, platform.name)
        for role, path in (("main", images.main), ("remote", images.remote)):
            image = load_elf(path)
            recorded.engine.load(platform.core(role).name, image, image.vector_table)
        boards.append(recorded)
        return recorded

    yield make
    for each in boards:
        each.engine.close()


def assert_same(first: Recorded, second: Recorded) -> None:
    assert first.events == second.events
    assert first.everything() == second.everything()


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("variant", [*HEALTHY, *HURT])
def test_two_runs_are_equal(boot, variant, seed):
    first, second = boot(variant, seed=seed), boot(variant, seed=seed)
    first.run_us(RUN_US)
    second.run_us(RUN_US)
    assert_same(first, second)


@pytest.mark.parametrize("variant", [*HEALTHY, *HURT])
def test_skipping_idle_loops_is_invisible(boot, variant):
    skipped, executed = boot(variant), boot(variant, skip_idle_loops=False)
    for time_us in (100, 20, 240, RUN_US, 5_000):
        skipped.run_us(time_us)
        executed.run_us(time_us)
        assert_same(skipped, executed)


@pytest.mark.parametrize("variant", [*HEALTHY, *HURT])
def test_a_run_in_pieces_equals_the_whole(boot, variant):
    whole, pieces = boot(variant), boot(variant)
    whole.run_us(RUN_US)
    for _ in range(RUN_US // QUANTUM_US):
        reason = pieces.run_us(QUANTUM_US)
        pieces.everything()  # looking changes nothing
        if reason is StopReason.DEAD:
            break
    assert_same(whole, pieces)


@pytest.mark.parametrize("variant", ["demo", "two-vdevs", "lockup", "stuck-lock"])
def test_continuing_after_a_restore_equals_never_having_stopped(boot, variant):
    """At every quantum of bring-up and pings: go on, come back, go on again."""
    whole, board = boot(variant), boot(variant)
    whole.run_us(RUN_US)
    for _ in range(RUN_US // QUANTUM_US):
        snapshot, count = board.engine.snapshot(), len(board.events)
        board.run_us(5 * QUANTUM_US)
        board.engine.restore(snapshot)
        del board.events[count:]
        if board.run_us(QUANTUM_US) is StopReason.DEAD:
            break
    assert_same(whole, board)


@pytest.fixture
def undisturbed(boot) -> tuple[list[Event], Mapping[str, object]]:
    """The demo pair's run with nothing in between."""
    board = boot("demo")
    board.run_us(RUN_US)
    return board.events, board.everything()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moment=st.integers(0, PINGS_US // QUANTUM_US),
    detour=st.integers(0, PINGS_US // QUANTUM_US),
    typed=st.binary(max_size=12),
)
def test_a_detour_leaves_no_trace(boot, platform, undisturbed, moment, detour, typed):
    """Whatever is typed and stored after a snapshot is undone by going back to it."""
    board = boot("demo")
    board.run_us(moment * QUANTUM_US)
    snapshot, count = board.engine.snapshot(), len(board.events)
    main, remote = (platform.core(role).name for role in ("main", "remote"))
    board.engine.consoles[platform.consoles[main]].write(typed)
    board.engine.memory(main).write(CARVEOUT[platform.name], typed)
    board.run_us(detour * QUANTUM_US)
    board.engine.reset(remote)
    board.run_us(QUANTUM_US)
    board.engine.restore(snapshot)
    del board.events[count:]
    board.run_us(RUN_US - moment * QUANTUM_US)
    assert (board.events, board.everything()) == undisturbed
    board.engine.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("run"), st.integers(1, 12)),
            st.tuples(st.just("type"), st.sampled_from([b"ping 2 32\n", b"\n", b"x"])),
            st.tuples(st.just("poke"), st.integers(0, 255)),
            st.tuples(st.just("take"), st.just(0)),
            st.tuples(st.just("back"), st.integers(0, 5)),
        ),
        min_size=4,
        max_size=16,
    )
)
def test_snapshots_inside_each_other_are_gone_back_to_in_any_order(boot, platform, steps):
    """Against a board that has lived only what is left in the end."""
    main = platform.core("main").name

    def do(board: Recorded, what: str, how: int | bytes) -> None:
        if what == "run":
            assert isinstance(how, int)
            board.run_us(how * QUANTUM_US)
        elif what == "type":
            board.engine.consoles[platform.consoles[main]].write(how)
        else:
            board.engine.memory(main).write(CARVEOUT[platform.name], bytes([how]))

    board, life, taken = boot("demo"), [("run", 12)], []
    do(board, *life[0])
    for what, how in steps:
        if what == "take":
            taken.append((board.engine.snapshot(), list(board.events), list(life)))
        elif what == "back" and taken:
            snapshot, events, lived = taken[how % len(taken)]
            board.engine.restore(snapshot)
            board.events[:], life = events, list(lived)
        elif what != "back":
            do(board, what, how)
            life.append((what, how))
    straight = boot("demo")
    for what, how in life:
        do(straight, what, how)
    for each in (board, straight):
        each.run_us(20 * QUANTUM_US)
    assert_same(straight, board)
    for each in (board, straight):
        each.engine.close()


@pytest.mark.parametrize("moment", ["20 us", "120 us", "300 us", "700 us"])
def test_a_board_that_goes_back_is_told_the_same_again(pair, moment):
    """Accesses too, of which a board is told where what it has seen so far says that they matter."""
    images, lives = pair("two-vdevs"), []
    with Board(main=images.main, remote=images.remote) as board:
        board.run_for(moment)
        snapshot, events = board.snapshot(), []
        board.subscribe(events.append)
        for _life in range(3):
            board.run()
            lives.append((events[:], board.verdict().to_json(), board.observer.run.history))
            events.clear()
            board.restore(snapshot)
    assert any(isinstance(each.detail, Accessed) for each in lives[0][0])
    assert lives[0] == lives[1] == lives[2]


@pytest.mark.parametrize(("chip", "engine"), BOARDS)
def test_a_board_goes_back_with_all_that_was_observed(pair, chip, engine):
    images = pair("demo", chip)
    with Board(chip, main=images.main, remote=images.remote, engine=engine) as board:
        board.run_for("360 us")
        snapshot = board.snapshot()
        board.run()
        first = board.verdict().to_json()
        board.consoles["main"].write(b"ping 3 64\r")
        board.run_for("20 ms")
        assert board.verdict().to_json() != first
        board.restore(snapshot)
        board.run()
        assert board.verdict().to_json() == first


@pytest.mark.parametrize(("chip", "engine"), [*BOARDS, ON_QEMU])
def test_a_shell_command_sent_in_mid_run_is_answered_the_same_way_each_time(pair, chip, engine):
    images = pair("demo", chip)
    outputs = []
    for _ in range(2):
        with Board(chip, main=images.main, remote=images.remote, engine=engine) as board:
            board.run()
            board.consoles["main"].write(b"ping 100 300\r")
            board.run(until="main:100 good", timeout="1 s")
            board.run_for("20 ms")
            outputs.append((bytes(board.consoles["main"].output), board.time_ns, board.verdict().to_json()))
    assert outputs[0] == outputs[1]
    assert b"100 pings: 100 good, 0 bad, 0 lost" in outputs[0][0]


@pytest.mark.parametrize(("chip", "engine"), [*BOARDS, ON_QEMU])
def test_ten_times_the_virtual_time_keeps_no_more_than_once(pair, chip, engine):
    """What is kept does not grow with the length of a run: the same buffers, the same log of messages."""
    images = pair("demo", chip)
    kept = []
    for seconds in ("1 s", "10 s"):
        with Board(chip, main=images.main, remote=images.remote, engine=engine) as board:
            board.run_for(seconds)
            kept.append((len(board.buffers), len(board.messages), board.verdict().exit_code))
    assert kept[0] == kept[1]
