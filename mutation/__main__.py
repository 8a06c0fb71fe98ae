"""``python -m mutation``: faults by chance into each part, the part's own tests on each, and a score.

A fault is noticed when a test fails, or none comes to an end in time. The same seed takes the same faults. Exit code 1
where a part has less than what is wanted of it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutation.mutants import Mutant, mutants
from mutation.plugin import VARIABLE

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 300.0  # of wall time: many times what the tests of a part take


@dataclass(frozen=True, slots=True)
class Part:
    """Modules, by pattern below ``orchestrator/``, and the tests that are to notice."""

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = (
    Part("formats", ("formats/**/*.py",), ("tests/unit/formats",)),
    Part("virtqueue", ("virtqueue/**/*.py",), ("tests/unit/virtqueue",)),
    Part("observe", ("observe/*.py",), ("tests/unit/checks",)),
    Part("checks", ("checks/**/*.py",), ("tests/unit/checks",)),
    Part(
        "exceptions",
        tuple(f"engines/unicorn/cpu/{name}.py" for name in ("nvic", "exceptions", "diagnosis", "fault_record")),
        ("tests/unit/engines/unicorn",),
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Faults that no test noticed, a line each, and the score of each part."""
    parser = argparse.ArgumentParser(prog="python -m mutation", description=main.__doc__)
    parser.add_argument("--count", type=int, default=60, help="faults for each part (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--wanted", type=float, default=0.9, help="of all faults, how many are to be noticed")
    parser.add_argument("parts", nargs="*", choices=[[], *(part.name for part in PARTS)], help="all, unless named")
    given = parser.parse_args(arguments)
    scores = []
    for part in PARTS:
        if part.name in given.parts or not given.parts:
            scores.append(_score(part, given.count, given.seed, given.jobs))
    return int(min(scores) < given.wanted)


def _score(part: Part, count: int, seed: int, jobs: int) -> float:
    every = [each for path in _paths(part) for each in mutants(_module(path), path.read_text(encoding="utf-8"))]
    taken = random.Random(seed).sample(every, min(count, len(every)))
    if not _passes(part, None):
        raise SystemExit(f"{part.name}: its tests fail without a fault")
    with ThreadPoolExecutor(jobs) as pool:
        noticed = list(pool.map(lambda each: not _passes(part, each), taken))
    for each, was in zip(taken, noticed, strict=True):
        if not was:
            print(f"  not noticed: {each.module}:{each.line}: {each.what}", flush=True)
    score = sum(noticed) / len(taken)
    print(f"{part.name}: {sum(noticed)} of {len(taken)} noticed ({score:.0%}), of {len(every)} faults", flush=True)
    return score


def _paths(part: Part) -> list[Path]:
    return sorted({path for pattern in part.modules for path in (ROOT / "orchestrator").glob(pattern)})


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _passes(part: Part, mutant: Mutant | None) -> bool:
    environment = os.environ | ({VARIABLE: f"{mutant.module}:{mutant.number}"} if mutant is not None else {})
    options = ("-x", "-q", "-p", "mutation.plugin", "-p", "no:cacheprovider", "-p", "no:xdist")
    command = [sys.executable, "-m", "pytest", *options, *part.tests]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
