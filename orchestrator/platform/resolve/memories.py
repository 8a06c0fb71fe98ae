"""Memories, and where a core finds them and everything else on the bus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from orchestrator.base.memory import Extent
from orchestrator.platform import syntax
from orchestrator.platform.model import Peripheral, Region, Registration
from orchestrator.platform.resolve.merge import MergedDescription, Variable, error_at
from orchestrator.platform.resolve.values import integer, shown
from orchestrator.platform.settings import PlatformSettings

__all__ = ["REGION_TYPES", "check_overlap", "region", "registrations", "with_settings"]

REGION_TYPES = ("Memory.MappedMemory", "Memory.ArrayMemory")


def region(description: MergedDescription, variable: Variable) -> Region:
    """One memory; its size is given, or that of its largest registration."""
    size = integer(variable, "size")
    places = tuple(registrations(description, variable))
    if size is None:
        size = max((at.size or 0 for at in places), default=0)
    if size < 1:
        raise error_at(variable.source, f"{variable.name}: memory without a size", expected="size: bytes")
    return Region(variable.name, size, places, source=variable.source)


def with_settings(regions: tuple[Region, ...], settings: PlatformSettings) -> tuple[Region, ...]:
    """The memories with what ``[regions.NAME]`` says of them."""
    names = [region.name for region in regions]
    for name in settings.regions:
        if name not in names:
            raise settings.error(f"regions.{name}", "no such memory", expected=" | ".join(names), found=name)
    given = settings.regions
    return tuple(
        replace(each, writable=given[each.name].writable, fill=given[each.name].fill) if each.name in given else each
        for each in regions
    )


def registrations(description: MergedDescription, variable: Variable) -> Iterator[Registration]:
    """Those on the system bus; one at another peripheral has no address of its own."""
    for entry in variable.registrations:
        register = description.refer(entry.register, variable.scope, variable.name)
        if register.name != "sysbus" or entry.point is None:
            continue
        match entry.point:
            case syntax.Literal(value=int() as address) if not isinstance(address, bool):
                yield Registration(address)
            case syntax.Range(start=start, end=end):
                yield Registration(start, None, end - start)
            case syntax.Inline():
                yield _point(description, entry.point, variable)
            case _:
                raise error_at(
                    entry.register.source,
                    f"{variable.name}: registered at something that is no place on the bus",
                    expected="an address | <range> | new Bus.BusPointRegistration { ... }",
                    found=shown(entry.point),
                )


def _point(description: MergedDescription, inline: syntax.Inline, variable: Variable) -> Registration:
    kinds = ("BusPointRegistration", "BusRangeRegistration", "BusMultiRegistration")
    if inline.type.removeprefix("Bus.") not in kinds:
        expected = " | ".join(f"Bus.{kind}" for kind in kinds)
        raise error_at(
            inline.source,
            f"{variable.name}: a registration of a kind not supported",
            expected=expected,
            found=inline.type,
        )
    address: int | None = None
    size: int | None = None
    core: str | None = None
    for given in inline.attributes:
        match given:
            case syntax.Property(name="address", value=syntax.Literal(value=int(number))):
                address = number
            case syntax.Property(name="size", value=syntax.Literal(value=int(number))):
                size = number
            case syntax.Property(name="range", value=syntax.Range() as extent):
                address, size = extent.start, extent.end - extent.start
            case syntax.Property(name="cpu", value=syntax.Reference() as reference):
                target = description.refer(reference, variable.scope, variable.name)
                if not target.type.startswith("CPU."):
                    what = f"{variable.name}: {reference.name} is no core"
                    raise error_at(reference.source, what, found=target.type)
                core = target.name
            case syntax.Property(name="region", value=syntax.Literal(value=str())):
                pass
            case _:
                name = given.name if isinstance(given, syntax.Property) else "attribute"
                raise error_at(
                    given.source,
                    f"{variable.name}: {name} of a registration",
                    expected="address: | size: | range: | cpu: | region:",
                )
    if address is None:
        raise error_at(inline.source, f"{variable.name}: a registration without an address")
    return Registration(address, core, size)


def check_overlap(core: str, regions: tuple[Region, ...], peripherals: tuple[Peripheral, ...]) -> None:
    """No two things at one address of one core."""
    taken: list[tuple[Extent, Region | Peripheral]] = []
    things: tuple[Region | Peripheral, ...] = (*regions, *peripherals)
    for each in things:
        for at in each.registrations:
            if at.seen_by(core):
                taken.append((Extent(at.address, at.size or each.size or 1), each))
    taken.sort(key=lambda pair: pair[0].start)
    for (low, first), (high, second) in pairwise(taken):
        if low.overlaps(high):
            later, earlier = (first, second) if _order(first) > _order(second) else (second, first)
            extent, other = (low, high) if later is first else (high, low)
            assert later.source is not None
            raise error_at(
                later.source,
                f"{later.name}: {extent} of {core} is taken",
                found=f"{earlier.name} at {other} ({earlier.source})",
            )


def _order(each: Region | Peripheral) -> tuple[int, int]:
    return (each.source.line, each.source.column) if each.source else (0, 0)
