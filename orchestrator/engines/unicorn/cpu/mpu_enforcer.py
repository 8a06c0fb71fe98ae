"""The MPU of one core enforced: what its registers grant, as native code decides it for every access.

Nothing here costs anything before a program enables its MPU for the first time, the chip keeps memory from the core
behind the MPU, or what it accesses is observed (access_log.py). From then on native code fills the core's TLB from the
map that the enforcer hands over; privileged and unprivileged accesses have a TLB each, so that a change of privilege
(CONTROL.nPRIV, LDRT and STRT) needs no attention.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from orchestrator.engines.unicorn.binding import address_of
from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.frames import Frames
from orchestrator.engines.unicorn.cpu.mpu import NO_PROTECTION, Mpu, ProtectionMap, Shut, with_shut
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.memory.host_memory import private_memory
from orchestrator.engines.unicorn.native.abi import PAGES, hooks

__all__ = ["MpuEnforcer"]

_MOST_MAPS = 256


@lru_cache(maxsize=256)
def _arrays(protection: ProtectionMap) -> tuple[Any, Any]:
    count = len(protection.starts)
    return (ctypes.c_uint32 * count)(*protection.starts), (ctypes.c_uint8 * count)(*protection.granted)


class MpuEnforcer:
    """What one core may access; ``slow`` reads and writes what native code cannot reach (binding.Cpu.guard)."""

    slow: tuple[Callable[[int, int], int], Callable[[int, int, int], None]]
    frames: Frames  # exception frames, which ask here whether the MPU grants their addresses

    def __init__(self, processor: Processor, mpu: Mpu, marks: CodeMarks) -> None:
        self._p = processor
        self._cpu, self._state = processor.cpu, processor.native
        self._mpu = mpu
        self._native_mpu = address_of(mpu.native)
        self._state.guard.mpu = self._native_mpu
        self._marks = marks
        self._windows: Any = None
        self._devices: mmap.mmap | None = None
        self._maps = {0: (NO_PROTECTION, *_arrays(NO_PROTECTION))}  # by number, and as native code has them
        self._last_number = 0
        self._negative_priority = False
        self._shut: tuple[Shut, ...] = ()  # behind the MPU
        self._let_pass: Callable[[Shut], None] = lambda _shut: None

    def keep_from(self, shut: tuple[Shut, ...], let_pass: Callable[[Shut], None]) -> None:
        """Memory that the chip keeps from the core from now on; ``let_pass`` is told what it does not refuse."""
        if shut != self._shut:
            self._shut, self._let_pass = shut, let_pass
            self._forget_maps()
            self.stale = True

    @property
    def map(self) -> ProtectionMap:
        """What is enforced."""
        return self._maps[self._state.map][0]

    @property
    def in_use(self) -> bool:
        """The MPU has been enabled: accesses are looked at."""
        return bool(self._mpu.native.enforced)

    @property
    def stale(self) -> bool:
        """What is enforced may not be what the registers say."""
        return bool(self._mpu.native.stale)

    @stale.setter
    def stale(self, value: bool) -> None:
        self._mpu.native.stale = value

    @property
    def _depends_on_faultmask(self) -> bool:
        """Whether the MPU is in force."""
        return self._mpu.enabled and not self._mpu.protects(negative_priority=True)

    def look_again(self) -> None:
        """The registers may be others than they were."""
        self.stale = self.in_use or self._mpu.enabled or bool(self._shut)

    def let_pass(self, shut: Shut) -> None:
        """The access may go on."""
        self._let_pass(shut)

    @property
    def has_work(self) -> bool:
        """Whether :meth:`before_execution` may do something."""
        if self.stale or not self._depends_on_faultmask:
            return self.stale
        return self._p.has_negative_priority() != self._negative_priority

    def before_execution(self, device_pages: Callable[[], list[int]]) -> None:
        """Enforce what the registers and the execution priority say, from the first time that the MPU is enabled."""
        mpu = self._mpu
        if not self.in_use:
            self.stale = False
            if not mpu.enabled and not self._shut:
                return
            self.fill_tlb(self._p.memory, device_pages(), self._p.stub)
            mpu.native.enforced = self.stale = True
            self.frames.denies = self._frame_denied
        depends = self._depends_on_faultmask
        if depends and not self._state.guard.watch_faultmask:  # for good: a context switch may turn it off and on
            self._state.guard.watch_faultmask = True
            self._marks.forget()
        self._apply(negative_priority=depends and self._p.has_negative_priority())

    def map_now(self) -> ProtectionMap:
        """What is granted to an exception frame at the present execution priority."""
        protection = self._mpu.map(negative_priority=self._p.has_negative_priority())
        refused = tuple(each for each in self._shut if each.refuses)
        return with_shut(protection, refused) if refused else protection

    def grants_to_loop(self, address: int, size: int, right: int) -> bool:
        """Whether an access that an idle loop makes is allowed, as it was made."""
        privileged = not self._p.is_unprivileged_mode
        return bool(self.map.granted_at(address, size, privileged=privileged) & right)

    def _frame_denied(self, address: int, size: int, right: int, privileged: bool) -> int | None:
        """The first byte of a frame that may not be accessed now."""
        protection = self.map_now()
        if protection.granted_at(address, size, privileged=privileged) & right:
            return None
        return protection.first_denied(address, size, right, privileged=privileged)

    def fill_tlb(self, memory: CoreMemory, device_pages: list[int], stub: int) -> None:
        """Let native code fill the TLB from now on: as without an MPU, until its map is handed over."""
        guard = self._state.guard
        if guard.on:
            return
        self._devices = private_memory(PAGES)
        for page in device_pages:
            self._devices[page] = 1
        guard.windows = ctypes.addressof(memory.windows)
        guard.window_count = len(memory.windows)
        guard.devices = ctypes.addressof(ctypes.c_char.from_buffer(self._devices))
        guard.stub = stub
        self._windows = memory.windows
        self._hand_over(0)
        self._cpu.guard(self._state, *self.slow)
        self._p.count_blocks(allowed=True)

    def _hand_over(self, number: int) -> None:
        """Enforce a map that native code may have."""
        protection, starts, granted = self._maps[number]
        hooks.core_protect(
            self._p.native_pointer,
            ctypes.addressof(starts),
            ctypes.addressof(granted),
            len(protection.starts),
            number,
        )

    def _number_of(self, protection: ProtectionMap) -> int:
        """Of a map, which native code may have then."""
        number = next((each for each, (known, *_) in self._maps.items() if known is protection), None)
        if number is None:
            if len(self._maps) == _MOST_MAPS:
                self._forget_maps()
            number = self._last_number = self._last_number + 1
            self._maps[number] = (protection, *_arrays(protection))
        return number

    def _learn(self, number: int) -> None:
        """Let native code find this map by the registers as they are."""
        protection, starts, granted = self._maps[number]
        where = ctypes.addressof(starts), ctypes.addressof(granted), len(protection.starts), number
        if not hooks.mpu_learn(self._native_mpu, *where):
            self._forget_maps()
            hooks.mpu_learn(self._native_mpu, *where)

    def _forget_maps(self) -> None:
        """All but that which is enforced."""
        hooks.mpu_forget(self._native_mpu)
        number = self._state.map
        self._maps = {number: self._maps[number]}

    def _apply(self, *, negative_priority: bool) -> None:
        """Enforce what the registers say now."""
        if not self.stale and negative_priority == self._negative_priority:
            return
        self.stale, self._negative_priority = False, negative_priority
        protection = self._mpu.map(negative_priority=negative_priority)
        if self._shut:
            protection = with_shut(protection, self._shut)
        number = self._number_of(protection)
        if number != self._state.map:
            self._hand_over(number)
        if not negative_priority:
            self._learn(number)
