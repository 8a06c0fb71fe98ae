"""Shared memory as both cores see it: reading, reaching and translating."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError, TranslationError
from orchestrator.base.memory import Extent, Memory, Place
from orchestrator.base.roles import MAIN, REMOTE, ROLES
from orchestrator.formats.translation import AddressEnvironment, AddressRange
from orchestrator.platform.model import Platform

__all__ = ["Span", "Views"]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of shared memory under both names; None where a core has no memory for all of them."""

    name: str
    size: int
    pa: int | None  # as main addresses it
    da: int | None  # as the remote does

    def seen_by(self, role: str) -> Extent | None:
        """The range in one core's view."""
        address = self.pa if role == MAIN else self.da
        return None if address is None else Extent(address, self.size)

    @property
    def extents(self) -> tuple[Extent, ...]:
        """The ranges in both views, as far as there are any."""
        return tuple(extent for role in ROLES if (extent := self.seen_by(role)) is not None)

    def part(self, name: str, offset: int, size: int) -> Span:
        """Some of the bytes, counted from the first."""
        pa = None if self.pa is None else self.pa + offset
        da = None if self.da is None else self.da + offset
        return Span(name, size, pa, da)

    def overlaps(self, other: Span) -> bool:
        """Whether they share a byte, whatever alias each was named by."""
        mine, theirs = self.seen_by(MAIN), other.seen_by(MAIN)
        if mine is None or theirs is None:
            mine, theirs = self.seen_by(REMOTE), other.seen_by(REMOTE)
        return mine is not None and theirs is not None and mine.overlaps(theirs)

    def contains(self, other: Span) -> bool:
        """Whether all of the other's bytes are among these, whatever alias each was named by."""
        for role in ROLES:
            mine, theirs = self.seen_by(role), other.seen_by(role)
            if mine is not None and theirs is not None and theirs in mine:
                return True
        return False

    def __str__(self) -> str:
        def text(address: int | None) -> str:
            return "nowhere" if address is None else str(Extent(address, self.size))

        return f"main {text(self.pa)}, remote {text(self.da)}"


@dataclass(frozen=True)
class Views:
    """The memories of both cores and how addresses of one are called by the other.

    Without a platform (a dump), a range is reachable when its first and last byte can be read.
    """

    memories: Mapping[str, Memory]  # by role
    environment: AddressEnvironment
    platform: Platform | None = None

    @classmethod
    def of(
        cls, memories: Mapping[str, Memory], platform: Platform | None = None, given: tuple[AddressRange, ...] = ()
    ) -> Views:
        """Views of a platform's cores, ranges that a person gave first; of a dump, where addresses are the same."""
        if platform is not None:
            natural = AddressEnvironment.from_platform(platform, MAIN, REMOTE)
        else:
            natural = AddressEnvironment((AddressRange(0, 0, 1 << 32, "the same addresses"),))
        return cls(memories, AddressEnvironment.given(given).then(natural), platform)

    def name(self, role: str) -> str:
        """The view's name: the core's."""
        return self.memories[role].view

    def place(self, role: str, address: int, path: str = "") -> Place:
        """An address of one core's view."""
        return Place(self.name(role), address, path)

    def reaches(self, role: str, extent: Extent) -> bool:
        """Whether a core has memory for a whole range, which may run over several regions."""
        if extent.size <= 0 or extent.end > 1 << 32:
            return False
        if self.platform is None:
            return self._readable(role, extent.start) and self._readable(role, extent.end - 1)
        at, regions = extent.start, self._regions[self.platform.core(role).name]
        while at < extent.end:
            ends = [end for region in regions for start, end in region if start <= at < end]
            if not ends:
                return False
            at = max(ends)
        return True

    @cached_property
    def _regions(self) -> dict[str, tuple[tuple[tuple[int, int], ...], ...]]:
        """By core: where it has each region, begin and end of each place; buffers come by the thousand."""
        assert self.platform is not None
        return {
            core.name: tuple(
                tuple((each.start, each.end) for each in region.extents(core.name)) for region in self.platform.regions
            )
            for core in self.platform.cores
        }

    def everywhere(self, role: str, extent: Extent) -> tuple[Extent, ...]:
        """Every address at which a core has these bytes, whichever of them the table names."""
        core = self.name(role)
        if self.platform is None:
            return (extent,)
        for region in self._regions.get(core, ()):
            for start, end in region:
                if start <= extent.start < end:
                    offset = extent.start - start
                    return tuple(Extent(first + offset, extent.size) for first, _ in region)
        aliases = self.platform.aliases(core, extent.start)
        return tuple(Extent(address, extent.size) for name, address in aliases if name == core)

    def _readable(self, role: str, address: int) -> bool:
        try:
            self.memories[role].read(address, 1)
        except RptwinError:
            return False
        return True

    def span_at_da(self, name: str, da: int, size: int) -> Span:
        """Bytes that the remote names; an address that a core has no memory for is None."""
        try:
            pa: int | None = self.environment.da_to_pa(da).address
        except TranslationError:
            pa = None
        return self._span(name, size, pa, da)

    def span_at_pa(self, name: str, pa: int, size: int) -> Span:
        """Bytes that main names."""
        try:
            da: int | None = self.environment.pa_to_da(pa).address
        except TranslationError:
            da = None
        return self._span(name, size, pa, da)

    def _span(self, name: str, size: int, pa: int | None, da: int | None) -> Span:
        if pa is not None and not self.reaches(MAIN, Extent(pa, size)):
            pa = None
        if da is not None and not self.reaches(REMOTE, Extent(da, size)):
            da = None
        return Span(name, size, pa, da)

    def span_at(self, role: str, name: str, address: int, size: int) -> Span:
        """Bytes that one core names."""
        return self.span_at_pa(name, address, size) if role == MAIN else self.span_at_da(name, address, size)
