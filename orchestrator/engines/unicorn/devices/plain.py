"""Devices that are there and hold nothing: what the platform names and this engine has no model of."""

from __future__ import annotations

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost

__all__ = ["Tagged", "Unmodelled"]


class Unmodelled(Device):
    """A peripheral of a Renode type that has no model here: every access says so."""

    def __init__(self, host: DeviceHost, type_name: str) -> None:
        super().__init__(host)
        self._type = type_name

    def read(self, offset: int, size: int, core: str | None) -> int:
        self._say(offset, core)
        return 0

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        self._say(offset, core)

    def _say(self, offset: int, core: str | None) -> None:
        if core is not None:
            self._host.unmodelled(offset, f"no model of {self._type}")

    def reset(self) -> None:
        """There is nothing to reset."""

    def snapshot(self) -> None:
        """Nor to remember."""

    def restore(self, state: object) -> None:
        """Nor to bring back."""


class Tagged(Unmodelled):
    """A ``Tag`` of the platform description: reads as its value."""

    def __init__(self, host: DeviceHost, value: int) -> None:
        super().__init__(host, "a tagged range")
        self._value = value

    def read(self, offset: int, size: int, core: str | None) -> int:
        self._say(offset, core)
        return self._value & ((1 << 8 * size) - 1)
