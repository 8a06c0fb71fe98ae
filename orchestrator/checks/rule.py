"""The registry of rules: each has one name, one source and one function, and everything else is made from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from itertools import islice
from typing import TypeVar

from orchestrator.base.dataclass import dataclass
from orchestrator.checks.finding import Finding, Severity, Stage, Violation
from orchestrator.checks.state import State
from orchestrator.formats.resource_entry import Profile

__all__ = ["MAX_FINDINGS_PER_RULE", "Rule", "registered", "rule"]

MAX_LEVELS = 8  # of a backtrace
MAX_FINDINGS_PER_RULE = 16  # a hostile table breaks a rule thousands of times; nobody reads past these

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise and how it is checked; ``severities`` holds the profiles that differ, None: not applied there.

    ``of_absence``: broken by what did not happen, so that a run that was cut short cannot tell.
    """

    id: str
    stage: Stage
    source: str
    severity: Severity
    description: str
    check: Callable[[State], Iterator[Violation]]
    severities: Mapping[Profile, Severity | None] = field(default_factory=dict)
    of_absence: bool = False

    def severity_in(self, profile: Profile) -> Severity | None:
        """How bad a violation is under a profile; None when the profile does not have the rule."""
        return self.severities.get(profile, self.severity)

    def apply(self, state: State) -> Iterator[Finding]:
        """The findings of this rule, at most ``MAX_FINDINGS_PER_RULE``."""
        severity = self.severity_in(state.profile)
        if severity is None or (self.of_absence and not state.tells_of_absence):
            return
        for each in islice(self.check(state), MAX_FINDINGS_PER_RULE):
            yield Finding(
                rule=self.id,
                severity=each.severity or severity,
                stage=self.stage,
                at=each.at,
                expected=each.expected,
                actual=each.actual,
                advice=each.advice,
                subject=each.subject or (each.at[0].path if each.at else ""),
                source=self.source,
                core=each.core,
                detail=each.detail,
                touches=each.touches,
                backtrace=each.backtrace[:MAX_LEVELS],
            )


_RULES: dict[str, Rule] = {}


def rule(
    id_: str,
    *,
    stage: Stage,
    source: str,
    each: Callable[[State], Iterable[T]],
    severity: Severity = Severity.ERROR,
    profiles: Mapping[Profile, Severity | None] | None = None,
    of_absence: bool = False,
) -> Callable[[Callable[[T], Iterator[Violation]]], Callable[[T], Iterator[Violation]]]:
    """Register a function that judges one of the subjects which ``each`` takes out of a state.

    Its docstring is the rule's description: one promise, in the indicative.
    """

    def register(judge: Callable[[T], Iterator[Violation]]) -> Callable[[T], Iterator[Violation]]:
        def check(state: State) -> Iterator[Violation]:
            for subject in each(state):
                yield from judge(subject)

        if id_ in _RULES:
            raise TypeError(f"rule {id_} is registered twice")
        description = inspect.cleandoc(judge.__doc__ or "")
        _RULES[id_] = Rule(id_, stage, source, severity, description, check, profiles or {}, of_absence)
        return judge

    return register


def registered() -> tuple[Rule, ...]:
    """The rules of the modules that were imported; :mod:`orchestrator.checks.rules` imports them all."""
    return tuple(_RULES.values())
