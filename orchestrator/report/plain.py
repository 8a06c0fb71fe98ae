"""Findings as plain lines, for the message of a failed test."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.checks.causes import causes_of
from orchestrator.checks.finding import Finding
from orchestrator.report.sources import SourcePaths, frame_texts

__all__ = ["plain_findings"]


def plain_findings(findings: Sequence[Finding], paths: SourcePaths | None = None) -> str:
    """Each cause in a line of its own, its line of source, details and what follows from it indented beneath."""
    lines = []
    paths = paths or SourcePaths()
    for cause in causes_of(findings):
        line = cause.finding.source_line
        lines.append(f"{cause.finding.severity.value}: {cause.finding}")
        lines += [f"    at {paths.text(line)}"] if line is not None else []
        lines += [f"    {each}" for each in (*cause.finding.detail, *frame_texts(cause.finding, paths))]
        lines += [
            f"    hence {each.rule}: expected {each.expected}, found {each.actual}" for each in cause.consequences
        ]
    return "\n".join(lines) or "no findings"
