"""Findings in the order in which a person reads them: each cause with what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.verdict import Cause

__all__ = ["causes_of"]


def causes_of(findings: Sequence[Finding]) -> Iterator[Cause]:
    """Group findings by root, errors before warnings before notes, otherwise in the order given."""
    order = list(Severity)
    roots = sorted((f for f in findings if f.because_of is None), key=lambda f: order.index(f.severity))
    for root in roots:
        yield Cause(root, tuple(f for f in findings if f.because_of is not None and f.root == root))
