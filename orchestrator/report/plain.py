"""Findings as plain lines, for the message of a failed test."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.checks.causes import causes_of
from orchestrator.checks.finding import Finding

__all__ = ["plain_findings"]


def plain_findings(findings: Sequence[Finding]) -> str:
    """Each cause in a line of its own, with its details and what follows from it indented beneath."""
    lines = []
    for cause in causes_of(findings):
        lines.append(f"{cause.finding.severity.value}: {cause.finding}")
        lines += [f"    {line}" for line in cause.finding.detail]
        lines += [f"    so {each.rule}: expected {each.expected}, found {each.actual}" for each in cause.consequences]
    return "\n".join(lines) or "no findings"
