"""Findings as GitHub's workflow commands: lines of a job's log that become annotations of a change's files."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.finding import Finding, Severity
from orchestrator.report.record import Record
from orchestrator.report.sources import SourcePaths

__all__ = ["to_github"]

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def to_github(record: Record) -> str:
    """A line for each cause (``::error file=...,line=...,title=RULE::text``), and for the verdict where it is bad."""
    return "".join(f"{line}\n" for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    for pair in record.pairs:
        paths = SourcePaths.of(pair.images)
        causes = pair.verdict.causes
        for cause in causes:
            yield _line(cause.finding, len(cause.consequences), paths)
        if pair.verdict.exit_code and not causes:
            yield f"::error title=rptwin::{_text(f'{pair.verdict.headline} ({pair.end})')}"


def _line(finding: Finding, consequences: int, paths: SourcePaths) -> str:
    properties = {}
    if (line := finding.source_line) is not None:
        properties = {"file": paths.path_of(line), "line": str(line.line)}
    properties["title"] = finding.rule
    text = f"{finding.subject or finding.rule}: expected {finding.expected}, found {finding.actual}; {finding.advice}"
    text += f" (and {consequences} that follow)" if consequences else ""
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {given}::{_text(text)}"


def _text(text: str) -> str:
    """What ends a command, or begins an escape, as an escape."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
