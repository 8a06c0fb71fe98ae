"""Where to look for the resource table: in a section, behind a symbol, or at an address."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TableError, UsageError
from orchestrator.formats.elf import Image

__all__ = ["AUTO", "LocatorKind", "TableLocation", "TableLocator", "locate", "parse_locator"]

_GRAMMAR = "section | symbol[+offset] | 0xADDRESS, each after main: or remote: if need be"
_LOCATOR = re.compile(
    r"(?:(?P<image>main|remote):)?"
    r"(?:(?P<address>0[xX][0-9a-fA-F]{1,8})|(?P<symbol>[A-Za-z_.$][\w.$]*)(?:\+(?P<offset>0[xX][0-9a-fA-F]{1,8}|\d{1,9}))?)"
)
_ROLES = ("remote", "main")  # the order in which images are searched: the table is the remote's


class LocatorKind(StrEnum):
    """What a locator names."""

    SECTION = "section"
    SYMBOL = "symbol"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class TableLocator:
    """A parsed locator; ``image`` is a role, or None: the remote's image first, then main's."""

    kind: LocatorKind
    image: str | None = None
    symbol: str = ""
    offset: int = 0  # from the symbol, bytes
    address: int = 0

    def __str__(self) -> str:
        what = {
            LocatorKind.SECTION: "section",
            LocatorKind.SYMBOL: f"{self.symbol}+{self.offset:#x}" if self.offset else self.symbol,
            LocatorKind.ADDRESS: f"{self.address:#010x}",
        }[self.kind]
        return f"{self.image}:{what}" if self.image else what


AUTO = TableLocator(LocatorKind.SECTION)


@dataclass(frozen=True, slots=True)
class TableLocation:
    """A found table: a run-time address in the view of the core that plays ``role``."""

    role: str  # "main" or "remote": whose view the address belongs to
    address: int
    how: str  # for the report: "section .resource_table of remote.elf"
    load_address: int | None = None  # where its first bytes are loaded; None: the program makes it at run time
    size: int | None = None  # bytes, where the image says so

    @property
    def what(self) -> str:
        """``section .resource_table``, without the image."""
        return self.how.partition(" of ")[0]


def parse_locator(text: str) -> TableLocator:
    """``section``, ``symbol[+offset]`` or ``0xADDRESS``, each with ``main:`` or ``remote:`` in front of it if need be.

    ``auto`` is ``section``. :class:`UsageError` says what is wrong.
    """
    found = _LOCATOR.fullmatch(text)
    if found is None:
        raise UsageError("not a table locator", where="table", expected=_GRAMMAR, found=repr(text))
    image, address, symbol, offset = found.group("image", "address", "symbol", "offset")
    if address:
        return TableLocator(LocatorKind.ADDRESS, image, address=int(address, 16))
    if symbol in ("section", "auto"):
        if offset or (symbol == "auto" and image):
            raise UsageError("takes nothing else", where="table", expected=_GRAMMAR, found=repr(text))
        return TableLocator(LocatorKind.SECTION, image)
    distance = 0 if offset is None else int(offset, 16 if offset[1:2] in ("x", "X") else 10)
    return TableLocator(LocatorKind.SYMBOL, image, symbol=symbol, offset=distance)


def locate(locator: TableLocator, images: Mapping[str, Image]) -> TableLocation:
    """Find the table; ``images`` are by role.

    :class:`TableError`: ``table.not-found`` says where was looked, ``table.not-loaded`` as the image says.
    """
    roles = [locator.image] if locator.image else [role for role in _ROLES if role in images]
    if locator.kind is LocatorKind.ADDRESS:
        role = locator.image or _ROLES[0]
        return TableLocation(role, locator.address, f"address {locator.address:#010x} of {role}")
    for role in roles:
        image = images.get(role)
        location = None if image is None else _in_image(locator, role, image)
        if location is not None:
            return location
    what = ".resource_table" if locator.kind is LocatorKind.SECTION else f"symbol {locator.symbol}"
    searched = ", ".join(images[role].name for role in roles if role in images) or "no image"
    raise TableError(
        "no resource table",
        rule="table.not-found",
        where=searched,
        expected=what,
        advice="a table that the firmware makes at run time is named by --table SYMBOL[+OFFSET] or 0xADDRESS",
    )


def _in_image(locator: TableLocator, role: str, image: Image) -> TableLocation | None:
    if locator.kind is LocatorKind.SECTION:
        section = image.resource_table()
        if section is None:
            return None
        how = f"section {section.name} of {image.name}"
        return TableLocation(role, section.run_address, how, section.load_address, len(section.data))
    symbol = image.symbols.get(locator.symbol)
    if symbol is None:
        return None
    address = symbol.address + locator.offset
    size = symbol.size - locator.offset if symbol.size > locator.offset else None
    how = f"symbol {locator} of {image.name}"
    return TableLocation(role, address, how, image.load_address_of(address), size)
