"""The MPU of one core enforced: what its registers grant, as native code decides it for every access.

Nothing here costs anything before a program enables its MPU for the first time. From then on native code fills the
core's TLB from the map that :meth:`Guard.apply` hands over; privileged and unprivileged accesses have a TLB each, so
that a change of privilege (CONTROL.nPRIV, LDRT and STRT) needs no attention.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import lru_cache
from typing import Any

from orchestrator.engines.unicorn.binding import Cpu
from orchestrator.engines.unicorn.cpu.mpu import NO_PROTECTION, Mpu, ProtectionMap
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native.abi import PAGES, CoreState

__all__ = ["Guard"]


@lru_cache(maxsize=256)
def _arrays(protection: ProtectionMap) -> tuple[Any, Any]:
    count = len(protection.starts)
    return (ctypes.c_uint32 * count)(*protection.starts), (ctypes.c_uint8 * count)(*protection.granted)


class Guard:
    """What one core may access. ``slow_read`` and ``slow_write`` reach what native code cannot (binding.Cpu.guard)."""

    def __init__(self, cpu: Cpu, state: CoreState, mpu: Mpu, slow_read: Any, slow_write: Any) -> None:
        self._cpu = cpu
        self._state = state
        self._mpu = mpu
        self._slow = slow_read, slow_write
        self._keep: tuple[Any, ...] = ()
        self._devices: mmap.mmap | None = None
        self.map = NO_PROTECTION
        self.in_use = False  # the MPU has been enabled: accesses are looked at
        self.stale = False
        self._negative_priority = False

    def install(self, memory: CoreMemory, device_pages: list[int], stub: int) -> None:
        """Say where memory and devices are, and begin."""
        guard = self._state.guard
        self._devices = mmap.mmap(-1, PAGES)
        for page in device_pages:
            self._devices[page] = 1
        guard.windows = ctypes.addressof(memory.windows)
        guard.window_count = len(memory.windows)
        guard.devices = ctypes.addressof(ctypes.c_char.from_buffer(self._devices))
        guard.stub = stub
        self._hand_over(NO_PROTECTION)
        self._keep = (*self._keep, memory.windows)
        self._cpu.guard(self._state, *self._slow)
        self.in_use = self.stale = True

    def _hand_over(self, protection: ProtectionMap) -> None:
        starts, granted = _arrays(protection)
        guard = self._state.guard
        guard.count = len(protection.starts)
        guard.starts = ctypes.addressof(starts)
        guard.granted = ctypes.addressof(granted)
        self._keep = (starts, granted, *self._keep[2:])
        self.map = protection

    def apply(self, *, negative_priority: bool) -> None:
        """Enforce what the registers say now."""
        if not self.stale and negative_priority == self._negative_priority:
            return
        self.stale, self._negative_priority = False, negative_priority
        protection = self._mpu.map(negative_priority=negative_priority)
        if protection is self.map:
            return
        self._hand_over(protection)
        self._state.page = 0xFFFF_FFFF
        self._cpu.forget_pages()
