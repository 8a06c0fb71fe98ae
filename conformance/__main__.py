"""``make conformance``: a table of every case on every core type, the differences, and the counts."""

from __future__ import annotations

import argparse
import sys

from conformance.compare import Case, Result, compare, compare_sequences
from conformance.images import CORE_TYPES, CoreType, build, missing_tools
from orchestrator.base.errors import RptwinError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: all as expected; 1: differences; 2: could not run."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("--core", choices=CORE_TYPES, action="append", help="this core type only")
    parser.add_argument("--only", default="", metavar="TEXT", help="show only cases with this text in their names")
    parser.add_argument("--sequences", type=int, default=128, metavar="N", help="random sequences for each core type")
    parser.add_argument("--seed", type=int, default=1, help="of the random sequences")
    parser.add_argument("--lines", action="store_true", help="print every line that was seen")
    chosen = parser.parse_args(arguments)
    missing = missing_tools()
    if missing is not None:
        print(missing, file=sys.stderr)
        return 2
    try:
        build()
        cores = [CORE_TYPES[name] for name in chosen.core or CORE_TYPES]
        cases = [case for core in cores for case in compare(core) if chosen.only in case.name]
        sequences = [case for core in cores for case in compare_sequences(core, chosen.seed, chosen.sequences)]
    except RptwinError as error:
        print(error, file=sys.stderr)
        return 2
    _print_table(cases, cores)
    for case in cases:
        if case.result is Result.DIFFERENT:
            print(f"\n{case.core} {case.name}")
            print("\n".join(case.difference()))
        elif chosen.lines:
            print(f"\n{case.core} {case.name}", *case.seen, sep="\n  ")
    for case in sequences:
        print(f"\n{case.core} {case.name}", *case.difference(), sep="\n")
    _print_counts(cases, cores)
    total = chosen.sequences * len(cores)
    print(f"random sequences of seed {chosen.seed}: {total - len(sequences)} equal, {len(sequences)} different")
    return 1 if sequences or any(case.result is Result.DIFFERENT for case in cases) else 0


def _print_table(cases: list[Case], cores: list[CoreType]) -> None:
    results = {(case.name, case.core): str(case.result) for case in cases}
    names = sorted({case.name for case in cases})
    width = max((len(name) for name in names), default=4)
    print(f"{'case':<{width}}  " + "  ".join(f"{core.title:<{_column(core)}}" for core in cores))
    for name in names:
        cells = (f"{results.get((name, core.name), '-'):<{_column(core)}}" for core in cores)
        print(f"{name:<{width}}  " + "  ".join(cells))


def _column(core: CoreType) -> int:
    return max(9, len(core.title))


def _print_counts(cases: list[Case], cores: list[CoreType]) -> None:
    print()
    for core in cores:
        mine = [case.result for case in cases if case.core == core.name]
        print(f"{core.title}: " + ", ".join(f"{mine.count(each)} {each}" for each in Result))
    compared = {case.name for case in cases if case.result is not Result.MANUAL}
    equal = compared - {case.name for case in cases if case.result is Result.DIFFERENT}
    manual = {case.name for case in cases if case.result is Result.MANUAL} - compared
    print(f"behaviours: {len(equal)} equal, {len(manual)} manual, {len(compared - equal)} different")


if __name__ == "__main__":
    sys.exit(main())
