"""What the regions of a Memory Protection Unit grant, and what a data cache may keep: registers in, extents out.

PMSAv7 (DDI0403E B3.5) of Cortex-M4 and M7, PMSAv8 (DDI0553 B11, "Memory Protection Unit") of Cortex-M33.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent

__all__ = ["EXECUTE", "READ", "UNPRIVILEGED_SHIFT", "WRITE", "Caching", "Region", "cacheable_v7", "caching_v7"]
__all__ += ["device_v7", "device_v8", "regions_v7", "regions_v8"]

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


class Caching(enum.IntEnum):
    """How a data cache treats Normal memory (DDI0403E A3.5.5, B3.5.6): numbers as native code has them."""

    UNCACHED = 0
    WRITE_THROUGH = 1
    WRITE_BACK = 2  # a store that misses goes to memory
    WRITE_ALLOCATE = 3  # write-back, and a store that misses fetches the line


# The default memory map, from each address on (DDI0403E table B3-1).
_DEFAULT_CACHING = (
    (0, Caching.WRITE_THROUGH),
    (0x2000_0000, Caching.WRITE_ALLOCATE),
    (0x4000_0000, Caching.UNCACHED),
    (0x6000_0000, Caching.WRITE_ALLOCATE),
    (0x8000_0000, Caching.WRITE_THROUGH),
    (0xA000_0000, Caching.UNCACHED),
)
# By C and B of MPU_RASR: the inner cache's policy with TEX 0 and with TEX 4 to 7 (tables B3-13 and B3-14).
_TEX_0 = (Caching.UNCACHED, Caching.UNCACHED, Caching.WRITE_THROUGH, Caching.WRITE_BACK)
_TEX_4 = (Caching.UNCACHED, Caching.WRITE_ALLOCATE, Caching.WRITE_THROUGH, Caching.WRITE_BACK)


def _caching(rasr: int, *, shareable_through: bool) -> Caching:
    """By TEX, C, B and S of MPU_RASR (tables B3-13 and B3-14, the inner cache); Shareable memory is not cached on a
    Cortex-M7 (DDI0489F 5.2), or written through where CACR.SIWT says so (DDI0489F 3.3.3).
    """
    tex, c_and_b, shareable = rasr >> 19 & 7, rasr >> 16 & 3, rasr >> 18 & 1
    if tex >= 4:
        found = _TEX_4[c_and_b]
    elif tex == 0:
        found = _TEX_0[c_and_b]
    else:
        found = Caching.WRITE_ALLOCATE if tex == 1 and c_and_b == 3 else Caching.UNCACHED
    if shareable and found is not Caching.UNCACHED:
        return Caching.WRITE_THROUGH if shareable_through else Caching.UNCACHED
    return found


def caching_v7(
    registers: tuple[tuple[int, int], ...],
    *,
    enabled: bool,
    background: bool,
    shareable_through: bool = False,
    all_through: bool = False,
) -> tuple[tuple[int, Caching], ...]:
    """How memory is cached from each address on, by pairs (MPU_RBAR, MPU_RASR); the first address is 0.

    ``background`` is MPU_CTRL.PRIVDEFENA, ``shareable_through`` CACR.SIWT, ``all_through`` CACR.FORCEWT.
    """
    regions = regions_v7(registers) if enabled else ()
    edges = {start for start, _ in _DEFAULT_CACHING} | {e for r in regions for part in r.parts for e in part}
    found: list[tuple[int, Caching]] = []
    for start, _ in pairwise(sorted(edges | {_END})):
        hits = [region for region in regions if region.covers(start)]
        caching = Caching.UNCACHED
        if hits and hits[-1].granted & READ:
            caching = _caching(registers[hits[-1].number][1], shareable_through=shareable_through)
        elif not hits and (background or not enabled):
            caching = next(each for at, each in reversed(_DEFAULT_CACHING) if at <= start)
        if all_through and caching > Caching.WRITE_THROUGH:
            caching = Caching.WRITE_THROUGH
        if not found or found[-1][1] is not caching:
            found.append((start, caching))
    return tuple(found)


def cacheable_v7(registers: tuple[tuple[int, int], ...], *, enabled: bool, background: bool) -> tuple[Extent, ...]:
    """Where a data cache may keep bytes; arguments as of :func:`caching_v7`."""
    found: list[Extent] = []
    parts = [*caching_v7(registers, enabled=enabled, background=background), (_END, Caching.UNCACHED)]
    for (start, caching), (end, _) in pairwise(parts):
        if caching and found and found[-1].end == start:
            found[-1] = Extent(found[-1].start, end - found[-1].start)
        elif caching:
            found.append(Extent(start, end - start))
    return tuple(found)


# Device and Strongly-ordered memory of the default map (DDI0403E table B3-1; DDI0553B B8.1 has the same).
_DEFAULT_DEVICE = ((0x4000_0000, 0x6000_0000), (0xA000_0000, _END))


def device_v7(registers: tuple[tuple[int, int], ...], *, enabled: bool, background: bool) -> tuple[Extent, ...]:
    """What is Device or Strongly-ordered memory: TEX 0 or 2 with C 0 (table B3-13); arguments as of
    :func:`caching_v7`.
    """
    regions = regions_v7(registers) if enabled else ()

    def is_device(number: int) -> bool:
        rasr = registers[number][1]
        return not rasr >> 17 & 1 and (rasr >> 19 & 7 == 0 or (rasr >> 19 & 7 == 2 and not rasr >> 16 & 1))

    return _device(regions, is_device, background=background or not enabled)


def device_v8(
    registers: tuple[tuple[int, int], ...], attributes: tuple[int, ...], *, enabled: bool, background: bool
) -> tuple[Extent, ...]:
    """The same by pairs (MPU_RBAR, MPU_RLAR) and MPU_MAIR0, MPU_MAIR1: an attribute without its upper four bits."""
    regions = regions_v8(registers) if enabled else ()

    def is_device(number: int) -> bool:
        index = registers[number][1] >> 1 & 7
        return not attributes[index // 4] >> 8 * (index % 4) & 0xF0

    return _device(regions, is_device, background=background or not enabled)


def _device(regions: tuple[Region, ...], is_device: Callable[[int], bool], *, background: bool) -> tuple[Extent, ...]:
    edges = {0, _END, *(edge for part in _DEFAULT_DEVICE for edge in part)}
    edges |= {edge for region in regions for part in region.parts for edge in part}
    found: list[Extent] = []
    for start, end in pairwise(sorted(edges)):
        hits = [region for region in regions if region.covers(start)]
        if hits:
            is_one = is_device(hits[-1].number)
        else:
            is_one = background and any(low <= start < high for low, high in _DEFAULT_DEVICE)
        if is_one and found and found[-1].end == start:
            found[-1] = Extent(found[-1].start, end - found[-1].start)
        elif is_one:
            found.append(Extent(start, end - start))
    return tuple(found)
