"""Findings for people: each cause in full, what follows from it in a line each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.checks.causes import Cause, causes_of
from orchestrator.checks.finding import Finding, Severity
from orchestrator.report.terminal import heading, printable

__all__ = ["print_findings", "summary"]

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """All of them, grouped by cause; nothing when there are none."""
    for i, cause in enumerate(causes_of(findings)):
        if i == 0:
            heading(console, "Findings")
        else:
            console.print()
        _print_cause(console, cause)


def _print_cause(console: Console, cause: Cause) -> None:
    finding = cause.finding
    title = Text.assemble((f"{finding.severity.value:7}", STYLES[finding.severity]), " ", (finding.rule, "bold"))
    if finding.subject:
        title.append(f"  {printable(finding.subject)}")
    console.print(Padding(title, (0, 0, 0, 2)))
    facts = Table.grid(padding=(0, 1))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    rows = [("at", str(place)) for place in finding.at]
    rows += [("expected", finding.expected), ("found", finding.actual)]
    rows += [("", line) for line in finding.detail]
    rows += [("advice", finding.advice), ("source", finding.source)]
    rows += [
        ("so", f"{each.rule}  {each.subject}: expected {each.expected}, found {each.actual}")
        for each in cause.consequences
    ]
    for name, text in rows:
        facts.add_row(name, printable(text))
    console.print(Padding(facts, (0, 0, 0, 10)))


def summary(findings: Sequence[Finding]) -> str:
    """``1 error, 3 consequences, 2 warnings``, or ``no findings``."""
    causes = list(causes_of(findings))
    parts = []
    for severity in Severity:
        found = [cause for cause in causes if cause.finding.severity is severity]
        parts += _count(len(found), severity.value)
        parts += _count(sum(len(cause.consequences) for cause in found), "consequence")
    return ", ".join(parts) or "no findings"


def _count(number: int, what: str) -> list[str]:
    return [f"{number} {what}{'s' if number > 1 else ''}"] if number else []
