"""Finding idle loops: code that provably does the same for ever, so that its time can be skipped.

A loop that comes back to the same registers, takes no exception, stores only what is there already and leaves the
devices that it polls as they were cannot leave by itself. The proof is made on a second CPU with the same memory; it
holds as long as the bytes that the loop reads, stores and executes stay as they were and nobody touches its devices.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.memory_protection import EXECUTE, READ, WRITE
from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import Cpu, RegisterBatch
from orchestrator.engines.unicorn.bus import Access, Bus, Slot
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.native import abi
from orchestrator.engines.unicorn.native.abi import PAGE_BITS, ProbeState, hooks

__all__ = ["PROGRAM_STATE", "IdleLoop", "Prober", "Read"]

Granted = Callable[[int, int, int], bool]  # address, size, right

_LIMIT = 2000  # instructions: longer loops are not looked for
_MOST_CODE = 1 << 16  # bytes that are compared
PROGRAM_STATE = (
    "XPSR",
    "IPSR",
    "CONTROL",
    "MSP",
    "PSP",
    *(f"R{number}" for number in range(13)),
    "LR",
    "PRIMASK",
    "BASEPRI",
    "FAULTMASK",
    *(f"D{number}" for number in range(16)),
    "FPSCR",
)


class Read(NamedTuple):
    """What an idle loop reads in each round, and sees."""

    address: int
    size: int
    value: int


@dataclass(slots=True)
class IdleLoop:
    """A proven loop; ``debt`` counts instructions of its current round that are still to be executed."""

    length: int  # instructions
    watched: list[tuple[memoryview, bytes]]
    reads: tuple[Read, ...]
    slots: tuple[Slot, ...] = ()  # of the devices that it polls
    debt: int = 0
    compared: Any = None  # ``watched``, for native code

    def holds(self) -> bool:
        return all(bytes(span) == data for span, data in self.watched)


class Prober:
    """Tries out whether a core has come to an idle loop."""

    def __init__(self, model: str, core: str, memory: CoreMemory, bus: Bus) -> None:
        self._core = core
        self._memory = memory
        self._bus = bus
        self.is_running = False
        self._touched: dict[str, tuple[Slot, object]] = {}  # slot and state of each device before it was polled
        self._polls: dict[tuple[int, int], int] = {}
        self._translated: dict[tuple[int, int], tuple[memoryview | None, bytes]] = {}  # by first and last page
        self._cpu = Cpu(model)
        for mapping in memory.mappings():
            writable = mapping.store.region.writable  # a store that changes nothing is an event, not an idle loop
            self._cpu.map_memory(mapping.extent.start, mapping.extent.size, mapping.pointer, writable=writable)
        self._registers = RegisterBatch(*PROGRAM_STATE)
        self._state = state = ProbeState()
        state.count = len(PROGRAM_STATE)
        state.ids[: len(PROGRAM_STATE)] = binding.registers(*PROGRAM_STATE)
        base = ctypes.addressof(state) + ProbeState.now.offset
        for index in range(len(PROGRAM_STATE)):
            state.now_pointers[index] = base + 8 * index
        state.emu_stop = binding.function_pointer(uclib.uc_emu_stop)
        (state.cpsr_id,) = binding.registers("CPSR")
        state.reg_read = binding.function_pointer(uclib.uc_reg_read)
        state.reg_write = binding.function_pointer(uclib.uc_reg_write)
        state.reg_read_batch = binding.function_pointer(uclib.uc_reg_read_batch)
        state.mem_read = binding.function_pointer(uclib.uc_mem_read)
        bus.map_into(self._cpu, self._poll, self._refuse)
        for mapping in memory.mappings():  # not devices: the hooks look at what they see
            extent = (mapping.extent.start, mapping.extent.end - 1)
            for kind, function in (
                (unicorn_const.UC_HOOK_MEM_READ, hooks.probe_on_read),
                (unicorn_const.UC_HOOK_MEM_WRITE, hooks.probe_on_write),
            ):
                self._cpu.hook(kind, binding.function_pointer(function), state, extent)
        for kind, function in (
            (unicorn_const.UC_HOOK_CODE, hooks.probe_on_code),
            (unicorn_const.UC_HOOK_INTR, hooks.probe_on_exception),
            (unicorn_const.UC_HOOK_MEM_INVALID, hooks.probe_on_invalid),
        ):
            self._cpu.hook(kind, binding.function_pointer(function), state)

    # --- devices

    def spoil(self) -> None:
        """What happens now has an effect: this is no idle loop."""
        self._state.spoilt = 1

    def _poll(self, address: int, size: int) -> int:
        try:
            slot = self._bus.slot_at(address)
            if slot is None or not slot.device.is_steady:
                self.spoil()
                return 0
            self._bus.access = Access(address, size, None)
            if slot.name not in self._touched:
                self._touched[slot.name] = (slot, slot.device.snapshot())
            value = slot.device.read(address - slot.extent.start, size, self._core)
            if self._polls.setdefault((address, size), value) != value:
                self.spoil()
            return value
        except Exception:  # a device that fails here fails again when the core itself reads it
            self.spoil()
            return 0

    def _refuse(self, _address: int, _size: int, _value: int) -> None:
        self.spoil()

    def _put_devices_back(self) -> bool:
        """Undo what polling did to devices; whether it did nothing."""
        unchanged = True
        for slot, before in self._touched.values():
            unchanged = unchanged and slot.device.snapshot() == before
            slot.device.restore(before)
        return unchanged

    # --- the proof

    def registers(self, core: Cpu) -> list[int]:
        """Everything in a core's registers that its execution depends on."""
        return self._registers.read(core.handle)

    def flush(self) -> None:
        """Code has changed."""
        self._cpu.flush()
        self._translated.clear()

    def _flush_if_changed(self) -> None:
        """A core's own store through the same address is known to its own CPU only."""
        if any(span is None or bytes(span) != data for span, data in self._translated.values()):
            self.flush()

    def _remember_translated(self) -> None:
        """Whole pages: a block is translated to its end, however much of it was executed."""
        first, last = self._state.lowest >> PAGE_BITS, self._state.highest - 1 >> PAGE_BITS
        if first > last or (first, last) in self._translated:
            return
        size = last - first + 1 << PAGE_BITS
        span = self._memory.span(first << PAGE_BITS, size) if size <= _MOST_CODE else None
        self._translated[first, last] = (span, b"" if span is None else bytes(span))

    def probe(
        self, core: Cpu, pc: int, granted: Granted | None = None, *, keeps_masks: bool = False
    ) -> IdleLoop | None:
        """The loop that a core stands in, or None; memory is left as it was. ``granted`` is the MPU's word: this CPU
        has none. ``keeps_masks``: one that may unmask a pending exception does not count.
        """
        self._flush_if_changed()
        state = self._state
        values = self._registers.read(core.handle)
        self._registers.write(self._cpu.handle, values)
        if self._registers.read(self._cpu.handle) != values:
            return None
        state.start[: len(values)] = values
        state.head = pc
        state.executed = 0
        state.limit = _LIMIT
        state.passed = state.same = state.spoilt = 0
        state.keeps_masks = keeps_masks
        state.lowest, state.highest = 0xFFFF_FFFF, 0
        state.read_count = state.write_count = 0
        self._touched.clear()
        self._polls.clear()
        self.is_running = True
        try:
            uclib.uc_emu_start(self._cpu.handle, ctypes.c_uint64(pc | 1), ctypes.c_uint64(abi.NO_ADDRESS), 0, 0)
        finally:
            self.is_running = False
        if not self._put_devices_back():
            self.spoil()
        if not state.same or state.spoilt:
            for access in reversed(state.writes[: state.write_count]):
                span = self._memory.span(access.address, access.size)
                data = access.value.to_bytes(8, "little")[: access.size]
                if span is not None:
                    span[:] = data
                else:  # across the border of two regions
                    self._memory.write(access.address, data)
            self._remember_translated()
            return None
        self._remember_translated()
        reads = [(access.address, access.size, access.value) for access in state.reads[: state.read_count]]
        written = [(access.address, access.size, access.value) for access in state.writes[: state.write_count]]
        code_size = state.highest - state.lowest
        watched = []
        for address, size, value in (*reads, *written):
            span = self._memory.span(address, size)
            if span is None:
                return None
            watched.append((span, value.to_bytes(8, "little")[:size]))
        code = self._memory.span(state.lowest, code_size)
        if code is None or code_size > _MOST_CODE:
            return None
        if granted is not None:
            accesses = [(*access, READ) for access in (*self._polls, *((each[0], each[1]) for each in reads))]
            accesses += [(address, size, WRITE) for address, size, _value in written]
            accesses.append((state.lowest, code_size, EXECUTE))
            if not all(granted(*access) for access in accesses):
                return None
        watched.append((code, bytes(code)))
        polls = [Read(address, size, value) for (address, size), value in self._polls.items()]
        slots = tuple(slot for slot, _before in self._touched.values())
        return IdleLoop(int(state.executed), watched, (*polls, *(Read(*each) for each in reads)), slots)

    def close(self) -> None:
        self._cpu.close()
