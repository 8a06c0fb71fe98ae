"""The address environment: what an address of the remote core is called by the main core, and the other way round.

``pa`` is an address as the main core uses it, ``da`` as the remote core (the device) does, as in NuttX's
``struct rptun_addrenv_s`` and OpenAMP's io regions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.base.numbers import LONGEST, parse_number

if TYPE_CHECKING:
    from orchestrator.platform.model import Platform

__all__ = ["AddressEnvironment", "AddressRange", "Translated"]

_RANGE = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+)")
_ADDRESS_SPACE = 1 << 32


class Translated(NamedTuple):
    """An address in the other view, and how many of the bytes asked for lie in the same region from there."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class AddressRange:
    """One (pa, da, size) triple; ``name`` is the region it came from, or what was typed."""

    pa: int
    da: int
    size: int
    name: str = ""

    @property
    def pa_extent(self) -> Extent:
        """The range as the main core addresses it."""
        return Extent(self.pa, self.size)

    @property
    def da_extent(self) -> Extent:
        """The range as the remote core addresses it."""
        return Extent(self.da, self.size)

    @classmethod
    def parse(cls, text: str) -> AddressRange:
        """``PA:DA:SIZE``, each decimal or 0x-hexadecimal; :class:`UsageError` says what is wrong with it."""
        parts = text.split(":")
        expected = "PA:DA:SIZE, each decimal or 0x..."
        if len(parts) != 3 or not all(len(part) <= LONGEST and _RANGE.fullmatch(part) for part in parts):
            raise UsageError("not an address range", where="map", expected=expected, found=text)
        pa, da, size = (parse_number(part) for part in parts)
        if size == 0 or max(pa, da) + size > _ADDRESS_SPACE:
            raise UsageError("empty range, or past the end of the address space", where="map", found=text)
        return cls(pa, da, size, text)

    def __str__(self) -> str:
        return f"pa {self.pa_extent} = da {self.da_extent}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True, slots=True)
class AddressEnvironment:
    """Triples in order of preference: where several name an address, the first is taken."""

    ranges: tuple[AddressRange, ...]

    @classmethod
    def given(cls, ranges: Iterable[AddressRange]) -> AddressEnvironment:
        """Triples that a person wrote; :class:`UsageError` when one da would mean two different pa."""
        kept: list[AddressRange] = []
        for new in ranges:
            for old in kept:
                if old.da_extent.overlaps(new.da_extent) and old.pa - old.da != new.pa - new.da:
                    raise UsageError("device addresses overlap and mean different memory", expected=old, found=new)
            kept.append(new)
        return cls(tuple(kept))

    @classmethod
    def from_platform(cls, platform: Platform, main: str, remote: str) -> AddressEnvironment:
        """Every memory that both cores reach, under each of its addresses; names or roles of cores."""
        main_name, remote_name = platform.core(main).name, platform.core(remote).name
        return cls(
            tuple(
                AddressRange(pa.start, da.start, region.size, region.name)
                for region in platform.regions
                for pa in region.extents(main_name)
                for da in region.extents(remote_name)
            )
        )

    def then(self, fallback: AddressEnvironment) -> AddressEnvironment:
        """These triples first, then those of another environment."""
        return AddressEnvironment(self.ranges + fallback.ranges)

    def pa_to_da(self, pa: int, size: int = 1) -> Translated:
        """The main core's address as the remote core's; the size is clamped at the region's end."""
        for each in self.ranges:
            if pa in each.pa_extent:
                return Translated(pa - each.pa + each.da, min(size, each.pa_extent.end - pa))
        raise self._nowhere("pa", pa, [each.pa_extent for each in self.ranges])

    def da_to_pa(self, da: int, size: int = 1) -> Translated:
        """The remote core's address as the main core's; the size is clamped at the region's end."""
        for each in self.ranges:
            if da in each.da_extent:
                return Translated(da - each.da + each.pa, min(size, each.da_extent.end - da))
        raise self._nowhere("da", da, [each.da_extent for each in self.ranges])

    def whole_pa_to_da(self, pa: int, size: int) -> int:
        """Like :meth:`pa_to_da`, for all ``size`` bytes or :class:`TranslationError`."""
        return self._whole("pa", pa, size, self.pa_to_da(pa, size))

    def whole_da_to_pa(self, da: int, size: int) -> int:
        """Like :meth:`da_to_pa`, for all ``size`` bytes or :class:`TranslationError`."""
        return self._whole("da", da, size, self.da_to_pa(da, size))

    @staticmethod
    def _whole(kind: str, address: int, size: int, found: Translated) -> int:
        if found.size < size:
            raise TranslationError(
                "runs past the end of its region",
                where=f"{kind} {address:#010x}",
                expected=f"{size} bytes",
                found=f"{found.size} bytes",
            )
        return found.address

    @staticmethod
    def _nowhere(kind: str, address: int, extents: list[Extent]) -> TranslationError:
        reached = ", ".join(dict.fromkeys(str(extent) for extent in extents)) or "no memory at all"
        return TranslationError(
            "not in memory that both cores reach", where=f"{kind} {address:#010x}", expected=f"inside {reached}"
        )
