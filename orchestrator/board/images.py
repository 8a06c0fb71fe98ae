"""What a board is told in words, read: its images, where they boot from, and what names the table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.base.errors import UsageError
from orchestrator.formats.elf import Image, load_elf
from orchestrator.formats.locator import LocatorKind, TableLocator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import Profile
from orchestrator.platform.model import Core, Platform

__all__ = [
    "VectorTable",
    "checked_notify",
    "choose_vector_table",
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
    return {role: load_elf(path) for role, path in (("main", main), ("remote", remote)) if path is not None}


def load_others(platform: Platform, files: Mapping[str, str | Path]) -> dict[str, Image]:
    """By core; none that has a role, whose image is main's or the remote's."""
    for name in files:
        role = platform.role_of(platform.core(name).name)
        if role in platform.roles:
            advice = f"give its image as that of {role}"
            raise UsageError(f"{name} is {role}", where="firmware", expected="a core without a role", advice=advice)
    return {platform.core(name).name: load_elf(path) for name, path in files.items()}


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
    for name in given:
        if name not in mailboxes and _QUEUE.fullmatch(name) is None:
            expected = " | ".join(["vdev[0].vring[1]", *mailboxes])
            raise UsageError("neither a queue nor a mailbox", where="notify", expected=expected, found=name)
    return dict(given)


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
    older = [each for each in NuttxRelease if tuple(int(part) for part in each.split(".")) <= wanted]
    return older[-1] if older else NuttxRelease.V9_0
