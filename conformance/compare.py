"""Program by program: equal, by the manual, or different."""

from __future__ import annotations

import difflib
import enum
import itertools
from dataclasses import dataclass

from conformance.images import CoreType, Selection
from conformance.on_qemu import run_on_qemu
from conformance.on_unicorn import run_on_unicorn
from conformance.sequences import MOST_AT_ONCE, generate
from conformance.transcript import Program

__all__ = ["Case", "Result", "compare", "compare_sequences", "judge"]


class Result(enum.StrEnum):
    """How a case ended."""

    EQUAL = "equal"
    MANUAL = "manual"  # as the architecture's document says; QEMU is no reference for it
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Case:
    """One program on one core type; ``expected`` and ``seen`` are lines."""

    core: str
    name: str
    result: Result
    expected: tuple[str, ...]
    seen: tuple[str, ...]
    source: str

    def difference(self) -> list[str]:
        """What a reader needs to see."""
        return list(difflib.unified_diff(self.expected, self.seen, self.source, "engine", lineterm="", n=9))


def compare(core: CoreType) -> list[Case]:
    """Run the images of a core type on both; a case is what it is at its worst quantum."""
    reference = run_on_qemu(core)
    runs = [judge(core, reference, run_on_unicorn(core, quantum_ns=quantum)) for quantum in core.quanta_ns]
    everything = [case for run in runs for case in run]
    worst = {case.name: case for case in sorted(everything, key=lambda case: case.result is Result.DIFFERENT)}
    return [worst[name] for name in sorted(worst)]


def compare_sequences(core: CoreType, seed: int, count: int) -> list[Case]:
    """The sequences of a seed that do not leave the same behind, in the order of their numbers; quanta take turns."""
    different = []
    everything = generate(seed, count, cores=len(core.stems))
    batch = MOST_AT_ONCE if len(core.quanta_ns) == 1 else MOST_AT_ONCE // 2
    for first, quantum in zip(range(0, count, batch), itertools.cycle(core.quanta_ns), strict=False):
        sequences = tuple(everything[first : first + batch])
        selection = Selection(sequences=sequences)
        reference, seen = run_on_qemu(core, selection), run_on_unicorn(core, selection, quantum_ns=quantum)
        for index, sequence in enumerate(sequences):
            expected, actual = (tuple(run[index].lines) if index < len(run) else () for run in (reference, seen))
            if expected != actual or not expected:
                name = f"sequence {first + index} of seed {seed}: {sequence.listing()}"
                different.append(Case(core.name, name, Result.DIFFERENT, expected, actual, "QEMU"))
    return different


def judge(core: CoreType, reference: list[Program], seen: list[Program]) -> list[Case]:
    """A case for each program of either run."""
    by_name = {program.name: program for program in seen}
    cases = [_by_manual(core, program) for program in seen if program.source is not None]
    for program in reference:
        other = by_name.get(program.name)
        lines = tuple(other.lines) if other is not None else ("-- did not run",)
        # No line at all is no observation.
        same = lines == tuple(program.lines) and bool(lines) and not any(line.startswith("-- ") for line in lines)
        result = Result.EQUAL if same else Result.DIFFERENT
        cases.append(Case(core.name, program.name, result, tuple(program.lines), lines, "QEMU"))
    known = {program.name for program in reference}
    for program in seen:
        if program.source is None and program.name not in known:
            cases.append(
                Case(core.name, program.name, Result.DIFFERENT, ("-- did not run",), tuple(program.lines), "QEMU")
            )
    return sorted(cases, key=lambda case: case.name)


def _by_manual(core: CoreType, program: Program) -> Case:
    result = Result.MANUAL if program.lines == program.expected else Result.DIFFERENT
    source = program.source or ""
    return Case(core.name, program.name, result, tuple(program.expected), tuple(program.lines), source)
