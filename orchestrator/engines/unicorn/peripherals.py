"""The devices of a board: made from its description, connected, and found by the addresses of each core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.bus import Device, Lasting, Placed, Pollers, Sender, Sending, Slot
from orchestrator.engines.unicorn.devices.registry import Board, connect_devices, create_device, create_tag
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.engines.unicorn.devices.uart import UartConsole
from orchestrator.platform.model import Platform, Registration

__all__ = ["Peripherals"]

_WINDOW = 0x400  # bytes of a peripheral whose size nobody gives


class Peripherals:
    """``devices`` by name, those of tags included; an NVIC is part of its core. What ``sleep_watchers`` answer depends
    on which cores sleep.
    """

    def __init__(self, platform: Platform, board: Board) -> None:
        self._platform = platform
        self.devices: dict[str, Device] = {}
        self.consoles: dict[str, UartConsole] = {}
        self._pollers: dict[str, Pollers] = {}
        self.sleep_watchers: dict[str, ScriptDevice] = {}
        nvics = {core.nvic for core in platform.cores}
        for peripheral in platform.peripherals:
            if peripheral.name in nvics:
                continue
            device, console = create_device(board, peripheral)
            self.devices[peripheral.name] = device
            if console is not None:
                self.consoles[peripheral.name] = console
            if isinstance(device, ScriptDevice) and device.looks_at_sleep:
                self.sleep_watchers[peripheral.name] = device
        for name, extent, value in platform.tags:
            self.devices[_key(name, extent)] = create_tag(board, name, value)
        for connections in platform.connections:
            connect_devices(board, connections, self.devices)

    def slots_of(self, core: str) -> Iterator[Slot]:
        """Where a core finds its peripherals."""
        for name, extent, at in self._places():
            if at.seen_by(core):
                yield self._slot(name, name, extent)

    def tag_slots(self) -> Iterator[Slot]:
        """Where every core finds what the description gives a name and no model."""
        for name, extent, _value in self._platform.tags:
            yield self._slot(_key(name, extent), name, extent)

    def _places(self) -> Iterator[tuple[str, Extent, Registration]]:
        for peripheral in self._platform.peripherals:
            if peripheral.name in self.devices:
                for at in peripheral.registrations:
                    yield peripheral.name, Extent(at.address, at.size or peripheral.size or _WINDOW), at

    def _slot(self, key: str, name: str, extent: Extent) -> Slot:
        device = at = self.devices[key]
        if issubclass(type(device), Placed):  # known for each class; isinstance looks at all that it has each time
            at = cast("Placed", device).at(extent.start)
        lasting = _lasting(device)
        pollers = self._pollers.setdefault(key, Pollers(lasting))
        console = self.consoles.get(name)
        sender = Sender(cast("Sending", device), console.transmit_at) if console and hasattr(device, "sends") else None
        return Slot(name, extent, at, pollers, lasting, sender) if at is device else Slot(name, extent, at, pollers)

    def device_at(self, address: int) -> tuple[Device, int] | None:
        """The device that any core finds at an address, and the offset into it."""
        for name, extent, _at in self._places():
            if address in extent:
                return self.devices[name], address - extent.start
        return None

    def before_sleep_changes(self) -> None:
        """Loops that poll a device which looks at sleep are left while they still see what it was."""
        for name in self.sleep_watchers:
            if name in self._pollers:
                self._pollers[name].leave()

    def sleep_changed(self) -> None:
        """What such a device has answered holds no more."""
        for device in self.sleep_watchers.values():
            device.forget_answers()

    def reset(self) -> None:
        """Every device, in the order of the description."""
        for device in self.devices.values():
            device.reset()


def _lasting(device: Device) -> Lasting | None:
    """A device as such, if it is one; it takes long to ask a protocol of hundreds of slots."""
    return cast("Lasting", device) if hasattr(device, "stands") else None


def _key(tag: str, extent: Extent) -> str:
    return f"tag {tag} {extent}"
