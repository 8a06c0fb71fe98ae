"""The cable end of a UART."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.base.console_output import ConsoleOutput, Fresh, LineStart, OutputState

__all__ = ["UartConsole"]


class UartConsole:
    """Bytes out of and into one UART (:class:`orchestrator.engines.contract.Console`)."""

    def __init__(self, name: str, before_input: Callable[[], None]) -> None:
        self.name = name
        self.received = ConsoleOutput()  # from the guest, since power-on
        self._before_input = before_input
        self._receive: Callable[[bytes], None] = _unconnected

    def connect(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    @property
    def output(self) -> bytes:
        return self.received.whole()

    @property
    def total(self) -> int:
        return len(self.received)

    def since(self, position: int) -> Fresh:
        return self.received.since(position)

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        return self.received.starts

    def transmit(self, byte: int) -> None:
        """The guest sends a byte."""
        self.received.append(byte)

    def transmit_at(self, data: bytes, times_ns: Sequence[int]) -> None:
        """The guest has sent some bytes, each at its own time."""
        self.received.extend(data, times_ns)

    def transmit_all(self, data: bytes) -> None:
        """The guest sends some bytes at once (DMA)."""
        self.received.extend(data)

    def write(self, data: bytes) -> None:
        self._before_input()
        self._receive(bytes(data))

    def save(self) -> OutputState:
        return self.received.save()

    def load(self, output: OutputState) -> None:
        self.received.load(output)


def _unconnected(_data: bytes) -> None:
    return
