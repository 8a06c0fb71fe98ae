"""``python -m fuzz``: every target for its share of the time, the counts, and exit code 1 when anything was found."""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from fuzz.images import Images
from fuzz.instructions import Instructions
from fuzz.parsers import PARSERS
from fuzz.rings import Layouts, Rings
from fuzz.target import BrokenError, Target, only_typed

LONGEST_S = 20.0  # of wall time for one input of a parser; a board has its own limit
_MOST_KEPT = 20  # findings of one target that are written down
_TURNS = 20  # that each target has within the time

TARGETS: tuple[Target, ...] = (*PARSERS, Rings(), Layouts(), Images(), Instructions())


def main(arguments: Sequence[str] | None = None) -> int:
    """0: nothing was found; 1: something was, and lies in the folder; 2: could not run."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=names, action="append", help="this target; repeatable")
    parser.add_argument("--number", type=int, help="of one input, which is used once and its error shown whole")
    parser.add_argument("--count", type=int, help="inputs of each target, however long they take")
    parser.add_argument("--output", type=Path, default=Path("fuzz-findings"), help="folder for what is found")
    given = parser.parse_args(arguments)
    targets = [target for target in TARGETS if target.name in (given.only or names)]
    if any(isinstance(each, Instructions) for each in targets) and (missing := Instructions.obstacle()):
        if given.only:
            print(missing, file=sys.stderr)
            return 2
        print(f"without instructions: {missing}")
        targets = [each for each in targets if not isinstance(each, Instructions)]
    runs = [Run(target, given.seed, given.output) for target in targets]
    if given.number is not None:
        for run in runs:
            run.number = given.number
            run.take()
    elif given.count is not None:
        for run in runs:
            for _ in range(given.count):
                run.take()
    else:
        _share(runs, given.seconds)
    for run in runs:
        print(f"{run.target.name:14} {run.taken:8} inputs {run.refused:8} refused {run.found:4} findings")
    return int(any(run.found for run in runs))


class Run:
    """One target, from its first input of a seed on."""

    def __init__(self, target: Target, seed: int, output: Path) -> None:
        self.target = target
        self.number = self.taken = self.refused = self.found = 0
        self._seed = seed
        self._output = output

    def take(self) -> None:
        """The next input."""
        number, self.number = self.number, self.number + 1
        self.taken += 1
        data = self.target.make(random.Random(f"{self._seed}/{self.target.name}/{number}"))
        try:
            with _bounded(self.target):
                self.target.check(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, it is what is looked for
            if only_typed(error):
                self.refused += 1
            else:
                self._keep(number, data, error)

    def _keep(self, number: int, data: bytes, error: BaseException) -> None:
        self.found += 1
        command = f"python -m fuzz --seed {self._seed} --only {self.target.name} --number {number}"
        words = str(error) if isinstance(error, BrokenError) else "".join(traceback.format_exception(error)[-12:])
        print(f"\n{self.target.name} {number}: {command}\n{words.rstrip()}", flush=True)
        if self.found <= _MOST_KEPT:
            self._output.mkdir(parents=True, exist_ok=True)
            name = f"{self.target.name}-{self._seed}-{number}"
            (self._output / name).write_bytes(data)
            (self._output / f"{name}.txt").write_text(f"{command}\n\n{words}\n", encoding="utf-8")


def _share(runs: Sequence[Run], seconds: float) -> None:
    """Each target takes inputs for as long as any other, one at least."""
    for _ in range(_TURNS):
        for run in runs:
            end = time.monotonic() + seconds / _TURNS / len(runs)
            run.take()
            while time.monotonic() < end:
                run.take()


@contextlib.contextmanager
def _bounded(target: Target) -> Iterator[None]:
    """What takes too long is a finding; boards and QEMU bound themselves."""
    if target.name in ("images", "instructions"):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise BrokenError(f"took more than {LONGEST_S:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    sys.exit(main())
