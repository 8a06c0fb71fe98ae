"""``rptwin inspect``: what images promise, judged without booting them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rich.console import Console

from orchestrator import __version__
from orchestrator.board import VectorTable, choose_vector_table
from orchestrator.checks.finding import Severity
from orchestrator.checks.promise import choose_profile, find_promise
from orchestrator.checks.static import check_static
from orchestrator.cli.judge import write_reports
from orchestrator.cli.root import COULD_NOT_RUN, complain
from orchestrator.config import Settings
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import Profile
from orchestrator.platform import load_platform
from orchestrator.platform.model import Platform
from orchestrator.report.findings import print_findings, summary
from orchestrator.report.images import print_image, print_promise
from orchestrator.report.terminal import make_console, rendered

__all__ = ["examine", "guess_role"]


def guess_role(platform: Platform, image: Image) -> str:
    """Which core an image is for: the one that boots from it, else the remote when it has a table, else main."""
    for role in platform.roles:
        boot = platform.core(role).boot_address
        if any(boot in segment.load_extent for segment in image.segments):
            return role
    return "remote" if any(section.name == ".resource_table" for section in image.sections) else "main"


def _roles(platform: Platform, first: Image, second: Image | None, given: str | None) -> dict[str, Image]:
    if second is None:
        return {given or guess_role(platform, first): first}
    if given is None:
        # Two files stand in the order of `rptwin run`, unless both say that it is the other way round.
        swapped = guess_role(platform, first) == "remote" and guess_role(platform, second) == "main"
        given = "remote" if swapped else "main"
    other = "remote" if given == "main" else "main"
    return {given: first, other: second}


def _vector_tables(platform: Platform, images: Mapping[str, Image], given: Mapping[str, int]) -> dict[str, VectorTable]:
    by_core = {platform.core(name).name: address for name, address in given.items()}
    return {
        role: choose_vector_table(core, image, by_core.get(core.name))
        for role, image in images.items()
        for core in (platform.core(role),)
    }


def examine(settings: Settings, first: str, second: str | None, role: str | None) -> int:
    """Print what the files promise and what is wrong with it: 0 good, 1 findings."""
    platform = load_platform(settings.platform)
    locator = None if settings.table is None else parse_locator(settings.table)
    images = _roles(platform, load_elf(first), load_elf(second) if second else None, role)
    boots = _vector_tables(platform, images, settings.vtor)
    promise = find_promise(images, locator)
    chosen, why = choose_profile(promise.scan)
    profile = chosen if settings.profile == "auto" else Profile(settings.profile)
    findings = check_static(images, platform=platform, profile=profile, locator=locator)

    def report(console: Console) -> None:
        for each, image in images.items():
            print_image(console, platform, each, image, boots[each])
        print_promise(console, promise, profile.value, why if settings.profile == "auto" else "given")
        print_findings(console, findings)
        console.print()
        console.print(summary(findings), style="bold")

    sys.stdout.write(rendered(make_console(), report))

    def document() -> str:
        facts = {
            "rptwin": __version__,
            "platform": platform.name,
            "files": {each: str(image.path) for each, image in images.items()},
            "profile": profile.value,
            "findings": [finding.to_json() for finding in findings],
        }
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"

    failures = write_reports([(settings.json, "JSON", document)])
    for failure in failures:
        complain(failure)
    if failures:
        return COULD_NOT_RUN
    return int(any(finding.severity is Severity.ERROR for finding in findings))
