"""Where in the source a cause lies. In: findings and the images. Out: the same findings with files and lines.

A place in code has its line, and the lines of the calls that were inlined there; a return address of a backtrace has
the line of the call before it. A field of the resource table has the line of the variable that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from orchestrator.base.memory import Place
from orchestrator.checks.finding import Finding
from orchestrator.formats.elf import Image, SourceLine
from orchestrator.platform.model import Platform

__all__ = ["with_sources"]

# About what the table holds. Others name a field for what the cores did with it, which stands in neither's table.
_OF_THE_TABLE = ("table", "vdev", "vring", "carveout", "trace")

Lines = tuple[SourceLine, ...]


def with_sources(
    findings: Sequence[Finding], images: Mapping[str, Image], platform: Platform | None
) -> tuple[Finding, ...]:
    """The findings in their order, each cause with its lines; ``images`` by role.

    Notes, and what follows from a cause, stay as they are: decoding debug information takes longer than judging.
    """
    roles = {} if platform is None else {core: role for role, core in platform.roles.items()}

    def located(finding: Finding) -> Finding:
        if not finding.is_cause:
            return finding
        return replace(
            finding,
            at_lines=tuple(_lines_of(finding, images, platform, roles)),
            backtrace_lines=tuple(_levels(finding, images, roles)),
        )

    return tuple(map(located, findings))


def _lines_of(
    finding: Finding, images: Mapping[str, Image], platform: Platform | None, roles: Mapping[str, str]
) -> Iterator[Lines]:
    is_of_the_table = finding.rule.partition(".")[0] in _OF_THE_TABLE
    for place in finding.at:
        image = images.get(roles.get(place.view, place.view))
        lines = image.source_lines(place.address) if image is not None else ()
        if not lines and is_of_the_table and platform is not None and place.view in roles:
            lines = tuple(_definition(place, images, platform))
        yield lines


def _definition(place: Place, images: Mapping[str, Image], platform: Platform) -> Iterator[SourceLine]:
    """The variable at a place, by whatever address an image has it."""
    found = platform.region_at(place.view, place.address)
    if found is None:
        return
    region, offset = found
    for role, image in images.items():
        for extent in region.extents(platform.core(role).name):
            line = image.definition_at(extent.start + offset)
            if line is not None:
                yield line
                return


def _levels(finding: Finding, images: Mapping[str, Image], roles: Mapping[str, str]) -> Iterator[Lines]:
    """Of each level; from the second on they are return addresses, and the call is what stands before."""
    view = finding.at[0].view if finding.at else finding.core
    image = images.get(roles.get(view, view))
    for level, frame in enumerate(finding.backtrace):
        yield image.source_lines(frame.pc - (1 if level else 0)) if image is not None else ()
