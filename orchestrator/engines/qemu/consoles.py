"""The UARTs of a machine: a socket of QEMU's for each, and a byte at a time towards the guest."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from orchestrator.base.console_output import DEFAULT_CONSOLE_SIZE, ConsoleOutput, Fresh, LineStart
from orchestrator.engines.qemu.errors import sent
from orchestrator.engines.qemu.link import Link
from orchestrator.platform.model import Platform

__all__ = ["Console", "Consoles"]

_UART_STATE, _UART_CTRL, _UART_FULL, _UART_ENABLED = 0x04, 0x08, 2, 2  # CMSDK UART (DDI0479D 4.3)
_MOST_LOOKS = 1000


class Console:
    """What a guest has said, and what waits to be said to it."""

    def __init__(self, name: str, base: int | None, size: int = DEFAULT_CONSOLE_SIZE) -> None:
        self.name = name
        self.base = base  # None: no UART that takes input
        self.received = ConsoleOutput(size)
        self.waiting = bytearray()  # towards the guest

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

    def write(self, data: bytes) -> None:
        self.waiting += data


class Consoles:
    """The consoles of one machine; both directions move while it stands still."""

    def __init__(self, platform: Platform, uarts: Sequence[str], link: Link, size: int) -> None:
        self._link = link
        self.by_name: Mapping[str, Console] = {name: Console(name, _base(platform, name), size) for name in uarts}
        for console in self.by_name.values():
            console.received.clock = lambda: link.time_ns
        link.at_death.append(self.drain)

    @property
    def size(self) -> int:
        """Bytes that all of them have said."""
        return sum(len(console.received) for console in self.by_name.values())

    @property
    def are_fed(self) -> bool:
        """Whether something waits to be said to the guest."""
        return any(console.waiting and console.base is not None for console in self.by_name.values())

    def drain(self) -> None:
        """What the guest has sent; it is in the socket by the time that the machine stands still."""
        for name, console in self.by_name.items():
            connection = self._link.process.socket(name)
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                while data := connection.recv(1 << 16):
                    console.received.extend(data)

    def feed(self) -> None:
        """A byte to each UART that is empty and listens; it is there before the guest runs on."""
        for console in self.by_name.values():
            if not console.waiting or console.base is None:
                continue
            if self._has(console.base + _UART_CTRL, _UART_ENABLED) and not self._has(
                console.base + _UART_STATE, _UART_FULL
            ):
                self._give(console, console.base)

    def _give(self, console: Console, base: int) -> None:
        connection = self._link.process.socket(console.name)
        connection.setblocking(True)
        sent(connection, bytes(console.waiting[:1]))
        del console.waiting[:1]
        for _ in range(_MOST_LOOKS):
            if self._has(base + _UART_STATE, _UART_FULL):
                break

    def _has(self, address: int, bit: int) -> bool:
        return bool(self._link.gdb.word(0, address) & bit)


def _base(platform: Platform, uart: str) -> int | None:
    for peripheral in platform.peripherals:
        if peripheral.name == uart and peripheral.registrations:
            return peripheral.registrations[0].address
    return None
