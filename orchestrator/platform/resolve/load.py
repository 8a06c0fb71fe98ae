"""Platforms by name or path: all parts of a description resolved, in one :class:`Platform`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent
from orchestrator.base.numbers import parse_number
from orchestrator.base.roles import ROLES
from orchestrator.platform.model import Platform, Source
from orchestrator.platform.resolve.cores import CORE_TYPE, Named, cores_of, pairs_of, roles_of
from orchestrator.platform.resolve.gates import gates_of
from orchestrator.platform.resolve.mailboxes import connections_of, drives_of, mailboxes_of
from orchestrator.platform.resolve.memories import REGION_TYPES, check_overlap, region, with_settings
from orchestrator.platform.resolve.merge import BUILT_IN, MergedDescription, error_at
from orchestrator.platform.resolve.peripherals import consoles_of, files_of, peripheral
from orchestrator.platform.resolve.shipped import platforms_folder
from orchestrator.platform.settings import PlatformSettings, load_settings

__all__ = ["available_platforms", "load_platform", "refuse_without_pair", "tag_of"]

NUMBER = r"(0x[0-9A-Fa-f]+|\d+)"
TAG = re.compile(
    rf'Tag\s+<\s*{NUMBER}\s*,\s*(\+?){NUMBER}\s*>\s+(?:"([^"]*)"|(\S+))(?:\s+{NUMBER}(?:\s+(?:true|false)){{0,3}})?',
    re.ASCII,
)


def available_platforms() -> tuple[str, ...]:
    """Names that :func:`load_platform` takes, sorted."""
    return tuple(sorted(path.stem for path in platforms_folder().glob("*.repl")))


def load_platform(name_or_path: str | Path) -> Platform:
    """A platform by name, or by the path of its ``.repl``.

    :class:`UsageError` when there is none of that name, :class:`PlatformError` when its description is wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".repl" and len(path.parts) == 1:
        names = available_platforms()
        if path.name not in names:
            raise UsageError(
                "no such platform", expected=" | ".join((*names, "the path of a .repl file")), found=str(name_or_path)
            )
        path = platforms_folder() / f"{path.name}.repl"
    settings = load_settings(path.with_suffix(".toml"))
    description = MergedDescription()
    description.include(path, path.name)
    return _resolve(description, settings, path)


def refuse_without_pair(platform: Platform) -> None:
    """RPTUN is between two cores: :class:`UsageError` where one plays no role, with the platforms that have both."""
    if len(platform.roles) == len(ROLES):
        return
    pairs = [name for name in available_platforms() if len(load_platform(name).roles) == len(ROLES)]
    raise UsageError(
        "one core, and a pair needs two" if len(platform.cores) == 1 else "a core for one role, and a pair has two",
        where=platform.name,
        expected=f"{' | '.join(pairs)} | a description with two {CORE_TYPE}",
        found=", ".join(core.name for core in platform.cores),
        advice="`rptwin new-platform` writes one to start from",
    )


def tag_of(statement: str, source: Source) -> tuple[str, Extent, int] | None:
    """Name, extent and value of a statement ``Tag <start, last> "name" value``; None for another statement."""
    match = TAG.fullmatch(statement)
    if match is None:
        return None
    try:
        start, end, value = (parse_number(each or "0") for each in (match[1], match[3], match[6]))
    except ValueError as error:
        raise error_at(source, f"a tag with {error}", found=f"{statement[:40]} ...") from None
    size = end if match[2] else end - start + 1
    if size < 1:
        raise error_at(source, "a tag that ends before it starts", found=statement)
    return match[4] or match[5], Extent(start, size), value


def _resolve(description: MergedDescription, settings: PlatformSettings, path: Path) -> Platform:
    variables = description.declared()
    notes: list[str] = []
    cores = cores_of(description, [each for each in variables if _is_core(each.type)], settings, path, notes)
    regions = tuple(region(description, each) for each in variables if each.type in REGION_TYPES)
    limits = {core.nvic: core.interrupts for core in cores}
    peripherals = tuple(
        peripheral(description, each, limits, notes)
        for each in variables
        if each.type not in REGION_TYPES and not _is_core(each.type)
    )
    for core in cores:
        check_overlap(core.name, regions, peripherals)
    roles = roles_of(cores, settings)
    named = Named(settings, {core.name for core in cores}, roles)
    beside = [settings.path.resolve()] if settings.text else []
    models = files_of("models", settings.models, peripherals, settings)
    fronts = files_of("renode", settings.fronts, peripherals, settings)
    return Platform(
        name=path.stem,
        path=path,
        cores=cores,
        regions=with_settings(regions, settings),
        peripherals=peripherals,
        roles=roles,
        pairs=pairs_of(cores, settings),
        consoles=consoles_of(peripherals, settings, named),
        mailboxes=mailboxes_of(cores, peripherals, settings, named),
        drives=drives_of(peripherals, settings, named),
        connections=connections_of(peripherals, settings),
        gates=gates_of(regions, peripherals, settings, named),
        tags=tuple(_tags(description, notes)),
        description=settings.description,
        notes=tuple(notes),
        models=models,
        fronts=fronts,
        external=settings.external,
        files=(*description.files, *beside, *models.values(), *fronts.values()),
    )


def _is_core(kind: str) -> bool:
    return kind.startswith("CPU.")


def _tags(description: MergedDescription, notes: list[str]) -> Iterator[tuple[str, Extent, int]]:
    """Windows that Renode only names: ``Tag <start, last> "name" value``, or ``<start, +size>``."""
    for name in BUILT_IN:
        for when, statements in description.built_in(name).statements.items():
            for text, source in statements:
                tag = tag_of(text, source) if name == "sysbus" and when == "init" else None
                if tag is None:
                    notes.append(f"{source}: {name}: {when}: {text}")
                else:
                    yield tag
