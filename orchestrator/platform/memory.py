"""Memory that a board has beside its chip's: an SDRAM, a flash behind QUADSPI. ``--memory ADDRESS:SIZE``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent
from orchestrator.base.numbers import parse_number
from orchestrator.platform.model import Platform, Region, Registration

__all__ = ["with_memory"]

_GIVEN = re.compile(r"(0[xX][0-9a-fA-F]{1,8}|\d{1,10}):(?:(0[xX][0-9a-fA-F]{1,8})|(\d{1,10})([kKM]?))", re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20}
_WORDS = "ADDRESS:SIZE, as 0xd0000000:8M"
_BLOCK = 1 << 10  # bytes: no memory of a board is smaller


def with_memory(platform: Platform, texts: Iterable[str]) -> Platform:
    """The chip with these memories, which every core reaches at the same address; :class:`UsageError` says what is
    wrong.
    """
    regions = list(platform.regions)
    for text in texts:
        extent = _parse(text)
        for core in platform.cores:
            taken = [(each.name, at) for each in regions for at in each.extents(core.name)]
            taken += [
                (each.name, Extent(at.address, at.size or each.size or _BLOCK))
                for each in platform.peripherals
                for at in each.registrations
                if at.seen_by(core.name)
            ]
            taken += [(name, at) for name, at, _ in platform.tags]
            other = next((f"{name} at {at}" for name, at in taken if at.overlaps(extent)), None)
            if other is not None:
                raise UsageError("the chip has something there", where=f"memory {text}", found=other)
        regions.append(Region(f"memory_{extent.start:08x}", extent.size, (Registration(extent.start),)))
    return replace(platform, regions=tuple(regions))


def _parse(text: str) -> Extent:
    found = _GIVEN.fullmatch(text)
    if found is None:
        raise UsageError("not a memory", where="memory", expected=_WORDS, found=repr(text))
    address = parse_number(found[1])
    size = int(found[2], 16) if found[2] else int(found[3]) * _UNITS[found[4]]
    if not size or size % _BLOCK or address % _BLOCK or address + size > 1 << 32:
        raise UsageError("not a memory", where="memory", expected=f"multiples of {_BLOCK}, up to 4 GB", found=text)
    return Extent(address, size)
