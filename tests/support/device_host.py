"""What surrounds a device on the bench: a board that hears of unmodelled registers, and a clock moved by hand."""

from __future__ import annotations


class DeviceHost:
    """Remembers the offsets of registers that a device does not model."""

    def __init__(self) -> None:
        self.touched: list[int] = []

    def unmodelled(self, offset: int, text: str) -> None:
        self.touched.append(offset)
