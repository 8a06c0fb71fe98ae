"""A mailbox's registers on QEMU: which words the plugin reads after which stores, and what it has read."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.base.memory import Extent
from orchestrator.engines.qemu.control import Probe
from orchestrator.platform.model import Peripheral, Platform

__all__ = ["MailboxProbes"]

_WINDOW = 0x400  # bytes of a mailbox whose size nobody gives


class MailboxProbes:
    """Every register of every mailbox's lines, at each address where a core may store to the mailbox."""

    def __init__(self, platform: Platform, cores: Sequence[str]) -> None:
        self.wanted: list[Probe] = []
        self._registers: list[tuple[str, str, int]] = []  # of each probe: core, mailbox, offset
        self._last: dict[int, str] = {}  # the last probe after a store: of which mailbox
        self._words: dict[tuple[str, str, int], int] = {}
        peripherals = {each.name: each for each in platform.peripherals}
        for mailbox in platform.mailboxes:
            peripheral = peripherals[mailbox.peripheral]
            for address in sorted({each.address for each in peripheral.registrations}):
                trigger = Extent(address, peripheral.size or _WINDOW)
                for line in mailbox.lines:
                    base = _base(peripheral, line.core)
                    for offset in line.offsets:
                        self.wanted.append(Probe(trigger, cores.index(line.core), base + offset))
                        self._registers.append((line.core, mailbox.peripheral, offset))
                self._last[len(self.wanted) - 1] = mailbox.peripheral

    def probed(self, probe: int, value: int) -> str | None:
        """The plugin has read a word; the mailbox's name once all that belongs to the same store has come."""
        self._words[self._registers[probe]] = value
        return self._last.get(probe)

    def word(self, core: str, mailbox: str, offset: int) -> int:
        """A register as it was after the last store."""
        return self._words.get((core, mailbox, offset), 0)


def _base(peripheral: Peripheral, core: str) -> int:
    return next(at.address for at in peripheral.registrations if at.seen_by(core))
