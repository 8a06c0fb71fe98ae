"""gdb's remote protocol, the client's side, as QEMU's stub speaks it (GDB manual, "Remote Protocol")."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

from orchestrator.base.errors import EngineError
from orchestrator.engines.qemu.errors import received, sent
from orchestrator.formats.gdb_packets import PacketReader, frame

__all__ = ["GdbClient", "StopReply"]

_BLOCK = 1024  # bytes of one request for memory: QEMU's packets hold 4,096 characters
_REGISTERS = (*(f"R{number}" for number in range(13)), "SP", "LR", "PC")
_XPSR = 25  # its number
_STOP = re.compile(rb"T(?P<signal>[0-9a-f]{2})thread:p(?P<process>[0-9a-f]+)\.[0-9a-f]+;")

StopReply = tuple[int, int]
"""Signal, and number of the core that stopped."""


class GdbClient:
    """The cores are processes of one thread each, numbered from 1, as QEMU numbers clusters."""

    def __init__(self, connection: socket.socket, cores: int) -> None:
        self._socket = connection
        self._reader = PacketReader()
        self._selected = -1
        self._ask(b"qSupported:multiprocess+")
        # Who has not asked for it gets an older layout of registers, and may write none.
        self._ask(b"qXfer:features:read:target.xml:0,ffb")
        for core in range(1, cores):
            self._ask(b"vAttach;%x" % (core + 1))

    def _ask(self, request: bytes) -> bytes:
        self._send(request)
        return self._receive()

    def _send(self, request: bytes) -> None:
        sent(self._socket, frame(request))

    def _receive(self) -> bytes:
        while True:
            for each in self._reader.feed(received(self._socket)):
                if isinstance(each, bytes):
                    sent(self._socket, b"+")
                    return each

    def _select(self, core: int) -> None:
        if core != self._selected:
            self._ask(b"Hgp%x.%x" % (core + 1, core + 1))
            self._selected = core

    def read(self, core: int, address: int, size: int) -> bytes:
        """Memory or registers of devices as a core sees them; EngineError where it sees nothing."""
        self._select(core)
        parts = []
        for at in range(address, address + size, _BLOCK):
            length = min(_BLOCK, address + size - at)
            answer = self._ask(b"m%x,%x" % (at, length))
            data = b"" if answer.startswith(b"E") else bytes.fromhex(answer.decode("ascii"))
            if len(data) != length:
                raise EngineError("QEMU cannot read memory", where=f"core {core} at {at:#010x}", found=answer.decode())
            parts.append(data)
        return b"".join(parts)

    def word(self, core: int, address: int) -> int:
        """One access of 32 bits."""
        return int.from_bytes(self.read(core, address, 4), "little")

    def write(self, core: int, address: int, data: bytes) -> None:
        """EngineError where the core sees nothing."""
        self._select(core)
        for at in range(0, len(data), _BLOCK):
            block = data[at : at + _BLOCK]
            answer = self._ask(b"M%x,%x:%b" % (address + at, len(block), block.hex().encode()))
            if answer != b"OK":
                raise EngineError("QEMU cannot write memory", where=f"core {core} at {address + at:#010x}")

    def registers(self, core: int) -> Mapping[str, int]:
        """R0..R12, SP, LR, PC, XPSR."""
        self._select(core)
        data = bytes.fromhex(self._ask(b"g").decode("ascii"))
        values = {name: int.from_bytes(data[4 * n : 4 * n + 4], "little") for n, name in enumerate(_REGISTERS)}
        at = len(_REGISTERS) * 4  # arm-m-profile.xml: sixteen words and XPSR
        if len(data) < at + 4:
            raise EngineError("QEMU gives too few registers", where=f"core {core}", expected=at + 4, found=len(data))
        return values | {"XPSR": int.from_bytes(data[at : at + 4], "little")}

    def write_registers(self, core: int, values: Mapping[str, int]) -> None:
        """Of those that :meth:`registers` gives."""
        self._select(core)
        for name, value in values.items():
            number = _XPSR if name == "XPSR" else _REGISTERS.index(name)
            self._ask(b"P%x=%b" % (number, value.to_bytes(4, "little").hex().encode()))

    def is_halted(self, core: int) -> bool:
        """In WFI or WFE, or not yet let go."""
        answer = self._ask(b"qThreadExtraInfo,p%x.%x" % (core + 1, core + 1))
        return b"halted" in bytes.fromhex(answer.decode("ascii"))

    def insert_breakpoint(self, address: int) -> None:
        """For every core."""
        self._ask(b"Z0,%x,2" % address)

    def remove_breakpoint(self, address: int) -> None:
        """The same, back."""
        self._ask(b"z0,%x,2" % address)

    def step(self, core: int) -> StopReply:
        """One instruction of one core, the others standing still, interrupts waiting."""
        return self._resume(b"vCont;s:p%x.%x" % (core + 1, core + 1))

    def run(self, cores: list[int] | None = None) -> StopReply:
        """Until something stops the machine; None: every core."""
        if cores is None:
            return self._resume(b"vCont;c")
        return self._resume(b"vCont" + b"".join(b";c:p%x.%x" % (core + 1, core + 1) for core in cores))

    def _resume(self, request: bytes) -> StopReply:
        answer = self._ask(request)
        match = _STOP.match(answer)
        if match is None:
            raise EngineError(
                "QEMU stopped in an unknown way", where="engine qemu", found=answer.decode(errors="replace")
            )
        self._selected = -1
        return int(match["signal"], 16), int(match["process"], 16) - 1
