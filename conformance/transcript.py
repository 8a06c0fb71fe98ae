"""What an image printed, by program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["COLD", "END", "HANGS", "LOCKS_UP", "Program", "parse"]

END = "== end"
COLD = "== cold"  # the program that began must be the first to run
LOCKS_UP = "-- locks up"
HANGS = "-- hangs"


@dataclass(slots=True)
class Program:
    """One program's lines. ``expected`` stands in the image itself where QEMU is no reference; ``source`` says why."""

    name: str
    number: int
    lines: list[str] = field(default_factory=list)
    source: str | None = None
    expected: list[str] = field(default_factory=list)


def parse(lines: Iterable[str]) -> list[Program]:
    """Programs in the order in which they ran (``harness.c`` writes the marks)."""
    programs: list[Program] = []
    for line in lines:
        if line in (COLD, END):
            break
        if line.startswith("== by "):
            programs[-1].source = line.removeprefix("== by ")
        elif line == "== seen":
            programs[-1].expected, programs[-1].lines = programs[-1].lines, []
        elif line.startswith("== "):
            _mark, name, number = line.split()
            programs.append(Program(name, int(number, 16)))
        elif programs:
            programs[-1].lines.append(line)
    return programs
