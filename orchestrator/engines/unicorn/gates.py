"""What the chip keeps from a core until firmware opens it: the platform's gates, as their registers stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from orchestrator.engines.common.gates import GateKeys
from orchestrator.engines.common.memory_protection import EXECUTE, READ, WRITE
from orchestrator.engines.unicorn.bus import Device
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.cpu.mpu import Shut
from orchestrator.platform.model import Gate, Platform, Region

__all__ = ["GatedDevice", "Gates"]

_RIGHTS = {"r": READ, "w": WRITE, "x": EXECUTE}


class Gates:
    """Every gate of a board; ``runs_firmware`` says of a core whether an image executes there."""

    def __init__(self, platform: Platform, devices: Mapping[str, Device], runs_firmware: Callable[[str], bool]) -> None:
        self._gates = platform.gates
        self._regions = {region.name: region for region in platform.regions}
        self._keys = GateKeys(platform, lambda name, offset: devices[name].read(offset, 4, None), runs_firmware)
        self.registers = self._keys.registers
        self.passed: set[int] = set()  # what is not refused is said once

    def look(self, cores: Mapping[str, Core]) -> None:
        """Have each core find what the registers say now."""
        self._keys.look_again()
        for name, core in cores.items():
            shut = tuple(
                each
                for number, gate in enumerate(self._gates)
                if gate.core == name and gate.target in self._regions and self._is_in_force(number)
                for each in self._shut(number, gate, self._regions[gate.target])
            )
            core.keep_from(shut, partial(self._let_pass, cores))

    def of_peripheral(self, core: str, name: str) -> list[int]:
        """Numbers of the gates between a core and a peripheral."""
        return [n for n, gate in enumerate(self._gates) if (gate.core, gate.target) == (core, name)]

    def why_shut(self, number: int) -> str | None:
        """What keeps a core from a peripheral now; None: nothing does."""
        gate = self._gates[number]
        return self._keys.why(gate, 0) if self._is_in_force(number) and not self._keys.is_open(gate, 0) else None

    def _let_pass(self, cores: Mapping[str, Core], shut: Shut) -> None:
        self.passed.add(shut.gate)
        self.look(cores)

    def _is_in_force(self, number: int) -> bool:
        return number not in self.passed and self._keys.is_in_force(number)

    def _shut(self, number: int, gate: Gate, region: Region) -> Iterator[Shut]:
        block = gate.block or region.size
        rights = sum(_RIGHTS[letter] for letter in gate.rights)
        for index in range(region.size // block):
            if not self._keys.is_open(gate, index):
                for extent in region.extents(gate.core):
                    start = extent.start + index * block
                    yield Shut(start, start + block, rights, self._keys.why(gate, index), gate.refuses, number)


class GatedDevice:
    """A peripheral behind a gate, on the bus of one core: the first access while that is shut is said."""

    def __init__(self, device: Device, gates: Gates, number: int, say: Callable[[int, str], bool]) -> None:
        self._device = device
        self._gates = gates
        self._number = number
        self._say = say  # tells of an access, by offset and reason; False where it is a trial, which goes no further

    @property
    def is_steady(self) -> bool:
        return self._device.is_steady and self._gates.why_shut(self._number) is None

    def _pass(self, offset: int, verb: str, size: int) -> None:
        why = None if self._number in self._gates.passed else self._gates.why_shut(self._number)
        if why is not None and self._say(offset, f"{verb} {size} bytes, {why}"):
            self._gates.passed.add(self._number)

    def read(self, offset: int, size: int, core: str | None) -> int:
        if core is not None:
            self._pass(offset, "reads", size)
        return self._device.read(offset, size, core)

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        if core is not None:
            self._pass(offset, "writes", size)
        self._device.write(offset, size, value, core)

    def reset(self) -> None:
        """The board resets the device itself."""

    def snapshot(self) -> object:
        return None

    def restore(self, state: object) -> None:
        """The board restores the device itself."""
