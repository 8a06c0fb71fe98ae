"""The Memory Protection Unit of a core: its registers, and what they grant at each address.

PMSAv7 (DDI0403E B3.5) of Cortex-M4 and M7, PMSAv8 (DDI0553 B11, "Memory Protection Unit") of Cortex-M33. No emulator
here: :class:`Mpu` keeps the registers, where native code stores to them too (protection.c), :class:`ProtectionMap` says
what they mean. Enforcing it is the core's.
"""

from __future__ import annotations

import bisect
import ctypes
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.engines.common.memory_protection import (
    EXECUTE,
    READ,
    UNPRIVILEGED_SHIFT,
    WRITE,
    Caching,
    Region,
    cacheable_v7,
    caching_v7,
    device_v7,
    device_v8,
    regions_v7,
    regions_v8,
)
from orchestrator.engines.unicorn.native.abi import MOST_REGIONS, MpuState

__all__ = [
    "NO_PROTECTION",
    "Mpu",
    "ProtectionMap",
    "Shut",
    "protection_map",
    "with_shut",
]

_ALL = READ | WRITE | EXECUTE
_END = 1 << 32
_SYSTEM, _PPB_END = 0xE000_0000, 0xE010_0000

_ENABLE, _HFNMIENA, _PRIVDEFENA = 1, 2, 4  # MPU_CTRL
_SIWT, _FORCEWT = 1, 4  # CACR

# The default memory map (DDI0403E table B3-1): first address, and whether it may be executed.
_DEFAULT_MAP = ((0, True), (0x4000_0000, False), (0x6000_0000, True), (0xA000_0000, False))

_LETTERS = (("r", READ), ("w", WRITE), ("x", EXECUTE))


@dataclass(frozen=True, slots=True)
class Shut:
    """Memory behind the MPU that the chip keeps from a core: its accesses end in a bus fault, or with a word."""

    start: int
    end: int
    rights: int  # what is refused
    why: str  # in words that follow "reads 4 bytes at ..., "
    refuses: bool
    gate: int  # number of the platform's gate


@dataclass(frozen=True, slots=True)
class ProtectionMap:
    """What is granted everywhere: ``granted[i]`` from ``starts[i]`` to the next start.

    ``background``: where no region lies, the default memory map holds for privileged code.
    """

    starts: tuple[int, ...]
    granted: tuple[int, ...]
    background: bool = True
    regions: tuple[Region, ...] = ()
    overlap_faults: bool = False
    shut: tuple[Shut, ...] = ()
    of_mpu: ProtectionMap | None = None  # what it is without ``shut``

    def shut_at(self, address: int, right: int, *, privileged: bool) -> Shut | None:
        """What keeps a right from a core that its MPU grants it."""
        if self.of_mpu is None or not self.of_mpu.granted_at(address, 1, privileged=privileged) & right:
            return None
        return next(each for each in self.shut if each.start <= address < each.end and each.rights & right)

    def granted_at(self, address: int, size: int, *, privileged: bool) -> int:
        """What is granted on each of these bytes; addresses wrap around."""
        both = self._granted(address, min(address + size, _END))
        if address + size > _END:
            both &= self._granted(0, address + size - _END)
        return (both if privileged else both >> UNPRIVILEGED_SHIFT) & _ALL

    def _granted(self, start: int, end: int) -> int:
        index = bisect.bisect_right(self.starts, start) - 1
        both = self.granted[index]
        index += 1
        while index < len(self.starts) and self.starts[index] < end:
            both &= self.granted[index]
            index += 1
        return both

    def first_denied(self, address: int, size: int, wanted: int, *, privileged: bool) -> int | None:
        """The first byte of these at which not all of ``wanted`` is granted; None when there is none."""
        for byte in range(address, address + size):
            if self.granted_at(byte % _END, 1, privileged=privileged) & wanted != wanted:
                return byte % _END
        return None

    def why(self, address: int, right: int, *, privileged: bool) -> str:
        """What refuses a right that is refused at an address, in words that follow "executes at ..., "."""
        who = "privileged" if privileged else "unprivileged"
        hits = [region for region in self.regions if region.covers(address)]
        if (address >= _SYSTEM and right == EXECUTE) or (not hits and privileged and self.background):
            return "where the memory map forbids it"
        if not hits:
            return f"where no MPU region grants {who} code anything"
        if len(hits) > 1 and self.overlap_faults:
            return f"where MPU regions {' and '.join(str(region.number) for region in hits)} overlap"
        region = hits[-1]
        rights = region.granted if privileged else region.granted >> UNPRIVILEGED_SHIFT
        letters = "".join(letter if rights & bit else "-" for letter, bit in _LETTERS)
        extent = f"{region.start:#010x}..{region.end:#010x}"
        return f"refused by MPU region {region.number} ({extent}, {letters} for {who} code)"


def _default_grant(executable: bool, *, unprivileged: bool) -> int:
    right = _ALL if executable else READ | WRITE
    return right | (right << UNPRIVILEGED_SHIFT if unprivileged else 0)


def _background(privileged_only: bool | None) -> dict[int, int]:
    """The grant from each boundary of the default map; None: nothing is granted outside the private bus."""
    grants = {
        start: 0 if privileged_only is None else _default_grant(executable, unprivileged=not privileged_only)
        for start, executable in _DEFAULT_MAP
    }
    # The Private Peripheral Bus is never the MPU's (B3.5.1): who may use it, the System Control Space decides.
    grants[_SYSTEM] = _default_grant(False, unprivileged=True)
    grants[_PPB_END] = grants[0xA000_0000]
    return grants


def _from_background(grants: dict[int, int]) -> ProtectionMap:
    return ProtectionMap(tuple(sorted(grants)), tuple(grants[start] for start in sorted(grants)))


NO_PROTECTION = _from_background(_background(privileged_only=False))


@lru_cache(maxsize=256)  # a context switch comes back to the same few settings
def protection_map(regions: tuple[Region, ...], *, background: bool, overlap_faults: bool) -> ProtectionMap:
    """What an enabled MPU grants. ``background``: MPU_CTRL.PRIVDEFENA. Where regions overlap, the highest number
    decides (B3.5.3), or with ``overlap_faults`` nothing is granted (Armv8-M).
    """
    grants = _background(privileged_only=True if background else None)
    edges = {edge for region in regions for part in region.parts for edge in part if edge < _END}
    starts = sorted(edges | set(grants))
    base = sorted(grants)
    granted = [grants[base[bisect.bisect_right(base, start) - 1]] for start in starts]
    taken = [False] * len(starts)
    for region in regions:
        for start, end in region.parts:
            for index in range(bisect.bisect_left(starts, start), bisect.bisect_left(starts, end)):
                granted[index] = 0 if overlap_faults and taken[index] else region.granted
                taken[index] = True
    never = ~(EXECUTE | EXECUTE << UNPRIVILEGED_SHIFT)
    for index in range(bisect.bisect_left(starts, _SYSTEM), len(starts)):
        private = starts[index] < _PPB_END
        granted[index] = grants[_SYSTEM] if private else granted[index] & never
    return ProtectionMap(tuple(starts), tuple(granted), background, regions, overlap_faults)


@lru_cache(maxsize=256)
def with_shut(protection: ProtectionMap, shut: tuple[Shut, ...]) -> ProtectionMap:
    """What is left of a grant where the chip keeps memory from the core."""
    edges = {edge for each in shut for edge in (each.start, each.end) if edge < _END}
    starts = tuple(sorted({*protection.starts, *edges}))
    granted = []
    for start in starts:
        kept = 0
        for each in shut:
            kept |= each.rights if each.start <= start < each.end else 0
        before = protection.granted[bisect.bisect_right(protection.starts, start) - 1]
        granted.append(before & ~(kept | kept << UNPRIVILEGED_SHIFT))
    return replace(protection, starts=starts, granted=tuple(granted), shut=shut, of_mpu=protection)


class Mpu:
    """The registers MPU_TYPE to MPU_MAIR1; ``changed`` is called when what they grant may have changed."""

    def __init__(self, count: int, *, armv8: bool, changed: Callable[[], None]) -> None:
        self.count = min(count, MOST_REGIONS)  # no chip has more
        self.armv8 = armv8
        self.native = MpuState(count=self.count, armv8=armv8)
        self._registers = self.native.registers
        self._changed = changed
        self.mair = [0, 0]
        self.reset()

    @property
    def control(self) -> int:
        """MPU_CTRL."""
        return int(self._registers.control)

    @control.setter
    def control(self, value: int) -> None:
        self._registers.control = value

    @property
    def number(self) -> int:
        """MPU_RNR."""
        return int(self.native.number)

    @number.setter
    def number(self, value: int) -> None:
        self.native.number = value

    @property
    def regions(self) -> tuple[tuple[int, int], ...]:
        """MPU_RBAR and MPU_RASR, or MPU_RLAR, of each region."""
        return tuple(zip(self._registers.base[: self.count], self._registers.second[: self.count], strict=True))

    @regions.setter
    def regions(self, pairs: Iterable[tuple[int, int]]) -> None:
        for index, (base, second) in enumerate(pairs):
            self._registers.base[index], self._registers.second[index] = base, second

    def reset(self) -> None:
        self.control = 0
        self.number = 0
        self.mair[:] = (0, 0)
        self.regions = ((0, 0),) * self.count

    def save(self) -> tuple[object, ...]:
        return (self.control, self.number, tuple(self.mair), self.regions)

    def restore(self, state: tuple[object, ...]) -> None:
        control, number, mair, regions = state
        assert isinstance(control, int)
        assert isinstance(number, int)
        assert isinstance(mair, tuple)
        assert isinstance(regions, tuple)
        self.control, self.number, self.mair[:], self.regions = control, number, mair, regions

    # --- what it means

    @property
    def enabled(self) -> bool:
        return bool(self.control & _ENABLE)

    def protects(self, *, negative_priority: bool) -> bool:
        """Whether it is in force; HFNMIENA decides for NMI, HardFault and code under FAULTMASK (B3.5.4)."""
        return self.enabled and (not negative_priority or bool(self.control & _HFNMIENA))

    def map(self, *, negative_priority: bool) -> ProtectionMap:
        """What is granted; the default memory map while the MPU is not in force."""
        if not self.protects(negative_priority=negative_priority):
            return NO_PROTECTION
        regions = regions_v8(self.regions) if self.armv8 else regions_v7(self.regions)
        return protection_map(regions, background=bool(self.control & _PRIVDEFENA), overlap_faults=self.armv8)

    def cacheable(self) -> tuple[Extent, ...]:
        """Where a data cache may keep bytes (PMSAv7: no Cortex-M33 has one)."""
        return cacheable_v7(self.regions, enabled=self.enabled, background=bool(self.control & _PRIVDEFENA))

    def device_memory(self) -> tuple[Extent, ...]:
        """What is Device or Strongly-ordered memory."""
        regions, background = self.regions, bool(self.control & _PRIVDEFENA)
        if self.armv8:
            return device_v8(regions, tuple(self.mair), enabled=self.enabled, background=background)
        return device_v7(regions, enabled=self.enabled, background=background)

    def caching(self, cacr: int) -> tuple[tuple[int, Caching], ...]:
        """How memory is cached from each address on; ``cacr`` is the L1 Cache Control Register (DDI0489F 3.3.3)."""
        return caching_v7(
            self.regions,
            enabled=self.enabled,
            background=bool(self.control & _PRIVDEFENA),
            shareable_through=bool(cacr & _SIWT),
            all_through=bool(cacr & _FORCEWT),
        )

    # --- registers

    def registers(self) -> dict[int, tuple[Callable[[], int], Callable[[int], None]]]:
        """Reads and writes by offset in the System Control Space."""
        table: dict[int, tuple[Callable[[], int], Callable[[int], None]]] = {
            0xD90: (lambda: self.count << 8, lambda _value: None),  # MPU_TYPE: no separate instruction regions
            0xD94: (lambda: self.control, self._write_control),
            0xD98: (lambda: self.number, self._write_number),
        }
        for alias in range(4):
            table[0xD9C + 8 * alias] = (partial(self._read, alias, 0), partial(self._write_base, alias))
            table[0xDA0 + 8 * alias] = (partial(self._read, alias, 1), partial(self._write_second, alias))
        if self.armv8:
            for index in range(2):
                table[0xDC0 + 4 * index] = (
                    partial(self.mair.__getitem__, index),
                    partial(self.mair.__setitem__, index),
                )
        return table

    def _write_control(self, value: int) -> None:
        before, self.control = self.control, value & 7 if self.count else 0
        if before != self.control:
            self._changed()

    def _write_number(self, value: int) -> None:
        if value & 0xFF < self.count:  # another one is UNPREDICTABLE: ignored
            self.number = value & 0xFF

    def _selected(self, alias: int) -> int:
        """The region that an alias means: on Armv8-M, of the four that RNR lies in, the alias's own."""
        return self.number & ~3 | alias if self.armv8 and alias else self.number

    def _words(self, word: int) -> ctypes.Array[ctypes.c_uint32]:
        words: ctypes.Array[ctypes.c_uint32] = self._registers.second if word else self._registers.base
        return words

    def _read(self, alias: int, word: int) -> int:
        number = self._selected(alias)
        if number >= self.count:
            return 0
        value = int(self._words(word)[number])
        return value | number if word == 0 and not self.armv8 else value

    def _write_base(self, alias: int, value: int) -> None:
        if not self.armv8:
            if value & 0x10:  # VALID: the region number comes with it
                if value & 0xF >= self.count:
                    return
                self.number = value & 0xF
            value &= 0xFFFF_FFE0
        self._set(self._selected(alias), 0, value)

    def _write_second(self, alias: int, value: int) -> None:
        """MPU_RASR or MPU_RLAR."""
        self._set(self._selected(alias), 1, value if self.armv8 else value & 0x173F_FF3F)

    def _set(self, number: int, word: int, value: int) -> None:
        if number >= self.count:
            return
        words = self._words(word)
        if words[number] == value:
            return
        words[number] = value
        if self.enabled:
            self._changed()
