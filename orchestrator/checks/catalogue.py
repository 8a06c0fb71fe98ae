"""The catalogue: every rule, applied to a state or shown as a page; everything comes from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.checks.finding import Finding, Stage
from orchestrator.checks.rule import Rule
from orchestrator.checks.rules import RULES
from orchestrator.checks.state import State
from orchestrator.formats.resource_entry import Profile

__all__ = ["apply_rules", "catalogue", "render_catalogue"]

_STAGES = {
    Stage.STATIC: "What the images promise, before anything runs, and what stands in the table.",
    Stage.BOOT: "What the cores do, and how far the bring-up gets.",
    Stage.LIVE: "What stands in shared memory, as both cores see it.",
    Stage.TRAFFIC: "What goes through the rings, and who is told of it.",
}


def catalogue() -> tuple[Rule, ...]:
    """Every rule, by stage and name."""
    stages = list(Stage)
    return tuple(sorted(RULES, key=lambda each: (stages.index(each.stage), each.id)))


def apply_rules(state: State, stages: Iterable[Stage] = tuple(Stage)) -> tuple[Finding, ...]:
    """Every finding of these stages, unrelated so far, in the order of the catalogue."""
    wanted = frozenset(stages)
    return tuple(finding for each in catalogue() if each.stage in wanted for finding in each.apply(state))


def render_catalogue(examples: Mapping[str, Finding] | None = None) -> str:
    """Markdown, the same for the same rules; ``examples`` are findings to show, by rule."""
    lines = [
        "# Check catalogue",
        "",
        "Made from the rules in `orchestrator/checks/rules/` by `make docs`; do not edit.",
        "Each rule has a stable name. An error makes the verdict bad; a warning deserves a look; a note is a remark.",
    ]
    for stage, text in _STAGES.items():
        lines += ["", f"## {stage.value.capitalize()}", "", text]
        for each in catalogue():
            if each.stage is stage:
                lines += [
                    "",
                    f"### `{each.id}`",
                    "",
                    each.description,
                    "",
                    f"- {_severity(each)}",
                    f"- Source: {each.source}",
                    *(["- Not said of a run that was cut short"] if each.of_absence else []),
                    *_example((examples or {}).get(each.id)),
                ]
    return "\n".join(lines) + "\n"


def _example(finding: Finding | None) -> list[str]:
    return [] if finding is None else [f"- Example: `{finding}`"]


def _severity(rule: Rule) -> str:
    by_profile = [
        f"{profile.value}: {rule.severities[profile] or 'not applied'}"
        for profile in Profile
        if profile in rule.severities
    ]
    return f"Severity: {rule.severity.value}" + (f" ({', '.join(by_profile)})" if by_profile else "")
