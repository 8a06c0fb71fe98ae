"""Memory that the chip keeps from a core until firmware opens it: Renode asks nothing at an access, so that the first
one that the chip would refuse is told as the fault that it is, and is the end of the run.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Extent
from orchestrator.engines.common import cortex_m
from orchestrator.engines.common.faults import FaultStatus, describe_fault
from orchestrator.engines.common.gates import GateKeys
from orchestrator.engines.renode.complaints import base_of
from orchestrator.engines.renode.cores import Cores, HostScope
from orchestrator.engines.renode.session import Bus
from orchestrator.events import Fault
from orchestrator.platform.model import Gate, Platform, Region

__all__ = ["MemoryGates"]

_UNKNOWN_SIZE = 0x400  # bytes of a peripheral whose size nobody gives


class MemoryGates:
    """Gates of a board's memories that refuse; ``scope`` is entered while their registers are read."""

    def __init__(self, platform: Platform, bus: Bus, cores: Cores, scope: HostScope) -> None:
        self._platform = platform
        self._bus = bus
        self._cores = cores
        self._scope = scope
        self._keys = GateKeys(platform, self._register, lambda core: bool(cores[core].images))
        self._open: set[tuple[int, int]] = set()  # blocks of gates, until a register of one is written
        self._regions = {region.name: region for region in platform.regions}
        self._by_place: dict[tuple[str, str], list[int]] = {}  # core and region
        for number, gate in enumerate(platform.gates):
            if gate.refuses and gate.target in self._regions:
                self._by_place.setdefault((gate.core, gate.target), []).append(number)
        gates = [platform.gates[number] for numbers in self._by_place.values() for number in numbers]
        for name in sorted({key.peripheral for gate in gates for key in gate.keys}):
            bus.on_store(name, 0, _size_of(platform, name), lambda *_: self._open.clear())

    def watched(self) -> Iterator[tuple[str, Region, list[Extent]]]:
        """Whose accesses to which memory are to be told, and where that core has it."""
        for (core, name), numbers in self._by_place.items():
            if any(map(self._keys.is_in_force, numbers)):
                region = self._regions[name]
                yield core, region, list(region.extents(core))

    def refusal(self, core: str, region: str, offset: int, *, writes: bool) -> str | None:
        """Why the chip refuses this access; None: it does not."""
        numbers = self._by_place.get((core, region), ())
        if not numbers:
            return None
        with self._scope():
            return next((why for each in numbers if (why := self._why(each, offset, writes=writes))), None)

    def _why(self, number: int, offset: int, *, writes: bool) -> str | None:
        gate: Gate = self._platform.gates[number]
        if ("w" if writes else "r") not in gate.rights or not self._keys.is_in_force(number):
            return None
        index = offset // (gate.block or self._regions[gate.target].size)
        if (number, index) in self._open:
            return None
        self._keys.look_again()
        if self._keys.is_open(gate, index):
            self._open.add((number, index))
            return None
        return self._keys.why(gate, index)

    def _register(self, peripheral: str, offset: int) -> int:
        """Through a core that sees it."""
        found = next(each for each in self._platform.peripherals if each.name == peripheral)
        core = next(each.name for each in self._platform.cores if found.registrations[0].seen_by(each.name))
        return self._bus.word(core, base_of(self._platform, peripheral, core) + offset)

    def fault(self, core: str, address: int, size: int, why: str, pc: int, *, writes: bool) -> Fault:
        """The BusFault that the access is on the chip."""
        with self._scope():
            registers = self._cores.registers(core) | {"PC": pc}
            what = f"{'writes' if writes else 'reads'} {size} bytes at {address:#010x}, {why}"
            status = FaultStatus(("PRECISERR", "BFARVALID"), address)
            memory, images = self._cores.memory(core), self._cores[core].images
            return describe_fault(cortex_m.BUS_FAULT, status, what, registers, memory, images, escalated=False)


def _size_of(platform: Platform, peripheral: str) -> int:
    return next(each.size for each in platform.peripherals if each.name == peripheral) or _UNKNOWN_SIZE
