"""Semihosting of one core: what a BKPT 0xAB asks of the host.

Arm, "Semihosting for AArch32 and AArch64", chapters 3 to 5: the operation is in R0, its argument or the address of
its parameter block in R1, and R0 has the result. Served are the console and the end of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Memory
from orchestrator.engines.unicorn.devices.uart import UartConsole

__all__ = ["IMMEDIATE", "Semihosting", "SemihostingPort"]

IMMEDIATE = 0xAB  # of the BKPT
_FAILED = 0xFFFF_FFFF
_OPEN, _CLOSE, _WRITEC, _WRITE0, _WRITE, _IS_TTY, _EXIT, _EXIT_EXTENDED = 1, 2, 3, 4, 5, 9, 0x18, 0x20
_NAMES = {
    0x06: "SYS_READ",
    0x07: "SYS_READC",
    0x08: "SYS_ISERROR",
    0x0A: "SYS_SEEK",
    0x0C: "SYS_FLEN",
    0x0D: "SYS_TMPNAM",
    0x0E: "SYS_REMOVE",
    0x0F: "SYS_RENAME",
    0x10: "SYS_CLOCK",
    0x11: "SYS_TIME",
    0x12: "SYS_SYSTEM",
    0x13: "SYS_ERRNO",
    0x15: "SYS_GET_CMDLINE",
    0x16: "SYS_HEAPINFO",
    0x30: "SYS_ELAPSED",
    0x31: "SYS_TICKFREQ",
}
_APPLICATION_EXIT = 0x20026  # ADP_Stopped_ApplicationExit
_TTY = b":tt"
_HANDLE = 1  # of the console, however often it is opened
_LONGEST = 1 << 16  # bytes of one string
_PIECE = 256


class SemihostingPort(Protocol):
    """What semihosting does to its core."""

    @property
    def memory(self) -> Memory: ...

    def note(self, text: str) -> None: ...

    def hold(self, why: str) -> None: ...


class Semihosting:
    """The host's side, for one core; its text is a console."""

    def __init__(self, port: SemihostingPort, console: UartConsole) -> None:
        self._port = port
        self._console = console
        self._operations: dict[int, Callable[[int], int]] = {
            _OPEN: self._open,
            _CLOSE: lambda _block: 0,
            _WRITEC: self._write_character,
            _WRITE0: self._write_string,
            _WRITE: self._write,
            _IS_TTY: lambda block: int(self._word(block) == _HANDLE),
            _EXIT: self._exit,
            _EXIT_EXTENDED: self._exit_extended,
        }

    def call(self, operation: int, argument: int) -> int:
        """The result for R0; what is not served, or points nowhere, is -1 and noted."""
        self._port.note("semihosting: without a debugger, its BKPT is a HardFault on the chip")
        serve = self._operations.get(operation)
        if serve is None:
            name = _NAMES.get(operation, f"operation {operation:#x}")
            self._port.note(f"semihosting: {name} is not served: -1")
            return _FAILED
        try:
            return serve(argument)
        except RptwinError:
            self._port.note(f"semihosting: what operation {operation:#x} points to lies in no memory: -1")
            return _FAILED

    def _word(self, address: int) -> int:
        return int.from_bytes(self._port.memory.read(address, 4), "little")

    def _say(self, text: bytes) -> None:
        self._console.transmit_all(text)

    def _open(self, block: int) -> int:
        name = self._port.memory.read(self._word(block), min(self._word(block + 8), _LONGEST))
        if name == _TTY:
            return _HANDLE
        self._port.note(f"semihosting: SYS_OPEN of {name.decode('utf-8', 'backslashreplace')!r} is not served: -1")
        return _FAILED

    def _write_character(self, address: int) -> int:
        self._say(self._port.memory.read(address, 1))
        return 0

    def _write_string(self, address: int) -> int:
        text = bytearray()
        while len(text) < _LONGEST:
            piece, end, _rest = self._piece(address + len(text)).partition(b"\0")
            text += piece
            if end:
                break
        self._say(bytes(text[:_LONGEST]))
        return 0

    def _piece(self, address: int) -> bytes:
        """Some bytes of a string; where that is too many for its memory, one."""
        try:
            return self._port.memory.read(address, _PIECE)
        except RptwinError:
            return self._port.memory.read(address, 1)

    def _write(self, block: int) -> int:
        """Bytes that were not written."""
        handle, address, size = (self._word(block + 4 * index) for index in range(3))
        if handle != _HANDLE:
            return size
        self._say(self._port.memory.read(address, min(size, _LONGEST)))
        return max(0, size - _LONGEST)

    def _exit(self, reason: int) -> int:
        code = 0 if reason == _APPLICATION_EXIT else 1
        return self._end(code, reason)

    def _exit_extended(self, block: int) -> int:
        return self._end(self._word(block + 4), self._word(block))

    def _end(self, code: int, reason: int) -> int:
        said = f"exit code {code}" if reason == _APPLICATION_EXIT else f"reason {reason:#x}"
        self._port.hold(f"its program ended by semihosting, {said}")
        return 0
