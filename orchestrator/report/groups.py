"""Findings in the order in which a person reads them: each cause with what follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.checks.finding import Finding

__all__ = ["Cause", "causes_of"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding that nothing else explains, and those that it explains, directly or not."""

    finding: Finding
    consequences: tuple[Finding, ...]


def causes_of(findings: Sequence[Finding]) -> Iterator[Cause]:
    """Group findings by root, errors before warnings before notes, otherwise in the order given."""
    order = ("error", "warning", "note")
    roots = sorted((f for f in findings if f.because_of is None), key=lambda f: order.index(f.severity.value))
    for root in roots:
        yield Cause(root, tuple(f for f in findings if f.because_of is not None and f.root == root))
