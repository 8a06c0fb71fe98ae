"""The mailbox as a played core works it: by the steps that the platform gives for its firmware."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.engines.contract import PlayedCore
from orchestrator.errors import UsageError
from orchestrator.platform.model import MailboxDrive, MailboxStep, Platform

__all__ = ["Doorbell"]

_MOST_OF_FIRMWARE = 8  # channels that firmware listens to


def _bits(channels: Iterable[int]) -> int:
    return sum(1 << each for each in set(channels))


class Doorbell:
    """Rings the other core and hears it; :class:`UsageError` when the platform does not say how.

    Which channels the other side rings is not known before it does, so all are listened to but those that it listens
    to itself, on which this side rings. A side that listens to nearly everything is Python as well: then main has the
    odd channels and the remote the even ones.
    """

    def __init__(self, platform: Platform, core: str, peer: str, access: PlayedCore) -> None:
        self._access = access
        self._own = _drive(platform, core)
        self._peer = _drive(platform, peer)
        self._base = _base(platform, self._own)
        self._peer_base = _base(platform, self._peer)
        mailbox = next(each for each in platform.mailboxes if each.peripheral == self._own.mailbox)
        self._line = next(each for each in mailbox.lines if each.core == core)
        self._half = 0xAAAA_AAAA if platform.role_of(core) == "main" else 0x5555_5555
        self._listens_to: int | None = None
        self._owed: set[int] = set()
        self._owes_any = False

    def reset(self) -> None:
        """Begin again, as after power-on."""
        self._listens_to = None
        self._owed.clear()
        self._owes_any = False

    def attend(self) -> tuple[int, ...]:
        """Listen on what may be rung; the channels that were, cleared."""
        peer = self._access.peek(self._peer.core, self._peer_base + self._peer.enabled)
        wanted = (self._half if peer.bit_count() > _MOST_OF_FIRMWARE else ~peer) & (1 << self._own.channels) - 1
        if wanted != self._listens_to:
            self._listens_to = wanted
            self._do(self._own.enable, wanted)
        pending = self._access.read(self._base + self._line.pending)
        if pending:
            self._do(self._own.clear, pending)
        return tuple(bit for bit in range(self._own.channels) if pending >> bit & 1)

    def ring(self, channel: int | None = None) -> None:
        """Tell the other core: on a channel, or where none is known on every one that it listens to.

        While it listens to none, or not to this one, the ring is owed.
        """
        if channel is None:
            self._owes_any = True
        else:
            self._owed.add(channel)

    def deliver(self) -> bool:
        """Ring what is owed as far as it is listened to; whether something is still owed."""
        if not self._owed and not self._owes_any:
            return False
        peer = self._access.peek(self._peer.core, self._peer_base + self._peer.enabled)
        now = {each for each in self._owed if peer >> each & 1}
        if self._owes_any and peer:
            now |= {bit for bit in range(self._own.channels) if peer >> bit & 1}
            self._owes_any = False
        self._owed -= now
        if now:
            self._do(self._own.ring, _bits(now))
        return bool(self._owed) or self._owes_any

    def _do(self, steps: tuple[MailboxStep, ...], channels: int) -> None:
        strided = [step for step in steps if step.stride]
        for step in steps:
            if not step.stride:
                self._access_step(step, 0, channels)
        for channel in (bit for bit in range(self._own.channels) if strided and channels >> bit & 1):
            for step in strided:
                self._access_step(step, channel, 1 << channel)

    def _access_step(self, step: MailboxStep, channel: int, channels: int) -> None:
        address = self._base + step.offset + step.stride * channel
        if step.writes:
            self._access.write(address, channels if step.value is None else step.value)
        else:
            self._access.read(address)


def _drive(platform: Platform, core: str) -> MailboxDrive:
    for each in platform.drives:
        if each.core == core:
            return each
    raise UsageError(
        "the platform does not say how this core works its mailbox",
        where=f"{platform.name}: {core}",
        advice="add [mailboxes.NAME.drive.CORE] to the platform's .toml (docs/writing-a-platform.md)",
    )


def _base(platform: Platform, drive: MailboxDrive) -> int:
    """Where the mailbox's registers begin as its core addresses them."""
    mailbox = next(each for each in platform.peripherals if each.name == drive.mailbox)
    return next(at.address for at in mailbox.registrations if at.seen_by(drive.core))
