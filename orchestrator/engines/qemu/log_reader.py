"""From QEMU's log to what happened on the board: by whom, when, and what it means to the mailboxes."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.engines.common.cortex_m import FIRST_INTERRUPT, exception_name
from orchestrator.engines.common.mailbox_monitor import MailboxMonitor
from orchestrator.engines.common.store_replay import Happening, Store
from orchestrator.engines.qemu import log
from orchestrator.engines.qemu.cores import Cores
from orchestrator.engines.qemu.mailbox_probes import MailboxProbes
from orchestrator.events import (
    CoreState,
    Detail,
    ExceptionReturn,
    ExceptionTaken,
    GuestError,
    StateChanged,
    UnmodelledAccess,
)
from orchestrator.platform.model import Platform

__all__ = ["LogReader", "by_turn"]


class LogReader:
    """Reads the log in order: a line without a core or a moment has those of the lines before it."""

    def __init__(self, platform: Platform, cores: Cores) -> None:
        self._tags = platform.tags
        self._cores = cores
        self.probes = MailboxProbes(platform, cores.names)
        self._mailboxes = MailboxMonitor(platform, self.probes.word)
        self.is_started = False  # before power-on QEMU speaks of the machine, not of its guest
        self.clock_ns = 0  # of the last line that said a time
        self.missed: log.Missed | None = None  # an access at which there is nothing
        self.fatal: tuple[str, dict[str, int]] | None = None  # why QEMU gave up, and the registers then
        self._clock_core = ""
        self._raised = ""  # the core of which an exception was announced

    @property
    def core(self) -> str:
        """Whose exception is spoken of."""
        return self._raised or self._clock_core

    def happenings(self, lines: list[str], now_ns: int) -> Iterator[Happening]:
        """What these lines say; nothing in them is later than ``now_ns``."""
        for line in lines:
            entry = log.parse_line(line)
            if isinstance(entry, log.Turned | log.Stored | log.Probed):
                self._clock_core = self._cores.names[entry.core]
                self.clock_ns = min(max(self.clock_ns, entry.time_ns), now_ns)
            for core, what in self._details(entry):
                yield Happening(self.clock_ns, core, what)

    def _details(self, entry: log.Entry | None) -> Iterator[tuple[str, Store | Detail]]:
        core = self.core
        if isinstance(entry, log.Stored):
            yield self._clock_core, Store(entry.address, entry.size, entry.value)
        elif isinstance(entry, log.Probed):
            mailbox = self.probes.probed(entry.probe, entry.value)
            if mailbox is not None:
                yield from ((self._clock_core, what) for what in self._mailboxes.stored(mailbox, self._clock_core))
        elif isinstance(entry, log.Raised):
            self._raised = self._cores.names[entry.core]
        elif isinstance(entry, log.Taken):
            yield from ((core, what) for what in self._taken(core, entry.number))
        elif isinstance(entry, log.Completed):
            yield core, ExceptionReturn(entry.number, exception_name(entry.number))
        elif isinstance(entry, log.Reset):
            yield from self._left_reset()
        elif isinstance(entry, log.Missed):
            self.missed = entry
        elif isinstance(entry, log.Fatal):
            self.fatal = (entry.what, {})
        elif isinstance(entry, log.Registers) and self.fatal is not None:
            self.fatal[1].update(entry.values)
        elif isinstance(entry, log.Unimplemented):
            yield "", self._unmodelled(entry)
        elif isinstance(entry, log.Said) and self.is_started:
            yield "", GuestError(0, None, 0, entry.text)

    def _taken(self, core: str, number: int) -> Iterator[Detail]:
        yield ExceptionTaken(number, exception_name(number), 0)
        yield from self._mailboxes.taken(core, number - FIRST_INTERRUPT)

    def _left_reset(self) -> Iterator[tuple[str, Detail]]:
        """Only a core that waited leaves reset while the machine runs."""
        core = self._cores.left_reset() if self.is_started else None
        if core is not None:
            yield core, StateChanged(CoreState.RUNNING, "released by firmware")

    def _unmodelled(self, entry: log.Unimplemented) -> UnmodelledAccess:
        base = next((extent.start for tag, extent, _ in self._tags if tag == entry.device), 0)
        what = f"{entry.device}: no model"
        return UnmodelledAccess(0, None, base + entry.offset, entry.size, entry.value, entry.device, what)


def by_turn(happenings: list[Happening]) -> list[Happening]:
    """What one core did without the other in between is one turn, which ends with the last of it."""
    ends: list[int] = [0] * len(happenings)
    end, core = 0, None
    for index in range(len(happenings) - 1, -1, -1):
        each = happenings[index]
        if each.core != core:
            end, core = each.end_ns, each.core
        ends[index] = end
    return [Happening(end, each.core, each.what) for end, each in zip(ends, happenings, strict=True)]
