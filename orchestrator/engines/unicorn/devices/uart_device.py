"""What the models of UARTs here have in common: native code reads their registers and keeps what they send."""

from __future__ import annotations

from array import array
from typing import Any, ClassVar

from orchestrator.engines.unicorn.devices.device import Device, DeviceHost

__all__ = ["UartDevice"]


class UartDevice(Device):
    """A :class:`~orchestrator.engines.unicorn.bus.Sending` device. A model calls :meth:`changed` where it changes by
    itself, or by a read; and says what a write to the register that sends does beside that.
    """

    takes_at: ClassVar[int]  # the register whose reading takes a received byte
    sends_at: ClassVar[int]  # the one by which a byte is sent

    def __init__(self, host: DeviceHost) -> None:
        super().__init__(host)
        self.version = array("Q", [0])

    def only_sends(self) -> bool:
        """Whether to send a byte would change nothing here."""
        raise NotImplementedError

    def changed(self) -> None:
        """Registers may read otherwise than they did."""
        self.version[0] += 1

    def stands(self, offset: int, size: int, core: str) -> bool:
        return offset & ~3 in self._readers and offset & ~3 != self.takes_at

    def sends(self, offset: int) -> bool:
        return offset == self.sends_at and self.only_sends()

    def write(self, offset: int, size: int, value: int, core: str | None) -> None:
        changes = not self.sends(offset)
        super().write(offset, size, value, core)
        if changes:
            self.changed()

    def clear_registers(self) -> None:
        super().clear_registers()
        self.changed()

    def restore(self, state: Any) -> None:
        super().restore(state)
        self.changed()
