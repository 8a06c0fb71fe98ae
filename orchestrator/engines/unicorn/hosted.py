"""A hosted core: a player has its place. When it has a turn, and what it reaches in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import Player
from orchestrator.engines.unicorn.bus import Slot
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.memory import MemoryView

__all__ = ["DeviceAccess", "HostedCore"]


class DeviceAccess:
    """Registers of devices as Python reads and writes them in a core's name."""

    def __init__(self, core: Core, written: Callable[[Core, Slot], None], peers: Mapping[str, Core]) -> None:
        self.core = core
        self._written = written
        self._peers = peers

    @staticmethod
    def _slot(core: Core, address: int) -> Slot:
        slot = core.bus.slot_at(address)
        if slot is None:
            raise EngineError("no device here", where=f"{core.name} at {address:#010x}")
        if slot.pollers:
            slot.pollers.leave()
        return slot

    def read(self, address: int) -> int:
        slot = self._slot(self.core, address)
        value: int = slot.device.read(address - slot.extent.start, 4, self.core.name)
        return value

    def write(self, address: int, value: int) -> None:
        slot = self._slot(self.core, address)
        slot.device.write(address - slot.extent.start, 4, value, self.core.name)
        self._written(self.core, slot)

    def peek(self, core: str, address: int) -> int:
        slot = self._slot(self._peers[core], address)
        value: int = slot.device.read(address - slot.extent.start, 4, core)
        return value


class HostedCore(DeviceAccess):
    """One core in whose place a player acts; implements :class:`orchestrator.engines.contract.PlayedCore`."""

    def __init__(
        self, core: Core, player: Player, written: Callable[[Core, Slot], None], peers: Mapping[str, Core]
    ) -> None:
        super().__init__(core, written, peers)
        self.player = player
        self.held = core.model.held
        self.asked = True  # the first turn is at the end of the first quantum
        self.at_ns: int | None = None
        self.turns = 0  # that the player has had
        self.past_caches: MemoryView | None = None  # its memory, where caches of other cores are modelled
        core.held = True  # the core itself never runs

    @property
    def memory(self) -> MemoryView:
        return self.core.memory if self.past_caches is None else self.past_caches

    def wake(self) -> None:
        self.asked = True

    def is_due(self, time_ns: int, *, interrupted: bool) -> bool:
        """Whether it has a turn in the quantum that ends at a moment."""
        if self.held:
            return False
        return interrupted or self.asked or (self.at_ns is not None and self.at_ns <= time_ns)

    def has_plans(self) -> bool:
        """It will act by itself."""
        return not self.held and (self.asked or self.at_ns is not None)

    def turn(self, time_ns: int) -> None:
        """Let the player act."""
        self.asked = False
        self.turns += 1
        self.at_ns = self.player.turn(time_ns)

    def reset(self) -> None:
        """The core is as at power-on."""
        self.held = self.core.model.held
        self.asked, self.at_ns = True, None
        self.core.held = True
        self.player.reset()
