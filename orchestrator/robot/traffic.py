"""Keywords for what goes through the rings, and for the notifications between the cores."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from robot.api.deco import keyword

from orchestrator.base.words import counted, times
from orchestrator.observe.run import Channel
from orchestrator.observe.traffic import RingTraffic
from orchestrator.robot.suite import Suite

__all__ = ["TrafficKeywords"]


class TrafficKeywords(Suite):
    """Messages, buffers, notifications."""

    @keyword
    def get_message_count(self, sender: str) -> int:
        """Returns how many RPMsg messages ``main`` or ``remote`` has sent, over all vdevs."""
        return sum(log.sent_by(self._role(sender)) for log in self._board().observer.run.traffic.messages.values())

    @keyword
    def should_have_sent_at_least(self, sender: str, count: int) -> None:
        """Fails unless ``main`` or ``remote`` has sent this many RPMsg messages."""
        found = self.get_message_count(sender)
        if found < count:
            raise AssertionError(
                f"{sender} has sent {counted(found, 'message')}, not {count} or more; rings: {self._rings_seen()}"
            )

    @keyword
    def endpoint_should_be_announced(self, name: str) -> None:
        """Fails unless a name-service message has created an endpoint of this name."""
        logs = self._board().observer.run.traffic.messages.values()
        texts = [record.text for log in logs for record in log.announced]
        if not any(text.startswith(f"create {name} ") for text in texts):
            raise AssertionError(f"no endpoint {name!r} was announced; announcements: {', '.join(texts) or 'none'}")

    @keyword
    def every_message_should_have_been_consumed(self) -> None:
        """Fails if a message waits in a ring: sent by the driver, and not used by the device."""
        waiting = [ring for ring in self._ring_traffic().values() if ring.outstanding and not ring.is_pool]
        if waiting:
            heads = "; ".join(f"{ring.path}: heads {', '.join(map(str, sorted(ring.outstanding)))}" for ring in waiting)
            raise AssertionError(f"messages wait for the device: {heads}")

    @keyword
    def vring_should_have_carried_at_least(self, count: int, vdev: int = 0, vring: int = 0) -> None:
        """Fails unless the device has used this many buffers of a vring."""
        path = self._ring(vdev, vring).path
        traffic = self._ring_traffic().get(path, RingTraffic(path))
        if traffic.used < count:
            raise AssertionError(
                f"{path}: {counted(traffic.posted, 'buffer')} posted, {traffic.used} used, not {count} or more"
            )

    @keyword
    def get_notification_count(self, core: str, kind: Literal["sent", "taken", "ignored"] = "sent") -> int:
        """Returns how many notifications went to a core, were taken by it as an interrupt, or ignored by it."""
        return sum(self._notifications(core, kind).values())

    @keyword
    def should_have_been_notified_at_least(self, core: str, count: int) -> None:
        """Fails unless a core has taken the mailbox's interrupt this often."""
        taken = self.get_notification_count(core, "taken")
        if taken < count:
            sent, ignored = (self.get_notification_count(core, kind) for kind in ("sent", "ignored"))
            seen = f"{taken} notifications taken, {sent} sent to it, {ignored} on channels that it has not enabled"
            raise AssertionError(f"{core}: {seen}; expected {count} or more taken")

    @keyword
    def no_notification_should_be_ignored(self) -> None:
        """Fails if a channel was signalled that its core has not enabled."""
        ignored = self._board().observer.run.ledger.ignored
        if ignored:
            seen = ", ".join(
                f"{channel} to {channel.target}: {times(count)}" for channel, count in sorted(ignored.items())
            )
            raise AssertionError(f"notifications were ignored: {seen}")

    def _role(self, core: str) -> str:
        platform = self._board().platform
        return platform.role_of(platform.core(core).name)

    def _notifications(self, core: str, kind: Literal["sent", "taken", "ignored"]) -> Counter[Channel]:
        ledger, role = self._board().observer.run.ledger, self._role(core)
        counts: Counter[Channel] = {"sent": ledger.sent, "taken": ledger.taken, "ignored": ledger.ignored}[kind]
        return Counter({channel: count for channel, count in counts.items() if channel.target == role})

    def _ring_traffic(self) -> dict[str, RingTraffic]:
        return self._board().observer.run.traffic.rings

    def _rings_seen(self) -> str:
        seen = [f"{ring.path} {ring.posted} posted, {ring.used} used" for ring in self._ring_traffic().values()]
        return "; ".join(seen) or "none has carried anything"
