"""The mailbox as a played core works it: by the steps that the platform gives for its firmware."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import UsageError
from orchestrator.engines.contract import PlayedCore
from orchestrator.platform.model import MailboxDrive, MailboxStep, Platform

__all__ = ["Doorbell"]

_MOST_OF_FIRMWARE = 8  # channels that firmware listens to


def _bits(channels: Iterable[int]) -> int:
    return sum(1 << each for each in set(channels))


@dataclass(frozen=True, slots=True)
class _Access:
    """One mailbox as one core reaches it."""

    drive: MailboxDrive
    base: int  # where its registers begin as the core addresses them
    pending: int | None  # offset; None: it does not interrupt this core

    @classmethod
    def of(cls, platform: Platform, drive: MailboxDrive) -> _Access:
        peripheral = next(each for each in platform.peripherals if each.name == drive.mailbox)
        base = next(at.address for at in peripheral.registrations if at.seen_by(drive.core))
        lines = (line for each in platform.mailboxes if each.peripheral == drive.mailbox for line in each.lines)
        return cls(drive, base, next((line.pending for line in lines if line.core == drive.core), None))

    @property
    def every(self) -> int:
        """All of its channels."""
        return (1 << self.drive.channels) - 1


class Doorbell:
    """Rings the other core and hears it; :class:`UsageError` when nobody says how, or on which channel.

    All mailboxes that the platform says how to work are heard. One is rung, of those that interrupt the other core: the
    one that ``notify`` names, or else the first. Which channels the other core listens to, its mailbox shows, or
    ``notify`` tells: a channel by the name of a mailbox, or by that of a queue.

    Which channels the other side rings is not known before it does, so all are listened to but those that it listens
    to itself, on which this side rings. A side that listens to nearly everything is Python as well: then main has the
    odd channels and the remote the even ones.
    """

    def __init__(
        self, platform: Platform, core: str, peer: str, access: PlayedCore, notify: Mapping[str, int] | None = None
    ) -> None:
        notify = notify or {}
        self._access = access
        self._heard = [_Access.of(platform, each) for each in platform.drives if each.core == core]
        reaches = {each.peripheral for each in platform.mailboxes if any(line.core == peer for line in each.lines)}
        able = [each for each in self._heard if each.drive.ring and each.drive.mailbox in reaches]
        self._rung = _rung(platform, core, able, notify)
        self._shown = next(
            (
                _Access.of(platform, each)
                for each in platform.drives
                if (each.core, each.mailbox) == (peer, self._rung.drive.mailbox) and each.enabled is not None
            ),
            None,
        )
        self._told = _bits(_told(self._rung.drive, notify))
        if self._rung.drive.channels == 1:
            self._told = 1
        if self._shown is None and not self._told:
            raise _untold(platform, self._rung.drive, peer)
        self._usual = notify.get(self._rung.drive.mailbox)
        self._half = 0xAAAA_AAAA if platform.role_of(core) == "main" else 0x5555_5555
        self._listens_to: list[int] | None = None
        self._owed: set[int] = set()
        self._owes_any = False

    def reset(self) -> None:
        """Begin again, as after power-on."""
        self._listens_to = None
        self._owed.clear()
        self._owes_any = False

    def attend(self) -> None:
        """Listen on what may be rung, and clear what was."""
        peer = self._peers_channels()
        free = self._half if peer.bit_count() > _MOST_OF_FIRMWARE else ~peer
        wanted = [each.every & (free if each is self._rung else each.every) for each in self._heard]
        if wanted != self._listens_to:
            self._listens_to = wanted
            for each, channels in zip(self._heard, wanted, strict=True):
                self._do(each, each.drive.enable, channels)
        for each in self._heard:
            pending = 0 if each.pending is None else self._access.read(each.base + each.pending)
            if pending:
                self._do(each, each.drive.clear, pending)

    def ring(self, channel: int | None = None) -> None:
        """Tell the other core: on a channel, on the one told for the mailbox, or on every one that it listens to.

        While it listens to none, or not to this one, the ring is owed.
        """
        channel = self._usual if channel is None else channel
        if channel is None:
            self._owes_any = True
        else:
            self._owed.add(channel)

    def deliver(self) -> bool:
        """Ring what is owed as far as it is listened to; whether something is still owed."""
        if not self._owed and not self._owes_any:
            return False
        peer = self._peers_channels()
        now = {each for each in self._owed if peer >> each & 1}
        if self._owes_any and peer:
            now |= {bit for bit in range(self._rung.drive.channels) if peer >> bit & 1}
            self._owes_any = False
        self._owed -= now
        if now:
            self._do(self._rung, self._rung.drive.ring, _bits(now))
        return bool(self._owed) or self._owes_any

    def _peers_channels(self) -> int:
        """Which the other core listens to, as its mailbox shows it; else as far as it was told."""
        shown = self._shown
        if shown is None or shown.drive.enabled is None:
            return self._told
        return self._access.peek(shown.drive.core, shown.base + shown.drive.enabled)

    def _do(self, mailbox: _Access, steps: tuple[MailboxStep, ...], channels: int) -> None:
        for offset, value in mailbox.drive.accesses(steps, channels):
            if value is None:
                self._access.read(mailbox.base + offset)
            else:
                self._access.write(mailbox.base + offset, value)


def _rung(platform: Platform, core: str, able: list[_Access], notify: Mapping[str, int]) -> _Access:
    """The mailbox on which to ring."""
    if not able:
        raise UsageError(
            "the platform does not say how this core works its mailbox",
            where=f"{platform.name}: {core}",
            advice="add [mailboxes.NAME.drive.CORE] to the platform's .toml (docs/writing-a-platform.md)",
        )
    named = [each for each in able if each.drive.mailbox in notify]
    if len(named) > 1:
        found = ", ".join(each.drive.mailbox for each in named)
        raise UsageError("more than one mailbox to ring on", where="notify", expected="one of them", found=found)
    return named[0] if named else able[0]


def _told(drive: MailboxDrive, notify: Mapping[str, int]) -> set[int]:
    """The channels given, by the mailbox's name or by queues."""
    for name, channel in notify.items():
        if channel >= drive.channels:
            raise UsageError(
                f"{drive.mailbox} has no such channel",
                where=f"notify: {name}",
                expected=f"0..{drive.channels - 1}",
                found=channel,
            )
    return set(notify.values())


def _untold(platform: Platform, drive: MailboxDrive, peer: str) -> UsageError:
    role = platform.role_of(peer)
    return UsageError(
        "nothing shows on which channel the firmware listens, and Python has to ring it",
        where=f"{platform.name}: {drive.mailbox}",
        expected=f"--notify {drive.mailbox}=CHANNEL, 0..{drive.channels - 1}",
        advice=f"give the channel that the interrupt handler of {role} ({peer}) clears",
    )
