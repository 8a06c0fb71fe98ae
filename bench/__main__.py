"""Every figure once, as ratios of what was measured in turn where a ratio says more than a time.

Times are medians of several rounds; two things that are compared take turns, so that a machine whose speed drifts
slows both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.programs import BUSY, CALLS, SELF, SLEEP, board_of, raw_cores

ROOT = Path(__file__).parent.parent
QUANTUM_NS = 20_000
ROUNDS = 7


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
    show("two busy cores, instructions/s against raw Unicorn in slices of 20 us", f"{ratio:.0%} (aim: 85 % or more)")
    show("  engine", f"{engine_rate:.0f} M/s")
    show("  raw Unicorn, emu_start(count=2000) through its own binding", f"{raw_rate:.0f} M/s")


def idle() -> None:
    """Ten virtual seconds in which nobody does anything."""
    ten = 10_000_000_000
    for what, program, tick, aim in (
        ("both cores in WFI, no timer", SLEEP, None, "0.1"),
        ("both in `b .`, SysTick at 1 kHz", SELF, 1_000, "2"),
        ("both in a loop that calls an empty function, SysTick at 1 kHz", CALLS, 1_000, "2"),
    ):
        board = board_of(program, tick_hz=tick)
        show(f"10 s virtual: {what}", f"{clock(lambda b=board: b.run(ten)):.3f} s (aim: under {aim} s)")


def process(*arguments: str) -> tuple[float, float]:
    """Wall seconds and peak MB of a command."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begin
    return took, int(done.stderr.split()[-1]) / 1024


_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def command() -> None:
    """`rptwin run` on the demo pair, whole process."""
    pair = [str(ROOT / "firmware/build/demo" / name) for name in ("main.elf", "remote.elf")]
    runs = [process("run", *pair) for _round in range(ROUNDS)]
    show("rptwin run on the demo pair, process start to verdict", f"{statistics.median(t for t, _ in runs):.2f} s")
    show("  peak resident memory", f"{max(m for _, m in runs):.0f} MB (aim: under 200 MB)")
    imports = [process("--version")[0] for _round in range(ROUNDS)]
    show("  of which starting Python and the command line", f"{statistics.median(imports):.2f} s")


def length() -> None:
    """A run of ten times the length: the cores work all the time, exchanging nothing."""
    board = board_of(BUSY)
    board.run(20_000_000)
    short = clock(lambda: board.run(200_000_000))
    long = clock(lambda: board.run(2_000_000_000))
    show("a busy run of 10 x the virtual length", f"{long / short:.1f} x the time")
    pair = [str(ROOT / "firmware/build/stuck-lock" / name) for name in ("main.elf", "remote.elf")]
    if all(Path(each).is_file() for each in pair):
        one, ten = process("run", *pair, "--timeout", "5 s"), process("run", *pair, "--timeout", "50 s")
        show("  a run that never comes up, 50 s virtual against 5 s: memory", f"{ten[1] / one[1]:.2f} x")


def main() -> None:
    """Print the table."""
    overhead()
    idle()
    command()
    length()


main()
