"""Connections between peripherals of Nordic's nRF series (nRF5340 PS, DPPI): published events trigger subscribed tasks.

Each end stands in its peripheral's own PUBLISH or SUBSCRIBE register; the controller says which channels are on. Tasks
are triggered where the event happens, one after another, in no time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.engines.unicorn.devices.nrf.chip import NrfDevice

__all__ = ["Dppi"]

_MOST = 256  # deliveries in one go: connections that go round in a circle never end on the chip


class Dppi:
    """The channels of one controller. ``enabled`` gives a bit for each channel that is on."""

    def __init__(self, devices: Sequence[NrfDevice], enabled: Callable[[], int], warn: Callable[[str], None]) -> None:
        self._devices = devices
        self._enabled = enabled
        self._warn = warn
        self._published: deque[int] = deque()
        self._is_delivering = False
        for device in devices:
            device.connect(self.publish)

    def publish(self, channel: int) -> None:
        """An event of this channel: what it triggers may publish in turn, and comes after it."""
        self._published.append(channel)
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            self._deliver()
        finally:
            self._is_delivering = False
            self._published.clear()

    def _deliver(self) -> None:
        for _ in range(_MOST):
            if not self._published:
                return
            channel = self._published.popleft()
            if self._enabled() >> channel & 1:
                for device in self._devices:
                    device.trigger(channel)
        self._warn(f"events and tasks that trigger each other without end, at channel {self._published[0]}")
