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

from orchestrator.engines.unicorn.cpu.code_marks import CodeMarks
from orchestrator.engines.unicorn.cpu.frames import Frames
from orchestrator.engines.unicorn.cpu.mpu import NO_PROTECTION, Mpu, ProtectionMap, Shut, with_shut
from orchestrator.engines.unicorn.cpu.processor import Processor
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.memory.host_memory import private_memory
from orchestrator.engines.unicorn.native.abi import PAGES

__all__ = ["MpuEnforcer"]


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
        self._marks = marks
        self._keep: tuple[Any, ...] = ()
        self._devices: mmap.mmap | None = None
        self.map = NO_PROTECTION
        self.in_use = False  # the MPU has been enabled: accesses are looked at
        self.stale = False
        self._negative_priority = False
        self._depends_on_faultmask = False  # whether the MPU is in force
        self._shut: tuple[Shut, ...] = ()  # behind the MPU
        self._let_pass: Callable[[Shut], None] = lambda _shut: None

    def keep_from(self, shut: tuple[Shut, ...], let_pass: Callable[[Shut], None]) -> None:
        """Memory that the chip keeps from the core from now on; ``let_pass`` is told what it does not refuse."""
        if shut != self._shut:
            self._shut, self._let_pass = shut, let_pass
            self.stale = True

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
            self.in_use = self.stale = True
            self.frames.denies = self._frame_denied
        depends = mpu.enabled and not mpu.protects(negative_priority=True)
        if depends != self._depends_on_faultmask:
            self._depends_on_faultmask = depends
            self._state.guard.watch_faultmask = depends
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
        self._hand_over(NO_PROTECTION)
        self._keep = (*self._keep, memory.windows)
        self._cpu.guard(self._state, *self.slow)
        self._p.count_blocks(allowed=True)

    def _hand_over(self, protection: ProtectionMap) -> None:
        starts, granted = _arrays(protection)
        guard = self._state.guard
        guard.count = len(protection.starts)
        guard.starts = ctypes.addressof(starts)
        guard.granted = ctypes.addressof(granted)
        guard.version += 1
        self._keep = (starts, granted, *self._keep[2:])
        self.map = protection

    def _apply(self, *, negative_priority: bool) -> None:
        """Enforce what the registers say now."""
        if not self.stale and negative_priority == self._negative_priority:
            return
        self.stale, self._negative_priority = False, negative_priority
        protection = self._mpu.map(negative_priority=negative_priority)
        if self._shut:
            protection = with_shut(protection, self._shut)
        if protection is self.map:
            return
        self._hand_over(protection)
        self._state.page = 0xFFFF_FFFF
        self._cpu.forget_pages()
