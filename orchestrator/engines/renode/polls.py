"""Which registers a core reads again and again: reads of devices are hooked for a moment, where a core seems to wait.

A hook on each read would slow every access down. A core whose program counter has been in one small loop at every look
for a while is listened to for some reads; what it saw there each time is what it waits for, as long as it is still in
that loop.
"""

from __future__ import annotations

from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.backtrace import symbol_of
from orchestrator.engines.renode.complaints import base_of
from orchestrator.engines.renode.core_turns import CoreTurns
from orchestrator.engines.renode.cores import BoardCore, Cores, HostScope
from orchestrator.engines.renode.session import Bus
from orchestrator.events import CoreState, Poll, Waiting
from orchestrator.platform.model import Platform

__all__ = ["PollWatch"]

_LOOP = 64  # bytes of code that a loop may have
_LOOKS = 20  # in a row, that find a core in it
_READS = 64  # that are listened to
_PATIENCE = 5  # looks without so many: it reads no device
_MOST_LISTENINGS = 8  # of one core: each costs some milliseconds
_UNKNOWN_SIZE = 0x400  # bytes of a peripheral whose size nobody gives


@dataclass(slots=True)
class _Seen:
    """A core at the looks of late."""

    first: int = 0  # lowest and highest program counter
    last: int = 0
    looks: int = 0
    listenings: int = 0
    reads: int = 0
    values: dict[tuple[str, int, int], set[int]] = field(default_factory=dict)  # by peripheral, offset, size


class PollWatch:
    """Looked at once in a while; it listens to one core at a time."""

    def __init__(self, platform: Platform, bus: Bus, cores: Cores, turns: CoreTurns, scope: HostScope) -> None:
        self._platform = platform
        self._bus = bus
        self._cores = cores
        self._turns = turns
        self._scope = scope
        self._seen = {core.name: _Seen() for core in cores}
        self._listened = ""  # the core
        self._looks_left = 0
        uarts = {each.name for each in platform.peripherals if each.type.startswith("UART.")}
        self._devices = [each for each in platform.peripherals if each.registrations and each.name not in uarts]

    def look(self) -> None:
        """Where every core is now."""
        self._looks_left -= 1
        if self._listened and not self._looks_left:
            self._seen[self._listened].looks = 0
            self.rest()
        for core in self._cores:
            seen, pc = self._seen[core.name], self._bus.pc(core.name) & ~1
            first, last = min(seen.first, pc), max(seen.last, pc)
            if core.held or core.locked_up or core.asleep or core.played is not None or last - first > _LOOP:
                self._seen[core.name] = _Seen(pc, pc, listenings=seen.listenings)
                continue
            seen.first, seen.last, seen.looks = first, last, seen.looks + 1
            if seen.looks >= _LOOKS and not seen.reads and not self._listened:
                self._listen(core)

    def _listen(self, core: BoardCore) -> None:
        seen = self._seen[core.name]
        if seen.listenings < _MOST_LISTENINGS:
            seen.listenings += 1
            self._listened, self._looks_left = core.name, _PATIENCE
            for each in self._devices:
                if any(at.seen_by(core.name) for at in each.registrations):
                    heard = lambda offset, size, value, name=each.name: self._heard(name, offset, size, value)  # noqa: E731
                    self._bus.on_load(each.name, 0, each.size or _UNKNOWN_SIZE, heard)

    def _heard(self, peripheral: str, offset: int, size: int, value: int) -> None:
        if self._scope.active or self._turns.acting() != self._listened:
            return
        seen = self._seen[self._listened]
        seen.reads += 1
        seen.values.setdefault((peripheral, offset, size), set()).add(value)
        if seen.reads >= _READS:
            self.rest()

    def rest(self) -> None:
        """Listen to nobody any more."""
        if self._listened:
            self._listened = ""
            for each in self._devices:
                self._bus.on_load(each.name, 0, 0, None)

    def waiting(self, core: BoardCore) -> Waiting | None:
        """What a core waits for that is in such a loop now; None: nothing can be told."""
        seen, pc = self._seen[core.name], self._bus.pc(core.name) & ~1
        inside = min(seen.first, pc) + _LOOP >= max(seen.last, pc)
        constant = seen.reads >= _READS and all(len(each) == 1 for each in seen.values.values())
        if not inside or not constant or self._cores.state(core.name) is not CoreState.RUNNING:
            return None
        polls = tuple(
            Poll(base_of(self._platform, name, core.name) + offset, size, next(iter(values)), name)
            for (name, offset, size), values in seen.values.items()
        )
        return Waiting(pc, symbol_of(core.images, pc), polls)
