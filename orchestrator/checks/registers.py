"""The names of registers in findings, where somebody has given them (``--svd``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.checks.finding import Finding
from orchestrator.platform.model import Platform

__all__ = ["with_registers"]


def with_registers(findings: Sequence[Finding], platform: Platform | None) -> tuple[Finding, ...]:
    """The same findings; each address of a register has its name behind it."""
    registers = None if platform is None else platform.registers
    if registers is None:
        return tuple(findings)
    renamed: dict[int, Finding] = {}

    def named(finding: Finding) -> Finding:
        """With its cause, which several may have."""
        if id(finding) not in renamed:
            renamed[id(finding)] = replace(
                finding,
                at=tuple(replace(at, path=at.path or registers.name_at(at.address) or "") for at in finding.at),
                expected=registers.named(str(finding.expected)),
                actual=registers.named(str(finding.actual)),
                advice=registers.named(finding.advice),
                detail=tuple(map(registers.named, finding.detail)),
                because_of=None if finding.because_of is None else named(finding.because_of),
            )
        return renamed[id(finding)]

    return tuple(map(named, findings))
