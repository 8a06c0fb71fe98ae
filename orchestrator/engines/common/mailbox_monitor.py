"""Notifications from a mailbox's registers: what a store to it has sent, or signalled in vain.

The registers are looked at after each store of a core to the mailbox; who stored, and when, the engine knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.common.bits import bits_of
from orchestrator.events import NotificationIgnored, NotificationListened, NotificationSent, NotificationTaken
from orchestrator.platform.model import MailboxLine, Platform

__all__ = ["MailboxMonitor"]


@dataclass(slots=True)
class _Watched:
    """A mailbox's line to a core, and what it showed at the last look: a bit for each channel."""

    mailbox: str
    line: MailboxLine
    read: Callable[[int], int]  # a register, by its offset, as the line's core sees it
    enabled_at: int | None = None  # register with a bit for each channel that interrupts the core
    pending: int = 0
    signalled: int = 0
    enabled: int = 0


_Stored = NotificationSent | NotificationIgnored | NotificationListened


class MailboxMonitor:
    """The mailboxes of a board. ``word(core, mailbox, offset)`` reads a register of one as a core sees it; reading
    those of a line changes nothing.
    """

    def __init__(self, platform: Platform, word: Callable[[str, str, int], int]) -> None:
        enabled = {(drive.mailbox, drive.core): drive.enabled for drive in platform.drives}
        self._lines = [
            _Watched(
                each.peripheral,
                line,
                partial(word, line.core, each.peripheral),
                enabled.get((each.peripheral, line.core)),
            )
            for each in platform.mailboxes
            for line in each.lines
        ]
        self._by_input: dict[tuple[str, int], list[_Watched]] = {}  # core and interrupt
        for each in self._lines:
            self._by_input.setdefault((each.line.core, each.line.interrupt), []).append(each)
        self.mailboxes = frozenset(each.mailbox for each in self._lines)

    def stored(self, mailbox: str, writer: str) -> Iterator[_Stored]:
        """What a core's store to a mailbox has done. A core that signals itself in vain rings nobody."""
        for each in self._lines:
            if each.mailbox == mailbox:
                yield from self._look(each, writer)

    def _look(self, each: _Watched, writer: str) -> Iterator[_Stored]:
        line = each.line
        pending, signalled = line.look(each.read)
        sent, ignored = pending & ~each.pending, signalled & ~pending & ~each.signalled
        rising = not each.pending
        each.pending, each.signalled = pending, signalled
        if each.enabled_at is not None and line.core == writer:
            enabled = each.read(each.enabled_at)
            listened, each.enabled = enabled & ~each.enabled, enabled
            if listened:
                yield NotificationListened(each.mailbox, tuple(bits_of(listened)), tuple(bits_of(listened & signalled)))
        for channel in bits_of(sent):
            yield NotificationSent(each.mailbox, line.core, channel, line.interrupt, rising)
            rising = False
        if line.core != writer:
            for channel in bits_of(ignored):
                yield NotificationIgnored(each.mailbox, line.core, channel)

    def taken(self, core: str, interrupt: int) -> Iterator[NotificationTaken]:
        """A core has entered the exception of an external interrupt: what the mailboxes that drive it show."""
        for each in self._by_input.get((core, interrupt), ()):
            pending = each.read(each.line.pending)
            yield NotificationTaken(each.mailbox, tuple(bits_of(pending)), interrupt)

    def driven(self, core: str) -> list[int]:
        """Interrupts of a core whose line a mailbox drives now, whoever has looked at it, in order."""
        lines = (each for each in self._lines if each.line.core == core)
        return sorted({each.line.interrupt for each in lines if each.read(each.line.pending)})

    def ringing(self, core: str) -> list[int]:
        """By which interrupts mailboxes rang a core at the last look, in order."""
        return sorted({each.line.interrupt for each in self._lines if each.line.core == core and each.pending})

    def interrupts(self, core: str) -> list[int]:
        """By which interrupts mailboxes reach a core, in order."""
        return sorted({each.line.interrupt for each in self._lines if each.line.core == core})

    def save(self) -> tuple[tuple[int, int, int], ...]:
        """What every line showed at the last look."""
        return tuple((each.pending, each.signalled, each.enabled) for each in self._lines)

    def restore(self, saved: tuple[tuple[int, int, int], ...]) -> None:
        """Go back to :meth:`save`."""
        for each, (pending, signalled, enabled) in zip(self._lines, saved, strict=True):
            each.pending, each.signalled, each.enabled = pending, signalled, enabled
