"""An assisted core: it runs its firmware, and an assistant acts in its name between two turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.base.memory import Memory
from orchestrator.engines.contract import Assistant
from orchestrator.engines.unicorn.bus import Slot
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.hosted import DeviceAccess

__all__ = ["AssistedCore"]


class AssistedCore(DeviceAccess):
    """Implements :class:`orchestrator.engines.contract.PlayedCore` beside the core's firmware."""

    def __init__(
        self,
        core: Core,
        assistant: Assistant,
        written: Callable[[Core, Slot], None],
        peers: Mapping[str, Core],
        settle: Callable[[], None],
    ) -> None:
        super().__init__(core, written, peers)
        self.assistant = assistant
        self.asked = True
        self.at_ns: int | None = None
        self._settle = settle

    @property
    def memory(self) -> Memory:
        return self.core.memory

    def wake(self) -> None:
        self.asked = True

    def is_due(self, time_ns: int) -> bool:
        """Whether it has a turn at the end of the quantum that ends at a moment."""
        return self.asked or (self.at_ns is not None and self.at_ns <= time_ns)

    def has_plans(self) -> bool:
        """It will act by itself."""
        return self.asked or self.at_ns is not None

    def turn(self, time_ns: int) -> None:
        """Let the assistant act; cores leave idle loops first, as memory may change under them."""
        self.asked = False
        self._settle()
        self.at_ns = self.assistant.turn(time_ns)
