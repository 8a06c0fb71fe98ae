"""``python -m mutation``: faults by chance into each part, the part's own tests on each, and a score.

A fault is noticed when a test fails, or takes many times as long as without it. A fault is run with the tests that
reach it, the likeliest first, until one notices. The same seed takes the same faults. Exit code 1 where a part has
less than what is wanted of it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mutation.child import NOT_EXCHANGED, ROOT, Done, Tests, ended, started
from mutation.mutants import Mutant, mutants
from mutation.reach import PACKAGE

SLOWER = 10  # times as long as while it was followed: a test that does not end
LEAST_S = 20.0  # of wall time for a test


@dataclass(frozen=True, slots=True)
class Part:
    """Modules, by pattern below ``orchestrator/``, and the tests that are to notice, as pytest takes them."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


# Rings and tables full of anything: that nothing fails says little of what is found, and takes long to follow.
_JUDGED = ("tests/unit/observe", "tests/unit/checks", "--ignore=tests/unit/checks/test_hostile.py")
PARTS = (
    Part("formats", ("formats/**/*.py",), ("tests/unit/formats",)),
    Part("virtqueue", ("virtqueue/**/*.py",), ("tests/unit/virtqueue",)),
    Part("observe", ("observe/*.py",), _JUDGED),
    Part("checks", ("checks/**/*.py",), _JUDGED),
    Part(
        "exceptions",
        tuple(f"engines/unicorn/cpu/{name}.py" for name in ("nvic", "exceptions", "diagnosis", "fault_record")),
        ("tests/unit/engines/unicorn/cpu",),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one fault: did a test notice, of how many that were to, and was it by its time?"""

    mutant: Mutant
    noticed: bool
    tests: int
    out_of_time: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Faults that no test noticed, a line each, and the score of each part."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=main.__doc__)
    parser.add_argument("--count", type=int, default=60, help="faults for each part (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--wanted", type=float, default=0.9, help="of all faults, how many are to be noticed")
    parser.add_argument(
        "--each-rule",
        type=int,
        default=0,
        metavar="N",
        help="instead of by chance from all: N faults in the conditions of a rule",
    )
    parser.add_argument(
        "--most", type=int, help="of the tests that reach a fault, so many, the likeliest; default: all"
    )
    parser.add_argument("--tests", metavar="PATH", nargs="+", help="these instead of the part's own")
    parser.add_argument("--only", metavar="TEXT", action="append", help="of those, the ones at this module:line")
    parser.add_argument("--verbose", action="store_true", help="a line for each fault as it is done")
    parser.add_argument("parts", nargs="*", choices=[[], *(part.name for part in PARTS)], help="all, unless named")
    given = parser.parse_args(arguments)
    scores: list[float] = []
    parts = [part for part in PARTS if part.name in given.parts or not given.parts]
    if given.tests:
        parts = [replace(part, tests=tuple(given.tests)) for part in parts]
    for tests in dict.fromkeys(part.tests for part in parts):
        with tempfile.TemporaryDirectory() as folder:
            running = Tests(tests, Path(folder))
            for part in parts:
                if part.tests == tests:
                    scores += _scores(part, running, Path(folder), given)
            running.close()
    return int(min(scores, default=0.0) < given.wanted)


def _scores(part: Part, tests: Tests, folder: Path, given: argparse.Namespace) -> Iterator[float]:
    """Of faults by chance, and of those in each rule where the part has any."""
    every = [each for path in _paths(part) for each in mutants(_module(path), path.read_text(encoding="utf-8"))]
    chance = random.Random(given.seed)
    taken = chance.sample(every, min(given.count, len(every)))
    of_rules = list(_of_each_rule(every, given.each_rule, chance))
    for name, some in ((part.name, taken), (f"{part.name}, each rule", of_rules)):
        chosen = [each for each in some if not given.only or f"{each.module}:{each.line}" in given.only]
        if chosen:
            yield _score(name, chosen, len(every), tests, folder, given)


def _of_each_rule(every: list[Mutant], count: int, chance: random.Random) -> Iterator[Mutant]:
    """Of each rule this many faults in what decides."""
    for rule_id in sorted({each.rule for each in every} - {""}):
        found = [each for each in every if each.rule == rule_id and each.is_condition]
        yield from chance.sample(found, min(count, len(found)))


def _score(name: str, taken: list[Mutant], of: int, tests: Tests, folder: Path, given: argparse.Namespace) -> float:
    outcomes = []
    for each in _outcomes(taken, tests, folder, given.jobs, given.most):
        outcomes.append(each)
        place = f"{each.mutant.module}:{each.mutant.line}: {each.mutant.what}"
        if each.mutant.rule:
            place += f" ({each.mutant.rule})"
        if not each.noticed:
            print(f"  not noticed: {place}: {each.tests} tests reach it", flush=True)
        elif given.verbose:
            print(f"  noticed{' by its time' if each.out_of_time else ''}: {place}", flush=True)
    noticed = sum(each.noticed for each in outcomes)
    late = sum(each.out_of_time for each in outcomes)
    score = noticed / len(outcomes)
    print(f"{name}: {noticed} of {len(outcomes)} noticed ({score:.0%}), {late} by their time, of {of} faults")
    sys.stdout.flush()
    return score


def _outcomes(taken: list[Mutant], tests: Tests, folder: Path, jobs: int, most: int | None) -> Iterator[Outcome]:
    """In the order of the faults; this many at a time."""
    running: deque[tuple[Mutant, dict[str, float], Path]] = deque()
    for n, mutant in enumerate(taken):
        if len(running) == jobs:
            yield _ended(tests, *running.popleft())
        chosen = tests.reach.tests(_path(mutant.module), mutant.function)[:most]
        limits = {each: max(LEAST_S, SLOWER * tests.reach.seconds[each]) for each in chosen}
        output = folder / f"{mutant.module}-{n}.txt"
        if mutant.function and chosen:
            tests.begin(mutant, limits, output)
            running.append((mutant, limits, output))
            continue
        while running:
            yield _ended(tests, *running.popleft())
        yield _loaded(mutant, limits, output) if chosen else Outcome(mutant, noticed=False, tests=0)
    while running:
        yield _ended(tests, *running.popleft())


def _ended(tests: Tests, mutant: Mutant, limits: dict[str, float], output: Path) -> Outcome:
    done = tests.end(output)
    if done.code == NOT_EXCHANGED:
        return _loaded(mutant, limits, output)
    return Outcome(mutant, done.code != 0, len(limits), done.was_out_of_time)


def _loaded(mutant: Mutant, limits: dict[str, float], output: Path) -> Outcome:
    """In a process that loads the module with its fault."""
    files = sorted({each.split("::")[0] for each in limits})
    done = ended(started(output, files, mutant, limits), output)
    if done.code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not _is_of_the_fault(done):
        raise SystemExit(f"{mutant.module}:{mutant.line}: pytest ends with {done.code}\n{done.text}")
    return Outcome(mutant, done.code != 0, len(limits), done.was_out_of_time)


def _is_of_the_fault(done: Done) -> bool:
    """A module with a fault that cannot be loaded, or that brings down its process, is noticed too."""
    return done.code < 0 or done.code in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)


def _paths(part: Part) -> list[Path]:
    return sorted({path for pattern in part.modules for path in PACKAGE.glob(pattern)})


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


if __name__ == "__main__":
    sys.exit(main())
