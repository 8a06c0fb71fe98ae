"""What the regions of a Memory Protection Unit grant, and what a data cache may keep: registers in, extents out.

PMSAv7 (DDI0403E B3.5) of Cortex-M4 and M7, PMSAv8 (DDI0553 B11, "Memory Protection Unit") of Cortex-M33.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from orchestrator.base.memory import Extent

__all__ = ["EXECUTE", "READ", "UNPRIVILEGED_SHIFT", "WRITE", "Region", "cacheable_v7", "regions_v7", "regions_v8"]

READ, WRITE, EXECUTE = 1, 2, 4
UNPRIVILEGED_SHIFT = 3  # a grant is the bits for privileged code and, shifted by this, those for unprivileged code
_END = 1 << 32
_RW, _RO = READ | WRITE, READ
# MPU_RASR.AP (table B3-15): privileged, unprivileged. 0b100 is reserved.
_AP_V7 = ((0, 0), (_RW, 0), (_RW, _RO), (_RW, _RW), (0, 0), (_RO, 0), (_RO, _RO), (_RO, _RO))
_AP_V8 = ((_RW, 0), (_RW, _RW), (_RO, 0), (_RO, _RO))  # MPU_RBAR.AP[2:1]


@dataclass(frozen=True, slots=True)
class Region:
    """An enabled region: half-open parts of its extent that its subregions leave, and its grant."""

    number: int
    start: int
    end: int
    parts: tuple[tuple[int, int], ...]
    granted: int

    def covers(self, address: int) -> bool:
        return any(start <= address < end for start, end in self.parts)


def _grant(rights: tuple[int, int], *, execute_never: bool) -> int:
    # What cannot be read cannot be executed (B3.5.3).
    with_execute = (right | (EXECUTE if right and not execute_never else 0) for right in rights)
    privileged, unprivileged = with_execute
    return privileged | unprivileged << UNPRIVILEGED_SHIFT


@lru_cache(maxsize=256)
def regions_v7(registers: tuple[tuple[int, int], ...]) -> tuple[Region, ...]:
    """The enabled regions of pairs (MPU_RBAR, MPU_RASR), by number, the highest priority last."""
    regions = []
    for number, (rbar, rasr) in enumerate(registers):
        if not rasr & 1:
            continue
        bits = max((rasr >> 1 & 0x1F) + 1, 5)  # a size below 32 bytes is UNPREDICTABLE: the least there is
        size = 1 << bits
        start = rbar & ~(size - 1) & 0xFFFF_FFE0
        disabled = rasr >> 8 & 0xFF if bits >= 8 else 0
        eighth = size >> 3
        if disabled:
            left = (start + index * eighth for index in range(8) if not disabled >> index & 1)
            parts = tuple((part, part + eighth) for part in left)
        else:
            parts = ((start, start + size),)
        granted = _grant(_AP_V7[rasr >> 24 & 7], execute_never=bool(rasr >> 28 & 1))
        regions.append(Region(number, start, start + size, parts, granted))
    return tuple(regions)


@lru_cache(maxsize=256)
def regions_v8(registers: tuple[tuple[int, int], ...]) -> tuple[Region, ...]:
    """The enabled regions of pairs (MPU_RBAR, MPU_RLAR), by number; one whose limit lies below its base is empty."""
    regions = []
    for number, (rbar, rlar) in enumerate(registers):
        start, end = rbar & 0xFFFF_FFE0, (rlar | 0x1F) + 1
        if rlar & 1 and start < end:
            granted = _grant(_AP_V8[rbar >> 1 & 3], execute_never=bool(rbar & 1))
            regions.append(Region(number, start, end, ((start, end),), granted))
    return tuple(regions)


# The default memory map, from each address on: Normal memory, which a cache may keep, or Device (table B3-1).
_DEFAULT_CACHEABLE = ((0, True), (0x4000_0000, False), (0x6000_0000, True), (0xA000_0000, False))


def _is_cacheable(rasr: int) -> bool:
    """By TEX, C, B and S of MPU_RASR (table B3-13 and B3-14, the inner cache); Shareable memory is not cached on a
    Cortex-M7 (DDI0489F 5.2).
    """
    tex, c, b, shareable = rasr >> 19 & 7, rasr >> 17 & 1, rasr >> 16 & 1, rasr >> 18 & 1
    if shareable:
        return False
    if tex >= 4:
        return bool(c or b)
    return bool(c and (tex == 0 or (tex == 1 and b)))


def cacheable_v7(registers: tuple[tuple[int, int], ...], *, enabled: bool, background: bool) -> tuple[Extent, ...]:
    """Where a data cache may keep bytes, by pairs (MPU_RBAR, MPU_RASR); ``background``: MPU_CTRL.PRIVDEFENA."""
    regions = regions_v7(registers) if enabled else ()
    edges = {start for start, _ in _DEFAULT_CACHEABLE} | {e for r in regions for part in r.parts for e in part}
    found: list[Extent] = []
    for start, end in pairwise(sorted(edges | {_END})):
        hits = [region for region in regions if region.covers(start)]
        if hits:
            cacheable = bool(hits[-1].granted & READ) and _is_cacheable(registers[hits[-1].number][1])
        else:
            cacheable = (background or not enabled) and _default_cacheable(start)
        if cacheable and found and found[-1].end == start:
            found[-1] = Extent(found[-1].start, end - found[-1].start)
        elif cacheable:
            found.append(Extent(start, end - start))
    return tuple(found)


def _default_cacheable(address: int) -> bool:
    return next(cacheable for start, cacheable in reversed(_DEFAULT_CACHEABLE) if start <= address)
