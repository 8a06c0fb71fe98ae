"""What the host reads and writes on a board: nothing that a core does, and nothing that a watch is to see."""

from __future__ import annotations

from orchestrator.base.errors import TranslationError
from orchestrator.engines.unicorn.bus import Slot
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.memory import CoreMemory
from orchestrator.engines.unicorn.turn import Turn
from orchestrator.engines.unicorn.watches import Watches
from orchestrator.engines.unicorn.wiring import Wiring

__all__ = ["HostMemory", "peek", "poke"]


class HostMemory:
    """A core's view of memory for the host."""

    def __init__(self, memory: CoreMemory, wiring: Wiring, watches: Watches) -> None:
        self.view = memory.view
        self.read = memory.read  # nothing is added to it
        self._memory = memory
        self._wiring = wiring
        self._watches = watches

    def write(self, address: int, data: bytes) -> None:
        self._wiring.settle()
        self._wiring.from_outside += 1
        with self._watches.by_host():
            self._memory.write(address, data)
        if self._wiring.coherence is not None:
            self._wiring.coherence.poked(self._memory, address, len(data))


def peek(core: Core, turn: Turn, address: int, size: int) -> bytes:
    """Memory and registers of devices as a core sees them; TranslationError where there is nothing."""
    core.settle()
    data = bytearray()
    with turn.of(None):
        while len(data) < size:
            at, left = address + len(data), size - len(data)
            mapping = core.memory.mapping_at(at)
            if mapping is not None:
                data += core.memory.read(at, min(left, mapping.extent.end - at))
                continue
            slot, width = _register_at(core, at, left)
            value = slot.device.read(at - slot.extent.start, width, None)
            data += value.to_bytes(width, "little")
    return bytes(data)


def poke(core: Core, turn: Turn, wiring: Wiring, watches: Watches, address: int, data: bytes) -> None:
    """Store as the core would, in flash too; TranslationError where there is nothing."""
    wiring.settle()
    wiring.from_outside += 1
    done = 0
    while done < len(data):
        at, left = address + done, len(data) - done
        mapping = core.memory.mapping_at(at)
        if mapping is not None:
            width = min(left, mapping.extent.end - at)
            with watches.by_host():
                core.memory.write(at, data[done : done + width])
            if wiring.coherence is not None:
                wiring.coherence.poked(core.memory, at, width)
        else:
            slot, width = _register_at(core, at, left)
            slot.pollers.leave()
            with turn.of(None):
                value = int.from_bytes(data[done : done + width], "little")
                slot.device.write(at - slot.extent.start, width, value, core.name)
                wiring.sleep_may_differ()  # SCR
                wiring.device_written(core, slot)
        done += width


def _register_at(core: Core, address: int, left: int) -> tuple[Slot, int]:
    """The device at an address, and how many bytes one access of it has."""
    slot = core.bus.slot_at(address)
    if slot is None:
        raise TranslationError("nothing answers", where=f"{core.name} at {address:#010x}")
    return slot, next(width for width in (4, 2, 1) if address % width == 0 and width <= left)
