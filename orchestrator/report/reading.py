"""The report for people on memory that was read: the verdict, how it was looked at, what moved, what was not judged."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from orchestrator.base.durations import format_duration
from orchestrator.base.words import counted
from orchestrator.report.findings import print_findings
from orchestrator.report.record import Reading, Record
from orchestrator.report.sources import SourcePaths
from orchestrator.report.terminal import printable
from orchestrator.report.text import print_headline, print_tables

__all__ = ["print_reading"]


def print_reading(console: Console, record: Record, *, whole: bool = False, short: bool = False) -> None:
    """``whole``: every table, and each rule that was not applied; ``short``: the verdict and its findings only."""
    reading = record.reading
    assert reading is not None, "a record of memory that was read"
    print_headline(console, record, f"{record.platform.name}, {printable('; '.join(reading.sources))}")
    print_findings(console, record.verdict.findings, SourcePaths.of(record.images))
    if short:
        return
    console.print()
    for line in _lines(reading, whole=whole):
        console.print(Text(line), soft_wrap=True)
    print_tables(console, record, whole=whole)


def _lines(reading: Reading, *, whole: bool) -> list[str]:
    halted = ", ".join(f"{each} halted for {seconds * 1000:.0f} ms" for each, seconds in reading.halted_s.items())
    often = "once" if reading.looks == 1 else f"twice, {format_duration(reading.pause_ns)} apart"
    lines = [f"Read {often}." + (f" In the last look {halted}." if halted else "")]
    if reading.looks > 1:
        moved = (f"{path} (available +{by.avail}, used +{by.used})" for path, by in reading.moved.items() if any(by))
        lines.append(f"Moved in between: {', '.join(moved) or 'nothing'}.")
    for ring, count in reading.waiting.items():
        still = ", and nothing moved there" if reading.looks > 1 and ring not in reading.moving else ""
        lines.append(f"{ring}: {counted(count, 'message')} that the device has not returned{still}.")
    lines += [printable(each) for each in reading.notes]
    for reason, rules in reading.left_out_by_reason.items():
        names = f": {', '.join(rules)}" if whole else " (-v: which)"
        lines.append(f"Not applied, as that {reason}: {counted(len(rules), 'rule')}{names}.")
    return lines
