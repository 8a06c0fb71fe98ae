"""A core that a player plays on Renode: the core itself stays halted, and the player acts at the ends of quanta.

What it reads and writes goes over Renode's bus with the core as context, so that a mailbox knows who it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from orchestrator.base.errors import EngineError
from orchestrator.base.memory import Memory
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.store_replay import Happening, Store, Turns, View
from orchestrator.engines.contract import Player
from orchestrator.engines.renode.session import Bus
from orchestrator.platform.model import Core, Platform

__all__ = ["Played", "Players"]

_UNKNOWN_SIZE = 0x400  # bytes of a peripheral whose size nobody gives


class Played:
    """One played core; implements :class:`orchestrator.engines.contract.PlayedCore`.

    ``as_host`` keeps what it does from the hooks that tell of cores: it is kept in ``happenings`` until the board tells
    of its turn.
    """

    def __init__(
        self,
        core: Core,
        player: Player,
        bus: Bus,
        turns: Turns,
        platform: Platform,
        mailboxes: MailboxMonitor,
        as_host: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.core = core
        self.held = core.held
        self.asked = True  # the first turn is at the end of the first quantum
        self.at_ns: int | None = None
        self._acted_ns = bus.time_ns  # one turn a quantum
        self.memory: Memory = View(platform, turns, core.name, self._store)
        self.happenings: list[Happening] = []
        self._player = player
        self._platform = platform
        self._bus = bus
        self._mailboxes = mailboxes
        self._as_host = as_host

    def read(self, address: int) -> int:
        self._device_at(self.core.name, address)
        with self._as_host():
            return self._bus.word(self.core.name, address)

    def peek(self, core: str, address: int) -> int:
        self._device_at(core, address)
        with self._as_host():
            return self._bus.word(core, address)

    def write(self, address: int, value: int) -> None:
        device = self._device_at(self.core.name, address)
        with self._as_host():
            self._bus.store_word(self.core.name, address, value)
        if device in self._mailboxes.mailboxes:
            now = self._bus.time_ns
            for what in self._mailboxes.stored(device, self.core.name):
                self.happenings.append(Happening(now, self.core.name, what))

    def wake(self) -> None:
        self.asked = True

    def _device_at(self, core: str, address: int) -> str:
        for each in self._platform.peripherals:
            for at in each.registrations:
                size = at.size or each.size or _UNKNOWN_SIZE
                if at.seen_by(core) and at.address <= address < at.address + size:
                    return each.name
        raise EngineError("no device here", where=f"{core} at {address:#010x}")

    def _store(self, core: str, address: int, data: bytes) -> None:
        with self._as_host():
            self._bus.write(core, address, data)
        store = Store(address, len(data), int.from_bytes(data, "little"))
        self.happenings.append(Happening(self._bus.time_ns, core, store))

    def has_plans(self) -> bool:
        """It will act by itself."""
        return not self.held and (self.asked or self.at_ns is not None)

    def let_act(self, now_ns: int) -> bool:
        """Its turn, if it is due at this moment; whether it was."""
        if now_ns == self._acted_ns:
            return False
        ringing = self._mailboxes.ringing(self.core.name)
        if self.held or not (ringing or self.asked or (self.at_ns is not None and self.at_ns <= now_ns)):
            return False
        for interrupt in ringing:
            for taken in self._mailboxes.taken(self.core.name, interrupt):
                self.happenings.append(Happening(now_ns, self.core.name, taken))
        self.asked, self._acted_ns = False, now_ns
        self.at_ns = self._player.turn(now_ns)
        return True

    def reset(self) -> None:
        """The core is as at power-on."""
        self.held = self.core.held
        self.asked, self.at_ns = True, None
        self._player.reset()


class Players:
    """The cores that players have, as ``played`` says: they act at the ends of quanta, and what they did is told."""

    def __init__(
        self, bus: Bus, played: Callable[[], Iterator[Played]], tell: Callable[[Sequence[Happening]], None]
    ) -> None:
        self._bus = bus
        self._played = played
        self._tell = tell
        self._awaited_ns: int | None = None

    def have_plans(self) -> bool:
        """One of them will act by itself."""
        return any(played.has_plans() for played in self._played())

    def let_act(self, at_end: Callable[[], None], await_end: Callable[[], None]) -> None:
        """At the end of a quantum; ``at_end`` is called at the moment for which a player asks, if it does."""
        for played in self._played():
            if played.let_act(self._bus.time_ns):
                await_end()  # of the next one: it may have rung itself, or want to go on
            happenings, played.happenings = played.happenings, []
            self._tell(happenings)
            if played.asked:
                await_end()
            at_ns = None if played.held else played.at_ns
            if at_ns is not None and (self._awaited_ns is None or at_ns < self._awaited_ns):
                self._awaited_ns = at_ns
                self._bus.at_quantum_end(functools.partial(self._wanted, at_end), at_ns)

    def _wanted(self, at_end: Callable[[], None]) -> None:
        self._awaited_ns = None
        at_end()
