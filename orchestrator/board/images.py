"""What a board is told in words, read: its images, where they boot from, and what names the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.formats.bare_image import load_image
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import LocatorKind, TableLocator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import Profile
from orchestrator.formats.translation import AddressRange
from orchestrator.platform.model import Core, Platform

__all__ = [
    "VectorTable",
    "checked_maps",
    "checked_notify",
    "choose_vector_table",
    "distinct_names",
    "load_images",
    "load_others",
    "parse_profile",
    "parse_release",
    "table_of_a_python_remote",
    "vector_tables_of",
]

_QUEUE = re.compile(r"vdev\[\d+\]\.vring\[\d+\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class VectorTable:
    """Where a core boots, and who said so."""

    core: str
    address: int
    how: str


def choose_vector_table(core: Core, image: Image, given: int | None) -> VectorTable:
    """Where a core boots: as given, the platform's boot address if a segment lies there, or the image's table."""
    if given is not None:
        return VectorTable(core.name, given, "given by --vtor")
    if any(core.boot_address in segment.load_extent for segment in image.segments):
        return VectorTable(core.name, core.boot_address, "the platform's boot address")
    return VectorTable(core.name, image.vector_table, f"the vector table of {image.name}")


def vector_tables_of(
    platform: Platform, images: Mapping[str, Image], given: Mapping[str, int]
) -> dict[str, VectorTable]:
    """For each image, by role, or by name for cores without one; both may name a core in ``given``."""
    by_core = {platform.core(name).name: address for name, address in given.items()}
    cores = {name: platform.core(name) for name in images}
    unknown = [name for name in by_core if name not in {core.name for core in cores.values()}]
    if unknown:
        raise UsageError("no firmware for this core", where="vtor", found=", ".join(unknown))
    return {name: choose_vector_table(core, images[name], by_core.get(core.name)) for name, core in cores.items()}


def load_images(main: str | Path | None, remote: str | Path | None) -> dict[str, Image]:
    """By role; one may be left out."""
    if main is None and remote is None:
        raise UsageError("no firmware", expected="an ELF file for main, for the remote, or for both", found="neither")
    given = {role: path for role, path in (("main", main), ("remote", remote)) if path is not None}
    names = distinct_names(list(given.values()))
    return {role: load_image(path, name=name) for (role, path), name in zip(given.items(), names, strict=True)}


def distinct_names(paths: Sequence[str | Path]) -> list[str]:
    """What messages call files: their names, with as many folders in front as it takes to tell them apart."""
    parts = [Path(path).parts for path in paths]
    for count in range(1, max(map(len, parts), default=1) + 1):
        names = [str(Path(*each[-count:])) for each in parts]
        if len(set(names)) == len(set(parts)):
            return names
    return [Path(path).name for path in paths]


def load_others(platform: Platform, files: Mapping[str, str | Path]) -> dict[str, Image]:
    """By core; none that has a role, whose image is main's or the remote's."""
    for name in files:
        role = platform.role_of(platform.core(name).name)
        if role in platform.roles:
            advice = f"give its image as that of {role}"
            raise UsageError(f"{name} is {role}", where="firmware", expected="a core without a role", advice=advice)
    return {platform.core(name).name: load_image(path) for name, path in files.items()}


def table_of_a_python_remote(locator: TableLocator | None) -> int:
    """Where Python puts the table of the core that it plays; :class:`UsageError` when nobody has said."""
    if locator is None or locator.kind is not LocatorKind.ADDRESS or locator.image == "main":
        raise UsageError(
            "no place for the resource table of a Python remote",
            where="table",
            expected="remote:0xADDRESS, where main looks for it as the remote addresses it",
            found=locator or "nothing",
        )
    return locator.address


def checked_notify(platform: Platform, given: Mapping[str, int]) -> dict[str, int]:
    """Channels by queue or mailbox; :class:`UsageError` for a name that is neither."""
    mailboxes = [each.peripheral for each in platform.mailboxes]
    most = {each: _channels(platform, each) for each in mailboxes}
    for name, channel in given.items():
        if name not in mailboxes and _QUEUE.fullmatch(name) is None:
            expected = " | ".join(["vdev[0].vring[1]", *mailboxes])
            raise UsageError("neither a queue nor a mailbox", where="notify", expected=expected, found=name)
        limit = most.get(name, max(most.values(), default=0))
        if channel >= limit:
            expected = f"a channel, 0 to {limit - 1}"
            raise UsageError("no such channel", where=f"notify {name}", expected=expected, found=channel)
    return dict(given)


def _channels(platform: Platform, mailbox: str) -> int:
    """How many channels a mailbox has, as far as the platform says; a register has no more than 32."""
    driven = [each.channels for each in platform.drives if each.mailbox == mailbox]
    lines = [line for each in platform.mailboxes if each.peripheral == mailbox for line in each.lines]
    return max([*driven, *(len(line.events) for line in lines if line.events)], default=32)


def checked_maps(platform: Platform, texts: Iterable[str]) -> tuple[AddressRange, ...]:
    """Address ranges; :class:`UsageError` for one that cannot be of use: of no words, or of no core's memory."""
    return tuple(_checked_map(platform, AddressRange.parse(each)) for each in texts)


def _checked_map(platform: Platform, given: AddressRange) -> AddressRange:
    if any(value % 4 for value in (given.pa, given.da, given.size)):
        raise UsageError("translates parts of words", where="map", expected="multiples of 4", found=given.name)
    sides = (("main", given.pa), ("remote", given.da))
    if not any(platform.region_at(platform.core(role).name, address) for role, address in sides):
        raise UsageError(
            "no memory of either core",
            where="map",
            expected="PA where main has memory, DA where the remote has",
            found=given.name,
        )
    return given


def parse_profile(name: str) -> Profile | None:
    """By name; None: to be chosen by the table."""
    if name == "auto":
        return None
    try:
        return Profile(name)
    except ValueError:
        accepted = " | ".join(("auto", *Profile))
        raise UsageError("no such profile", expected=accepted, found=name) from None


def parse_release(text: str | None) -> NuttxRelease | None:
    """The layout of a NuttX release such as ``12.13``, which is that of the newest one not after it."""
    if text is None:
        return None
    try:
        wanted = tuple(int(part) for part in text.split("."))
    except ValueError:
        wanted = ()
    if not wanted:
        raise UsageError("not a NuttX release", where="nuttx-config", expected="as 12.13", found=repr(text))
    if wanted[0] > max(int(each.split(".")[0]) for each in NuttxRelease):
        newest = list(NuttxRelease)[-1]
        raise UsageError("no such NuttX release", where="nuttx-config", expected=f"up to {newest}", found=repr(text))
    older = [each for each in NuttxRelease if tuple(int(part) for part in each.split(".")) <= wanted]
    return older[-1] if older else NuttxRelease.V9_0
