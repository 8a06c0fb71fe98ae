"""The cable end of a UART."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["UartConsole"]


class UartConsole:
    """Bytes out of and into one UART (:class:`orchestrator.engines.contract.Console`)."""

    def __init__(self, name: str, before_input: Callable[[], None]) -> None:
        self.name = name
        self.received = bytearray()  # from the guest, since power-on
        self._before_input = before_input
        self._receive: Callable[[bytes], None] = _unconnected

    def connect(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    @property
    def output(self) -> bytes:
        return bytes(self.received)

    def transmit(self, byte: int) -> None:
        """The guest sends a byte."""
        self.received.append(byte)

    def transmit_all(self, data: bytes) -> None:
        """The guest sends some bytes at once (DMA)."""
        self.received += data

    def write(self, data: bytes) -> None:
        self._before_input()
        self._receive(bytes(data))

    def save(self) -> bytes:
        return bytes(self.received)

    def load(self, output: bytes) -> None:
        self.received[:] = output


def _unconnected(_data: bytes) -> None:
    return
