"""Findings for people: each cause in full, with its line of source, what follows from it in a line each."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.base.words import counted
from orchestrator.checks.causes import Cause, causes_of
from orchestrator.checks.finding import Finding, Severity
from orchestrator.report.links import links_of
from orchestrator.report.sources import SourcePaths, frame_texts, place_texts
from orchestrator.report.terminal import heading, printable

__all__ = ["print_findings", "summary"]

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_INDENT, _NAMES = 10, 9  # columns


def print_findings(console: Console, findings: Sequence[Finding], paths: SourcePaths | None = None) -> None:
    """All of them, grouped by cause; nothing when there are none."""
    for i, cause in enumerate(causes_of(findings)):
        if i == 0:
            heading(console, "Findings")
        else:
            console.print()
        _print_cause(console, cause, paths or SourcePaths())


def _print_cause(console: Console, cause: Cause, paths: SourcePaths) -> None:
    finding = cause.finding
    title = Text.assemble(f"  {finding.severity.value:7}", " ", (finding.rule, "bold"))
    title.stylize(STYLES[finding.severity], 2, 9)
    if finding.subject:
        title.append(f"  {printable(finding.subject)}")
    console.print(title)
    for name, text in _rows(cause, paths):
        _print_row(console, name, printable(text))


def _rows(cause: Cause, paths: SourcePaths) -> Iterator[tuple[str, str]]:
    finding = cause.finding
    yield from (("at", text) for text in place_texts(finding, paths))
    yield "expected", finding.expected
    yield "found", finding.actual
    yield from (("", line) for line in finding.detail)
    yield from (("from" if i == 0 else "", text) for i, text in enumerate(frame_texts(finding, paths)))
    yield "advice", finding.advice
    yield "source", finding.source
    yield from (("see", link) for link in links_of(finding.source + finding.advice))
    for each in cause.consequences:
        yield "hence", f"{each.rule}  {each.subject}: expected {each.expected}, found {each.actual}"


def _print_row(console: Console, name: str, text: str) -> None:
    """A row, in as many lines as it takes; a path or an address that is longer than a line stays in one piece."""
    width = max(20, console.width - _INDENT - _NAMES)
    pieces = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    for i, piece in enumerate(pieces):
        head = f"{name if i == 0 else '':{_NAMES}}"
        console.print(Text.assemble(" " * _INDENT, (head, "dim"), piece), soft_wrap=True)


def summary(findings: Sequence[Finding]) -> str:
    """``1 error, 3 consequences, 2 warnings``, or ``no findings``."""
    causes = list(causes_of(findings))
    parts = []
    for severity in Severity:
        found = [cause for cause in causes if cause.finding.severity is severity]
        consequences = sum(len(cause.consequences) for cause in found)
        for number, what in ((len(found), severity.value), (consequences, "consequence")):
            parts += [counted(number, what)] if number else []
    return ", ".join(parts) or "no findings"
