"""What ``rptwin platforms`` and ``rptwin checks`` print."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from orchestrator.base.errors import UsageError
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.rule import Rule
from orchestrator.engines.registry import ENGINES, obstacle
from orchestrator.platform import available_platforms, load_platform
from orchestrator.report.terminal import make_console, make_table, rendered

__all__ = ["print_platforms", "print_rules"]


def print_platforms() -> None:
    """Each platform with its cores and their roles, and which engines run it here, or why not."""
    table = make_table("platform", "cores", "engines", "description")
    obstacles: dict[tuple[str, str], list[str]] = {}
    for name in available_platforms():
        platform = load_platform(name)
        cores = "\n".join(f"{core.name} {core.model} ({platform.role_of(core.name)})" for core in platform.cores)
        why = {engine: obstacle(engine, platform) for engine in ENGINES}
        table.add_row(name, cores, "\n".join(each for each in ENGINES if why[each] is None), platform.description)
        for engine, text in why.items():
            if text is not None:
                obstacles.setdefault((engine, text), []).append(name)
    sys.stdout.write(rendered(make_console(), lambda console: console.print(table)))
    for (engine, text), names in obstacles.items():
        sys.stdout.write(f"{engine} does not run {', '.join(names)}: {text}\n")


def print_rules(beginning: str) -> None:
    """The rules whose id begins so; :class:`UsageError` when none does."""
    rules = [rule for rule in catalogue() if rule.id.startswith(beginning)]
    if not rules:
        raise UsageError("no such rule", found=beginning, advice="`rptwin checks` lists them all")

    def print_all(console: Console) -> None:
        for rule in rules:
            _print_rule(console, rule)

    sys.stdout.write(rendered(make_console(), print_all))


def _print_rule(console: Console, rule: Rule) -> None:
    title = Text.assemble((rule.id, "bold"), f"  {rule.stage.value}, {rule.severity.value}")
    for profile, severity in rule.severities.items():
        title.append(f", {profile.value}: {severity.value if severity else 'not applied'}")
    console.print(title)
    console.print(Padding(Text(rule.description.replace("\n", " ").replace("``", "`")), (0, 0, 0, 4)))
    console.print(Padding(Text(f"source: {rule.source}", style="dim"), (0, 0, 0, 4)))
