"""How the cores of a board stand, as far as QEMU does not say it: which wait, which never will run, what they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.engines.common.cores import core_named
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

__all__ = ["Cores"]


class Cores:
    """The cores of a machine by name; their numbers are QEMU's."""

    def __init__(self, platform: Platform, names: Sequence[str]) -> None:
        self._platform = platform
        self.names = tuple(names)
        self._numbers = {name: number for number, name in enumerate(names)}
        self.images: dict[str, list[Image]] = {core.name: [] for core in platform.cores}
        self.vector_tables = {core.name: core.boot_address for core in platform.cores}
        self.held = {core.name: core.held for core in platform.cores}
        self.stopped: set[str] = set()  # by the host, before it ever ran
        self.locked_up: set[str] = set()
        self.last_registers: dict[str, Mapping[str, int]] = {}  # of what has locked up

    def number(self, name: str) -> int:
        """UsageError where there is no core of this name."""
        return self._numbers[core_named(self._platform, name).name]

    @property
    def first(self) -> str:
        """The core through whose view memory is read."""
        return self.names[0]

    @property
    def awake(self) -> list[int] | None:
        """Numbers of those that the host has not stopped; None: all."""
        found = [number for name, number in self._numbers.items() if name not in self.stopped]
        return None if len(found) == len(self._numbers) else found

    @property
    def is_any_alive(self) -> bool:
        """Whether a core may still execute something."""
        return not all(self.held[name] or name in self.locked_up for name in self.names)

    def left_reset(self) -> str | None:
        """Firmware has let a core go that waited: which; None where none did."""
        for name, held in self.held.items():
            if held:
                self.held[name] = False
                return name
        return None

    def reset(self) -> None:
        """Every core begins anew."""
        for core in self._platform.cores:
            self.held[core.name] = core.held or core.name in self.stopped
