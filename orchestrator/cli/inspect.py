"""``rptwin inspect``: what images promise, judged without booting them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rich.console import Console

from orchestrator import __version__
from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.board import VectorTable, choose_vector_table, parse_release
from orchestrator.board.images import checked_maps, distinct_names, load_images
from orchestrator.board.mistakes import platforms_that_fit, refuse_mixed_up
from orchestrator.checks import Finding, Severity, check_static
from orchestrator.cli.errors import COULD_NOT_RUN, complain
from orchestrator.cli.failures import Clock, reported_failure
from orchestrator.cli.options import refuse_overwriting, some_image
from orchestrator.cli.running import named_options
from orchestrator.config import Settings
from orchestrator.formats.bare_image import load_image
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import Profile
from orchestrator.observe.declared import DeclaredTable, choose_profile, find_declared
from orchestrator.observe.given import parse_vrings
from orchestrator.observe.live import LiveView
from orchestrator.platform import Platform, load_platform, refuse_without_pair, with_memory
from orchestrator.report.documents import takes_standard_output
from orchestrator.report.files import Document, write_documents
from orchestrator.report.findings import print_findings, summary
from orchestrator.report.images import declared_view, print_declared, print_image
from orchestrator.report.json import SCHEMA
from orchestrator.report.sources import SourcePaths
from orchestrator.report.terminal import make_console, rendered

__all__ = ["guess_role", "inspect_images", "static_report"]


@dataclass(frozen=True, slots=True)
class _Examination:
    """Images, by role, and all that can be said of them without a board."""

    platform: Platform
    images: Mapping[str, Image]
    boots: Mapping[str, VectorTable]
    declared: DeclaredTable
    view: LiveView | None
    profile: Profile
    profile_reason: str
    findings: tuple[Finding, ...]

    def print(self, console: Console) -> None:
        for role, image in self.images.items():
            print_image(console, self.platform, role, image, self.boots[role])
        print_declared(console, self.declared, self.view, self.profile.value, self.profile_reason)
        self.print_findings(console)

    def print_findings(self, console: Console) -> None:
        print_findings(console, self.findings, SourcePaths.of(self.images))
        console.print()
        console.print(summary(self.findings), style="bold")

    def to_json(self) -> str:
        facts = {
            "rptwin": __version__,
            "schema": SCHEMA,
            "platform": self.platform.name,
            "files": {role: str(image.path) for role, image in self.images.items()},
            "profile": self.profile.value,
            "profile_reason": self.profile_reason,
            "findings": [finding.to_json() for finding in self.findings],
        }
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def guess_role(platform: Platform, image: Image) -> str:
    """Which core an image is for: the one that boots from it, else the remote when it has a table, else main."""
    for role in platform.roles:
        boot = platform.core(role).boot_address
        if any(boot in segment.load_extent for segment in image.segments):
            return role
    return "remote" if any(section.name == ".resource_table" for section in image.sections) else "main"


def _by_role(platform: Platform, first: Image, second: Image | None, given: str | None) -> dict[str, Image]:
    if second is None:
        return {given or guess_role(platform, first): first}
    if given is None:
        # Two files stand in the order of `rptwin run`, unless both say that it is the other way round.
        swapped = guess_role(platform, first) == "remote" and guess_role(platform, second) == "main"
        given = "remote" if swapped else "main"
    other = "remote" if given == "main" else "main"
    return {given: first, other: second}


def _examined(settings: Settings, first: str, second: str | None, role: str | None) -> _Examination:
    platform = with_memory(load_platform(settings.platform), settings.memory)
    refuse_without_pair(platform)
    locator = None if settings.table is None else parse_locator(settings.table)
    maps = checked_maps(platform, settings.map)
    names = distinct_names([first, *([second] if second else [])])
    loaded = [load_image(path, name=name) for path, name in zip((first, second), names, strict=False) if path]
    images = _by_role(platform, loaded[0], loaded[1] if len(loaded) > 1 else None, role)
    if not settings.vtor:
        refuse_mixed_up(platform, images)
    given = {platform.core(name).name: address for name, address in settings.vtor.items()}
    cores = {each: platform.core(each) for each in images}
    boots = {each: choose_vector_table(core, images[each], given.get(core.name)) for each, core in cores.items()}
    vrings = parse_vrings(settings.vrings)
    declared = find_declared(images, locator, vrings)
    profile, why = choose_profile(declared.scan)
    if settings.profile != "auto":
        profile, why = Profile(settings.profile), "given"
    tables = {each: boot.address for each, boot in boots.items()}
    return _Examination(
        platform=platform,
        images=images,
        boots=boots,
        declared=declared,
        view=declared_view(platform, declared, maps, parse_release(settings.nuttx_config)),
        profile=profile,
        profile_reason=why,
        findings=check_static(images, platform, profile, locator, maps=maps, vector_tables=tables, vrings=vrings),
    )


def refuse_other_chip(settings: Settings) -> None:
    """:class:`UsageError` where the images that settings name boot on another platform that comes with rptwin."""
    images = load_images(settings.main, settings.remote)
    fitting = platforms_that_fit(images, load_platform(settings.platform))
    if fitting:
        raise UsageError(
            "images of another chip",
            where=", ".join(str(image.path) for image in images.values()),
            expected=f"images of {settings.platform}",
            found=f"they fit {' and '.join(fitting)}",
            advice=" or ".join(f"--platform {each}" for each in fitting),
        )


def static_report(settings: Settings, *, findings_only: bool) -> str:
    """The report on the images that the settings name, for when they cannot be booted."""
    role = "remote" if settings.main is None else "main"
    first, second = (settings.main, settings.remote) if settings.main is not None else (settings.remote, None)
    assert first is not None, "a board was made of at least one image"
    examined = _examined(settings, first, second, role)
    return rendered(make_console(), examined.print_findings if findings_only else examined.print)


def inspect_images(settings: Settings, first: str | None, second: str | None, role: str | None) -> int:
    """Print what the files promise and what is wrong with it: 0 good, 1 findings, 2 when a report was not written."""
    clock = Clock()
    with reported_failure(settings, clock):
        if first is None:
            some_image(settings)
            first, second = settings.main or settings.remote, settings.remote if settings.main else None
            role = "main" if settings.main else "remote"
        assert first is not None, "there is some image"
        if settings.json is not None:
            refuse_overwriting({"json": settings.json}, settings, first, *([second] if second else []))
        with named_options():
            examined = _examined(settings, first, second, role)
    stream = sys.stderr if takes_standard_output(settings) else sys.stdout
    stream.write(rendered(make_console(stream), examined.print))
    failures = write_documents([Document(settings.json, "JSON report", examined.to_json)])
    for failure in failures:
        complain(failure)
    if failures:
        return COULD_NOT_RUN
    return int(any(finding.severity is Severity.ERROR for finding in examined.findings))
