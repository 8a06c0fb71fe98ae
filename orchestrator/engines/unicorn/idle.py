"""Finding idle loops: code that provably does the same for ever, so that its time can be skipped.

A loop that comes back to the same registers, touches no device, takes no exception and stores only what is there
already cannot leave by itself. The proof is made on a second CPU with the same memory; it holds as long as the bytes
that the loop reads, stores and executes stay as they were.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from unicorn import unicorn_const
from unicorn.unicorn_py3.unicorn import uclib

from orchestrator.engines.unicorn import binding
from orchestrator.engines.unicorn.binding import PAGE_BITS, Cpu, ProbeState, RegisterBatch, hooks
from orchestrator.engines.unicorn.memory import CoreMemory

__all__ = ["IdleLoop", "Prober"]

_LIMIT = 2000  # instructions: longer loops are not looked for
_MOST_CODE = 1 << 16  # bytes that are compared
_STATE = (
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


@dataclass(slots=True)
class IdleLoop:
    """A proven loop; ``debt`` counts instructions of its current round that are still to be executed."""

    length: int  # instructions
    watched: list[tuple[memoryview, bytes]]
    reads: tuple[tuple[int, int, int], ...]  # address, size, value
    debt: int = 0

    def holds(self) -> bool:
        return all(bytes(span) == data for span, data in self.watched)


class Prober:
    """Tries out whether a core has come to an idle loop."""

    def __init__(self, model: str, memory: CoreMemory) -> None:
        self._memory = memory
        self._translated: dict[tuple[int, int], tuple[memoryview | None, bytes]] = {}  # by first and last page
        self._cpu = Cpu(model)
        for mapping in memory.mappings():
            writable = mapping.store.region.writable  # a store that changes nothing is an event, not an idle loop
            self._cpu.map_memory(mapping.extent.start, mapping.extent.size, mapping.store.pointer, writable=writable)
        self._registers = RegisterBatch(*_STATE)
        self._state = state = ProbeState()
        state.count = len(_STATE)
        state.ids[: len(_STATE)] = binding.registers(*_STATE)
        base = ctypes.addressof(state) + ProbeState.now.offset
        for index in range(len(_STATE)):
            state.now_pointers[index] = base + 8 * index
        state.emu_stop = binding.function_pointer(uclib.uc_emu_stop)
        state.reg_read_batch = binding.function_pointer(uclib.uc_reg_read_batch)
        state.mem_read = binding.function_pointer(uclib.uc_mem_read)
        for kind, function in (
            (unicorn_const.UC_HOOK_CODE, hooks.probe_on_code),
            (unicorn_const.UC_HOOK_MEM_READ, hooks.probe_on_read),
            (unicorn_const.UC_HOOK_MEM_WRITE, hooks.probe_on_write),
            (unicorn_const.UC_HOOK_INTR, hooks.probe_on_exception),
            (unicorn_const.UC_HOOK_MEM_INVALID, hooks.probe_on_invalid),
        ):
            self._cpu.hook(kind, binding.function_pointer(function), state)

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

    def probe(self, core: Cpu, pc: int) -> IdleLoop | None:
        """The loop that a core stands in, or None; memory is left as it was."""
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
        state.lowest, state.highest = 0xFFFF_FFFF, 0
        state.read_count = state.write_count = 0
        uclib.uc_emu_start(self._cpu.handle, ctypes.c_uint64(pc | 1), ctypes.c_uint64(binding.NO_ADDRESS), 0, 0)
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
        watched.append((code, bytes(code)))
        return IdleLoop(int(state.executed), watched, tuple(reads))

    def close(self) -> None:
        self._cpu.close()
