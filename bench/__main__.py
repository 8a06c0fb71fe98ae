"""Every figure once, as ratios of what was measured in turn where a ratio says more than a time.

Times are medians of several rounds; two things that are compared take turns, so that a machine whose speed drifts
slows both.
"""

from __future__ import annotations

import contextlib
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import vhost
from bench.coherence import costs
from bench.programs import BUSY, CALLS, SELF, SLEEP, board_of, mixed_board, raw_busy, raw_cores, raw_mixed
from bench.queues import SIZES, echo, passing
from bench.rates import RATES, rate_of
from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Extent
from orchestrator.board import Board
from orchestrator.board.schedule import Schedule
from orchestrator.engines.contract import Observing
from orchestrator.engines.qemu.process import find_qemu
from orchestrator.engines.renode.discovery import discover
from orchestrator.events import Event
from orchestrator.explore import Bounds, explore

ROOT = Path(__file__).parent.parent
QUANTUM_NS = 20_000
ROUNDS = 7
PAIR = [ROOT / "firmware/build/stm32h745/demo" / name for name in ("main.elf", "remote.elf")]


def clock(action: Callable[[], object]) -> float:
    """Seconds of wall time."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def show(what: str, figure: str) -> None:
    """One line of the table."""
    print(f"{what:<74} {figure}", flush=True)


def overhead() -> None:
    """Both cores on the same integer loop, against Unicorn alone counted in slices of the same quantum."""
    slices = 4_000
    instructions = 2 * slices * 2_000
    board = board_of(BUSY)
    board.run(20_000_000)
    raw = raw_cores()
    raw(100)
    pairs = [(clock(lambda: raw(slices)), clock(lambda: board.run(slices * QUANTUM_NS))) for _round in range(ROUNDS)]
    ratio = statistics.median(alone / engine for alone, engine in pairs)
    engine_rate = instructions / statistics.median(engine for _alone, engine in pairs) / 1e6
    raw_rate = instructions / statistics.median(alone for alone, _engine in pairs) / 1e6
    show("two busy cores, instructions/s against raw Unicorn in slices of 20 us", f"{ratio:.0%}")
    show("  engine", f"{engine_rate:.0f} M/s (aim: 450 M/s or more)")
    show("  raw Unicorn, emu_start(count=2000) through its own binding", f"{raw_rate:.0f} M/s")
    free = raw_busy()
    show(
        "  raw Unicorn, without any hook or count",
        f"{statistics.median(free() for _round in range(ROUNDS)) / 1e6:.0f} M/s",
    )


def cpu_time(action: Callable[[], object]) -> float:
    """Seconds of this process, as the rates of bare Unicorn are counted."""
    begin = time.process_time()
    action()
    return time.process_time() - begin


def mixed() -> None:
    """C with calls, branches and memory on both cores, against the same on Unicorn alone."""
    board, raw = mixed_board(), raw_mixed()
    board.run(100_000_000)
    memory, counter = board.memory("cpu_cm7"), board.core("cpu_cm7").images[0].symbols["counter"].address

    def rounds() -> int:
        return int.from_bytes(memory.read(counter, 4), "little")

    before = rounds()
    board.run(100_000_000)
    each = 10_000_000 / (rounds() - before)  # instructions
    pairs = [(raw() * each, 20_000_000 / cpu_time(lambda: board.run(100_000_000))) for _round in range(ROUNDS)]
    show(
        "two cores on C with calls and memory, instructions/s",
        f"{statistics.median(own for _raw, own in pairs) / 1e6:.0f} M/s",
    )
    ratio = statistics.median(own / alone for alone, own in pairs)
    show("  against one core on raw Unicorn without any hook", f"{ratio:.0%}")


def idle() -> None:
    """Ten virtual seconds in which nobody does anything."""
    ten = 10_000_000_000
    for what, program, tick, aim in (
        ("both cores in WFI, no timer", SLEEP, None, "0.1"),
        ("both in `b .`, SysTick at 1 kHz", SELF, 1_000, "2"),
        ("both in a loop that calls an empty function, SysTick at 1 kHz", CALLS, 1_000, "2"),
    ):
        board = board_of(program, tick_hz=tick)
        show(f"10 s virtual: {what}", f"{clock(functools.partial(board.run, ten)):.3f} s (aim: under {aim} s)")


@contextlib.contextmanager
def installed() -> Iterator[dict[str, str]]:
    """An environment in which byte code is kept, as pip keeps that of what it installs, whatever the caller's says."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as cache:
        yield kept | {"PYTHONPYCACHEPREFIX": cache}


def process(environment: dict[str, str], *arguments: str | Path) -> tuple[float, float]:
    """Wall seconds and peak MB of a command."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "orchestrator", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begin
    return took, int(done.stderr.split()[-1]) / 1024


_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def command() -> None:
    """`rptwin run` on the demo pair, whole process."""
    with installed() as environment:
        process(environment, "run", *PAIR)
        runs = [process(environment, "run", *PAIR) for _round in range(ROUNDS)]
        imports = [process(environment, "--version")[0] for _round in range(ROUNDS)]
    verdict = statistics.median(took for took, _memory in runs)
    show("rptwin run on the demo pair, process start to verdict", f"{verdict:.2f} s (aim: under 1 s)")
    show("  peak resident memory", f"{max(memory for _took, memory in runs):.0f} MB (aim: under 200 MB)")
    show("  of which starting Python and the command line", f"{statistics.median(imports):.2f} s")


def engines() -> None:
    """What an engine in a child process costs against the same engine in this one; Renode where there is one."""
    calls, reads, size = 2_000, 64, 0x4_0000
    figures = []
    for name in ("unicorn", "unicorn-remote"):
        with Board(main=PAIR[0], remote=PAIR[1], engine=name) as board:
            events: list[Event] = []
            board.subscribe(events.append)
            begin = time.perf_counter()
            board.run()
            board.consoles["main"].write(b"ping 2000 64\n")
            board.run_for("2 s")
            rate = len(events) / (time.perf_counter() - begin)
            state, memory = board.engine.state, board.engine.memory("cpu_cm7")
            begin = time.perf_counter()
            for _call in range(calls):
                state("cpu_cm7")
            call = (time.perf_counter() - begin) / calls
            begin = time.perf_counter()
            for _read in range(reads):
                memory.read(0x2400_0000, size)
            megabyte = (time.perf_counter() - begin) / (reads * size) * 2**20
        figures.append((call * 1e6, megabyte * 1e6, rate))
    direct, child = figures
    show("an engine in a child process, per call (in this process)", f"{child[0]:.0f} us ({direct[0]:.1f} us)")
    show("  per megabyte read", f"{child[1]:.0f} us ({direct[1]:.0f} us)")
    show("  events per second, checks included, while 2,000 pings go round", f"{child[2]:,.0f} ({direct[2]:,.0f})")
    try:
        discover()
    except EngineError as missing:
        show("rptwin run on Renode against Unicorn", f"not measured: {missing.what}")
        return
    with installed() as environment:
        process(environment, "run", *PAIR)
        pairs = [
            (process(environment, "run", "--engine", "renode", *PAIR)[0], process(environment, "run", *PAIR)[0])
            for _round in range(3)
        ]
    renode, unicorn = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    show("rptwin run on Renode against Unicorn", f"{renode:.1f} s against {unicorn:.2f} s, {ratio:.1f} times")


def snapshots() -> None:
    """A snapshot of the demo pair and going back to it, each after some messages."""
    with Board(main=PAIR[0], remote=PAIR[1]) as board:
        board.run()
        first = board.snapshot()
        engine: list[tuple[float, float]] = []
        whole: list[tuple[float, float]] = []
        for figures, of in ((engine, board.engine), (whole, board)):
            begin = first.engine if of is board.engine else first
            for _round in range(10 * ROUNDS):
                board.consoles["main"].write(b"ping 5 64\n")
                board.engine.run(2_000_000)
                figures.append((clock(of.snapshot), clock(functools.partial(of.restore, begin))))
            board.restore(first)
    for what, figures, aim in (
        ("a snapshot of the board, and going back", engine, " (aim: under 1 ms each)"),
        ("  with what was observed", whole, ""),
    ):
        taken, back = (statistics.median(each) * 1e3 for each in zip(*figures, strict=True))
        show(what, f"{taken:.2f} ms, {back:.2f} ms{aim}")


def observing() -> None:
    """Pings while the table, the rings and the buffers are observed access by access, against the same unobserved."""
    table, carveout = Extent(0x3004_0000, 0x110), Extent(0x3004_1000, 0x3000)
    rings = (Extent(0x3004_1000, 0xE6), Extent(0x3004_10F0, 0xE6))

    def pings(*, observed: bool) -> float:
        with Board(main=PAIR[0], remote=PAIR[1]) as board:
            board.run()
            if observed:
                assert isinstance(board.engine, Observing)
                board.engine.observe("buffers", "cpu_cm7", carveout, merge=True)
                for number, extent in enumerate((table, *rings)):
                    board.engine.observe(f"words {number}", "cpu_cm7", extent)
            board.consoles["main"].write(b"ping 500 64\n")
            return clock(lambda: board.run_for("150 ms"))

    pairs = [(pings(observed=False), pings(observed=True)) for _round in range(ROUNDS)]
    ratio = statistics.median(seen / unseen for unseen, seen in pairs)
    show("pings with every access to their memory observed, time against unobserved", f"{ratio:.2f} (aim: under 1.05)")


def rates() -> None:
    """What firmware does all the time, how often a second."""
    for what in RATES:
        show(what, f"{statistics.median(rate_of(what) for _round in range(3)):,.0f}")


def queues() -> None:
    """Messages of 64 bytes: both sides of a virtqueue in Python, and a remote's echo under the Python host."""
    messages = 5_000
    costs = {}
    for num in SIZES:
        run = passing(num)
        run(messages)
        costs[num] = statistics.median(clock(lambda r=run: r(messages)) for _round in range(ROUNDS)) / messages
    show("messages/s from driver to device and back, in Python, split ring", f"{1 / costs[SIZES[1]]:,.0f}")
    run = passing(SIZES[1], packed=True)
    packed = statistics.median(clock(lambda: run(messages)) for _round in range(ROUNDS)) / messages
    show("  packed ring", f"{1 / packed:,.0f}")
    growth = ", ".join(f"{num}: {costs[num] / costs[SIZES[0]]:.2f}" for num in SIZES)
    show("  cost per message by queue size, against 2 entries", f"{growth} (aim: flat)")
    for window in (1, 8):
        answer = echo(PAIR[1], 500, window)
        answer()
        took = statistics.median(clock(answer) for _round in range(3))
        show(f"messages/s echoed by an emulated remote, {window} under way", f"{500 / took:,.0f}")


def vhost_user() -> None:
    """Frames over vhost-user, against DPDK's testpmd on the other processor, and of testpmd against testpmd."""
    why = vhost.missing()
    if why is not None:
        show("frames/s through vhost-user, echoed", f"not measured: {why}")
        return
    ours, theirs = vhost.of_ours(), vhost.of_dpdk()
    show("frames/s that DPDK's driver has back over vhost-user: our device, DPDK's", f"{ours:,.0f}, {theirs:,.0f}")
    show("round trips/s of one frame from our driver to DPDK's device", f"{vhost.round_trips():,.0f}")
    pair = [ROOT / "firmware/build/stm32h745/net" / name for name in ("main.elf", "remote.elf")]
    if all(each.is_file() for each in pair):
        waits, goes_on = (vhost.of_board(*pair, waits=each) for each in (True, False))
        show("  frames/s of an emulated Cortex-M4: time waits, time goes on", f"{waits:,.0f}, {goes_on:,.0f}")


def length() -> None:
    """A run of ten times the length: the cores work all the time, exchanging nothing."""
    board = board_of(BUSY)
    board.run(20_000_000)
    short = clock(lambda: board.run(200_000_000))
    long = clock(lambda: board.run(2_000_000_000))
    show("a busy run of 10 x the virtual length", f"{long / short:.1f} x the time")
    pair = [ROOT / "firmware/build/stm32h745/stuck-lock" / name for name in ("main.elf", "remote.elf")]
    if all(each.is_file() for each in pair):
        with installed() as environment:
            one, ten = (process(environment, "run", *pair, "--timeout", timeout) for timeout in ("5 s", "50 s"))
        show("  a run that never comes up, 50 s virtual against 5 s: memory", f"{ten[1] / one[1]:.2f} x")


def schedules() -> None:
    """How many schedules of the demo are explored in a second, on every processor of this machine."""
    main, remote = PAIR

    def board_of_schedule(schedule: Schedule) -> Board:
        return Board(main=main, remote=remote, schedule=schedule)

    found = explore(board_of_schedule, Bounds(count=300, wall_s=60))
    rate = len(found.tried) / found.seconds
    show("explore, demo: schedules a second (aim: 200)", f"{rate:.0f}, on {os.cpu_count()} processors")


def coherence() -> None:
    """A model of the M7's data cache against none."""
    for what, ratio in costs(ROOT / "firmware/build/stm32h745").items():
        show(f"{what}, against without", f"{ratio:.2f} times as long (aim: under 3)")


def against_qemu() -> None:
    """The same pair and the same work on QEMU; ratios above 1: Unicorn is the faster one."""
    try:
        find_qemu()
    except EngineError as missing:
        show("rptwin run on QEMU against Unicorn", f"not measured: {missing.what}")
        return
    pair = [ROOT / "firmware/build/mps2_an521/demo" / name for name in ("main.elf", "remote.elf")]
    arguments = ("run", "--platform", "mps2_an521", "--engine")
    with installed() as environment:
        process(environment, *arguments, "unicorn", *pair)
        runs = [
            [process(environment, *arguments, engine, *pair)[0] for engine in ("unicorn", "qemu")]
            for _round in range(ROUNDS)
        ]
    ratio = statistics.median(qemu / unicorn for unicorn, qemu in runs)
    show("process start to verdict, QEMU's time by Unicorn's (aim: 1 or more)", f"{ratio:.2f}")
    figures = []
    for engine in ("unicorn", "qemu"):
        with Board("mps2_an521", main=pair[0], remote=pair[1], engine=engine) as board:
            board.run()
            before = sum(board.engine.instructions(core.name) for core in board.platform.cores)
            board.consoles["main"].write(b"ping 500 400\r")
            took = clock(functools.partial(board.run, "main:500 good", "60 s"))
            after = sum(board.engine.instructions(core.name) for core in board.platform.cores)
        figures.append((took, (after - before) / took / 1e6))
    show("  500 pings of 400 bytes, checked, QEMU's time by Unicorn's", f"{figures[1][0] / figures[0][0]:.2f}")
    show("  of virtual instructions each second: Unicorn, QEMU", f"{figures[0][1]:.1f}, {figures[1][1]:.1f} M/s")


def main() -> None:
    """Print the table."""
    overhead()
    mixed()
    idle()
    rates()
    command()
    engines()
    snapshots()
    observing()
    coherence()
    schedules()
    against_qemu()
    queues()
    vhost_user()
    length()


main()
