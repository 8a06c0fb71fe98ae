"""One gdb on one core: commands in, replies out (Remote Protocol, "Packets" and "General Query Packets")."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Protocol

from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent
from orchestrator.engines.contract import Debuggable, DebugStop, Watchpoint
from orchestrator.events import CoreState
from orchestrator.formats.gdb_packets import PACKET_SIZE, Packet, PacketReader, Signal, binary, frame
from orchestrator.gdb.registers import describe, registers_of

__all__ = ["Mode", "Session", "Target"]

_TRAP, _INTERRUPTED, _ABORTED = 5, 2, 6  # signals as gdb numbers them
_OK, _UNSUPPORTED = b"OK", b""
_NO_MEMORY, _BAD_PACKET = b"E0e", b"E16"  # EFAULT, EINVAL
_NUMBERS = re.compile(rb"([0-9a-fA-F]{1,16}),([0-9a-fA-F]{1,8})", re.ASCII)
_MOST = PACKET_SIZE // 2  # bytes of memory in one reply
_ADDRESSES = 1 << 32
_WATCH_KINDS = {2: (False, True, "watch"), 3: (True, False, "rwatch"), 4: (True, True, "awatch")}
_FEATURES = b"PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+" % PACKET_SIZE


class Target(Debuggable, Protocol):
    """A board that can be debugged, as far as a session needs it."""

    @property
    def time_ns(self) -> int: ...

    def state(self, core: str) -> CoreState: ...


class Mode(enum.Enum):
    """What the client wants of its core."""

    STOPPED = enum.auto()
    RUNNING = enum.auto()
    STEPPING = enum.auto()


class _RefusedError(Exception):
    """A packet that makes no sense; answered and forgotten."""


class Session:
    """The state of one client; ``send`` takes bytes for it, ``end_run`` is what ``k`` asks for.

    While it stands at a watchpoint, gdb sees the PC of the access until it steps: it expects an Arm core to stop before
    the access and steps over it by itself. The access has happened, and that step takes no time.
    """

    def __init__(self, target: Target, core: str, send: Callable[[bytes], None], end_run: Callable[[], None]) -> None:
        self.core = core
        self.mode = Mode.STOPPED
        self._stopped_ns: int | None = None  # None: between two turns
        self.is_over = False
        self._target = target
        self._send = send
        self._end_run = end_run
        self._reader = PacketReader()
        self._acknowledges = True
        self._last = b""
        self._signal = _TRAP
        self._has_locked_up = False
        self._access_pc: int | None = None
        self._breakpoints: set[int] = set()
        self._watchpoints: dict[tuple[int, int, int], Watchpoint] = {}
        self._registers = registers_of(target.debug_registers(core))

    # --- from the client

    def receive(self, data: bytes) -> None:
        """Bytes of the client; what they ask for is done at once."""
        for each in self._reader.feed(data):
            if self.is_over:
                return
            if isinstance(each, Signal):
                self._signalled(each)
                continue
            if self._acknowledges:
                self._send(b"+")
            self._answer(each)

    def _signalled(self, signal: Signal) -> None:
        if signal is Signal.INTERRUPT:
            self.interrupt()
        elif signal is Signal.GARBAGE and self._acknowledges:
            self._send(b"-")
        elif signal is Signal.DAMAGED and self._last:
            self._send(self._last)

    def _answer(self, packet: Packet) -> None:
        try:
            reply = self._dispatch(packet)
        except _RefusedError:
            reply = _BAD_PACKET
        except RptwinError:
            reply = _NO_MEMORY
        if reply is not None:
            self._reply(reply)

    def _reply(self, content: bytes) -> None:
        self._last = frame(content)
        self._send(self._last)

    def _dispatch(self, packet: Packet) -> bytes | None:
        for word, handler in _WORDS.items():
            if packet.startswith(word):
                return handler(self, packet[len(word) :])
        by_letter = _LETTERS.get(packet[:1])
        return _UNSUPPORTED if by_letter is None else by_letter(self, packet[1:])

    # --- stopping and going on

    def stopped(self, stop: DebugStop) -> None:
        """Its core stands still: the client hears why."""
        reason = b""
        if stop.access is not None:
            pc, address, writes = stop.access
            self._access_pc = pc
            reason = self._watch_reason(address, writes=writes)
        self._stop(_TRAP, reason)
        self._stopped_ns = stop.time_ns

    def interrupt(self) -> None:
        """Stop where the board is now."""
        if self.mode is not Mode.STOPPED:
            self._target.step(self.core, wanted=False)
            self._stop(_INTERRUPTED)

    def locked_up(self) -> None:
        """Its core can do nothing any more; the client hears so once."""
        if self.mode is not Mode.STOPPED and not self._has_locked_up:
            self._has_locked_up = True
            self._stop(_ABORTED)

    def _stop(self, signal: int, reason: bytes = b"") -> None:
        self.mode = Mode.STOPPED
        self._stopped_ns = None
        self._signal = signal
        self._reply(b"T%02x%bthread:1;" % (signal, reason))

    def _watch_reason(self, address: int, *, writes: bool) -> bytes:
        for (kind, start, _size), watchpoint in self._watchpoints.items():
            wanted = watchpoint.writes if writes else watchpoint.reads
            if wanted and start in range(address - _WIDEST_ACCESS + 1, address + _WIDEST_ACCESS):
                return b"%b:%x;" % (_WATCH_KINDS[kind][2].encode(), max(address, start))
        # Reached by another address of the same memory.
        for kind, start, _size in self._watchpoints:
            return b"%b:%x;" % (_WATCH_KINDS[kind][2].encode(), start)
        return b""

    def _continue(self, _rest: bytes) -> None:
        self._access_pc = None
        self.mode = Mode.RUNNING

    def _step(self, _rest: bytes) -> None:
        if self._access_pc is not None:
            self._access_pc = None
            self._stop(_TRAP)
            return
        self._target.step(self.core, wanted=True)
        self.mode = Mode.STEPPING

    def _resume(self, actions: bytes) -> None:
        """``vCont;ACTION[:THREAD]...``: there is one thread, so the first action is its own."""
        action = actions[1:2]
        if action in (b"c", b"C"):
            self._continue(b"")
        elif action in (b"s", b"S"):
            self._step(b"")
        else:
            raise _RefusedError

    def ended(self, exit_code: int) -> None:
        """The run is over."""
        if self.mode is not Mode.STOPPED:
            self._reply(b"W%02x" % exit_code)
        self.is_over = True

    def leave(self) -> None:
        """The client is gone: what it set is taken back and its core runs on."""
        self.is_over = True
        self._target.debug(self.core, None)

    def _detach(self, _rest: bytes) -> bytes:
        self.leave()
        return _OK

    def _kill(self, _rest: bytes) -> bytes | None:
        self.leave()
        self._end_run()
        return None

    def _kill_process(self, _rest: bytes) -> bytes:
        self._kill(b"")
        return _OK

    # --- registers

    def _shown(self) -> dict[str, int]:
        values = dict(self._target.debug_registers(self.core))
        if self._access_pc is not None:
            values["PC"] = self._access_pc
        return values

    def _read_registers(self, _rest: bytes) -> bytes:
        values = self._shown()
        return "".join(each.to_hex(values[each.name]) for each in self._registers).encode()

    def _write_registers(self, rest: bytes) -> bytes:
        data, at = _bytes(rest), 0
        if len(data) != sum(each.size for each in self._registers):
            raise _RefusedError
        shown = self._shown()
        for each in self._registers:
            value = int.from_bytes(data[at : at + each.size], "little")
            at += each.size
            if value != shown[each.name]:
                self._write(each.name, value)
        return _OK

    def _read_register(self, rest: bytes) -> bytes:
        number = _number(rest)
        if number >= len(self._registers):
            raise _RefusedError
        register = self._registers[number]
        return register.to_hex(self._shown()[register.name]).encode()

    def _write_register(self, rest: bytes) -> bytes:
        number, _, value = rest.partition(b"=")
        if _number(number) >= len(self._registers):
            raise _RefusedError
        register = self._registers[_number(number)]
        data = _bytes(value)
        if len(data) != register.size:
            raise _RefusedError
        self._write(register.name, int.from_bytes(data, "little"))
        return _OK

    def _write(self, name: str, value: int) -> None:
        if name == "PC":
            self._access_pc = None
        self._target.write_register(self.core, name, value)

    # --- memory

    def _read_memory(self, rest: bytes) -> bytes:
        address, size = _range(rest)
        return self._target.peek(self.core, address, min(size, _MOST)).hex().encode()

    def _write_memory(self, rest: bytes) -> bytes:
        where, _, data = rest.partition(b":")
        return self._store(where, _bytes(data))

    def _write_binary(self, rest: bytes) -> bytes:
        where, _, data = rest.partition(b":")
        return self._store(where, data)

    def _store(self, where: bytes, data: bytes) -> bytes:
        address, size = _range(where)
        if size != len(data):
            raise _RefusedError
        if data:
            self._target.poke(self.core, address, data)
        return _OK

    # --- breakpoints and watchpoints

    def _insert(self, rest: bytes) -> bytes:
        return self._point(rest, wanted=True)

    def _remove(self, rest: bytes) -> bytes:
        return self._point(rest, wanted=False)

    def _point(self, rest: bytes, *, wanted: bool) -> bytes:
        """``TYPE,ADDRESS,KIND``: 0 and 1 are breakpoints, both of which are exact and leave memory as it is."""
        kind = _number(rest[:1])
        if kind > max(_WATCH_KINDS):
            return _UNSUPPORTED
        address, size = _range(rest[2:].partition(b";")[0])
        if kind not in _WATCH_KINDS:
            self._breakpoints.add(address) if wanted else self._breakpoints.discard(address)
            self._target.set_breakpoints(self.core, frozenset(self._breakpoints))
            return _OK
        reads, writes, _name = _WATCH_KINDS[kind]
        if wanted and size:
            self._watchpoints[kind, address, size] = Watchpoint(Extent(address, size), reads, writes)
        else:
            self._watchpoints.pop((kind, address, size), None)
        self._target.set_watchpoints(self.core, tuple(self._watchpoints.values()))
        return _OK

    # --- queries

    def _supported(self, _rest: bytes) -> bytes:
        return _FEATURES

    def _features(self, rest: bytes) -> bytes:
        name, _, where = rest.partition(b":")
        if name != b"target.xml":
            raise _RefusedError
        start, size = _range(where)
        whole = describe(self._registers).encode()
        part = whole[start : start + min(size, _MOST)]
        return (b"l" if start + len(part) >= len(whole) else b"m") + binary(part)

    def _no_acknowledgements(self, _rest: bytes) -> None:
        self._reply(_OK)
        self._acknowledges = False

    def _why(self, _rest: bytes) -> bytes:
        return b"T%02xthread:1;" % self._signal

    def _thread_name(self, _rest: bytes) -> bytes:
        return f"{self.core}, {self._target.state(self.core)}".encode().hex().encode()

    def _monitor(self, rest: bytes) -> bytes:
        """``monitor time`` and ``monitor state``; of another command, that there is none, and which there are."""
        command = _bytes(rest).decode("utf-8", "replace").strip()
        if command == "time":
            time_ns = self._target.time_ns if self._stopped_ns is None else self._stopped_ns
            text = f"{time_ns / 1e6:.6f} ms\n"
        elif command == "state":
            text = f"{self.core}: {self._target.state(self.core)}\n"
        else:
            text = "" if command in ("", "help") else f"unknown command: {command}\n"
            text += "monitor time: virtual time since power-on\nmonitor state: what this core is doing\n"
        return text.encode().hex().encode()


def _constant(reply: bytes) -> Handler:
    return lambda _session, _rest: reply


def _number(text: bytes) -> int:
    """Hexadecimal, as gdb writes addresses; up to 64 bits come for negative ones."""
    if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", text):
        raise _RefusedError
    return int(text, 16)


def _range(text: bytes) -> tuple[int, int]:
    match = _NUMBERS.fullmatch(text)
    if match is None:
        raise _RefusedError
    address, size = int(match[1], 16), int(match[2], 16)
    if address >= _ADDRESSES:
        raise _RefusedError
    return address, min(size, _ADDRESSES - address)


def _bytes(text: bytes) -> bytes:
    if len(text) % 2 or not re.fullmatch(rb"[0-9a-fA-F]*", text):
        raise _RefusedError
    return bytes.fromhex(text.decode())


_WIDEST_ACCESS = 8
Handler = Callable[[Session, bytes], bytes | None]

# Longer words first where one begins as another does.
_WORDS: dict[bytes, Handler] = {
    b"qSupported": Session._supported,
    b"qXfer:features:read:": Session._features,
    b"QStartNoAckMode": Session._no_acknowledgements,
    b"qThreadExtraInfo,": Session._thread_name,
    b"qfThreadInfo": _constant(b"m1"),
    b"qsThreadInfo": _constant(b"l"),
    b"qAttached": _constant(b"1"),
    b"qSymbol": _constant(_OK),
    b"qRcmd,": Session._monitor,
    b"qC": _constant(b"QC1"),
    b"vCont?": _constant(b"vCont;c;C;s;S"),
    b"vCont": Session._resume,
    b"vKill": Session._kill_process,
}
_LETTERS: dict[bytes, Handler] = {
    b"?": Session._why,
    b"c": Session._continue,
    b"C": Session._continue,
    b"D": Session._detach,
    b"g": Session._read_registers,
    b"G": Session._write_registers,
    b"H": _constant(_OK),
    b"k": Session._kill,
    b"m": Session._read_memory,
    b"M": Session._write_memory,
    b"p": Session._read_register,
    b"P": Session._write_register,
    b"s": Session._step,
    b"S": Session._step,
    b"T": _constant(_OK),
    b"X": Session._write_binary,
    b"z": Session._remove,
    b"Z": Session._insert,
}
