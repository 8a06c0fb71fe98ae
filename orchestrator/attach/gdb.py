"""gdb's remote protocol, the client's side, towards any server: connects, reads memory, detaches (GDB manual,
"Remote Protocol").

The other end may be dead, slow, or say what makes no sense: each request has a time limit of its own, whatever comes
in the meantime, and the first failure is the last word on that peer.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from types import TracebackType

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import AttachError, TranslationError, UsageError
from orchestrator.base.memory import Extent
from orchestrator.formats.gdb_packets import PacketReader, Signal, frame

__all__ = ["GdbAddress", "GdbMemory"]

_LINE = 64  # bytes: what is read at a time, and a power of two
_SMALLEST_PACKET, _LARGEST_PACKET = 64, 0x4000  # characters
_MOST_REPEATS = 3  # of a request whose answer was damaged
_MOST_PATIENCE = 12  # times what one answer may take: for all of a look
_MOST_LINES = 1 << 18  # that one look reads: 16 MiB
_DEVICES = (Extent(0x4000_0000, 0x2000_0000), Extent(0xA000_0000, 0x6000_0000))  # of Armv7-M (DDI0403E B3.1)
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]/]+):(\d{1,5})", re.ASCII)
_PACKET_SIZE = re.compile(rb"(?:^|;)PacketSize=([0-9a-fA-F]{1,8})(?:;|$)")
_STOP = re.compile(rb"[TSWXN]")
_RUN_AT = 29  # the character that stands for no repetition ("Overview": run-length encoding)


@dataclass(frozen=True, slots=True)
class GdbAddress:
    """Where a gdb server listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> GdbAddress:
        """``HOST:PORT``, ``[IPV6]:PORT``; :class:`UsageError` says what is wrong."""
        found = _ADDRESS.fullmatch(text)
        if found is None or not 0 < int(found[2]) < 1 << 16:
            raise UsageError("not an address", where="--gdb", expected="HOST:PORT, as localhost:3333", found=repr(text))
        return cls(found[1].strip("[]"), int(found[2]))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class GdbMemory:
    """Memory as the core behind a gdb server sees it, and :class:`Memory` for whoever reads; a context manager.

    Connecting halts the core, as servers do; leaving detaches, and it goes on. What was read once is kept for that
    long. ``memories`` are where reading has no effect; None: wherever the architecture has no devices.
    """

    def __init__(
        self, view: str, address: GdbAddress, patience_s: float, memories: tuple[Extent, ...] | None = None
    ) -> None:
        self.view = view
        self.address = address
        self.halted_s = 0.0  # in the last look
        self.failure: AttachError | None = None
        self._patience_s = patience_s
        self._memories = memories
        self._socket: socket.socket | None = None
        self._reader = PacketReader()
        self._block = _LINE
        self._lines: dict[int, bytes | None] = {}  # by address; None: the server has nothing there
        self._since = 0.0

    def __enter__(self) -> GdbMemory:
        self._lines.clear()
        self._reader = PacketReader()
        try:
            self._socket = socket.create_connection((self.address.host, self.address.port), self._patience_s)
        except (OSError, UnicodeError) as error:
            what = (
                "does not answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
            )
            raise self._fail(f"cannot connect ({what})") from None
        self._since = time.monotonic()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            size = _PACKET_SIZE.search(self._ask(b"qSupported"))
            packet = min(max(int(size[1], 16), _SMALLEST_PACKET), _LARGEST_PACKET) if size else 400
            self._block = max(packet // 2 - 32, 16) // 16 * 16
            stopped = self._ask(b"?")  # why it stands still: it does, then
            if _STOP.match(stopped) is None:
                raise self._fail("is not halted", "a stop reply", _shown(stopped))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(AttachError):
            if self.failure is None:
                self._ask(b"D")
        self.halted_s = time.monotonic() - self._since
        self._close()

    def _close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def read(self, address: int, size: int) -> bytes:
        """TranslationError where the server has no memory or reading would do something; AttachError when it fails."""
        first, last = address & -_LINE, (address + size - 1) & -_LINE
        if size <= 0:
            return b""
        self._refuse_devices(Extent(address, size))
        data = b"".join(self._parts(first, last + _LINE, address))
        return data[address - first :][:size]

    def write(self, address: int, data: bytes) -> None:
        """Never."""
        raise TranslationError(f"{len(data)} bytes not written: the board is only read", where=f"{address:#010x}")

    def _refuse_devices(self, wanted: Extent) -> None:
        if wanted.end > 1 << 32:
            raise TranslationError("past the end of the address space", where=f"{self.view} at {wanted.start:#010x}")
        if self._memories is not None:
            at = wanted.start
            while (
                end := max((each.end for each in self._memories if at in each), default=at)
            ) > at and at < wanted.end:
                at = end
            if at < wanted.end:
                raise TranslationError("not memory, says the platform", where=f"{self.view} at {at:#010x}")
        elif any(each.overlaps(wanted) for each in _DEVICES):
            raise TranslationError(
                "devices lie there, and reading them may do something", where=f"{self.view} at {wanted.start:#010x}"
            )

    def _parts(self, start: int, end: int, wanted: int) -> Iterator[bytes]:
        """The lines of a range, asked for as many at a time as the server takes; none behind one that it lacks."""
        for at in range(start, end, _LINE):
            if at not in self._lines:
                size = _LINE
                while at + size < end and size + _LINE <= self._block and at + size not in self._lines:
                    size += _LINE
                self._have(at, self._memory_at(at, size), size)
            line = self._lines[at]
            if line is None:
                raise TranslationError("no memory", where=f"{self.view} at {max(at, wanted):#010x} ({self.address})")
            yield line

    def _have(self, at: int, data: bytes | None, size: int) -> None:
        if data is None and size > _LINE:  # which of the lines
            for each in range(at, at + size, _LINE):
                self._have(each, self._memory_at(each, _LINE), _LINE)
            return
        for offset in range(0, size, _LINE):
            self._lines[at + offset] = None if data is None else data[offset : offset + _LINE]
        if len(self._lines) > _MOST_LINES:
            raise self._fail(f"more than {_MOST_LINES * _LINE >> 20} MiB to be read")

    def _memory_at(self, address: int, size: int) -> bytes | None:
        """None where the server has none."""
        parts = []
        step = min(size, self._block)
        for at in range(address, address + size, step):
            length = min(step, address + size - at)
            answer = self._ask(b"m%x,%x" % (at, length))
            if answer[:2] == b"E." or (answer[:1] == b"E" and len(answer) % 2):
                return None
            try:
                data = bytes.fromhex(answer.decode("ascii"))
            except ValueError:
                data = b""
            if len(data) != length:
                raise self._fail(f"no memory in its answer for {at:#010x}", f"{length} bytes", _shown(answer))
            parts.append(data)
        return b"".join(parts)

    # packets

    def _ask(self, request: bytes) -> bytes:
        """The answer; what a server says by itself (console output, a stop) is passed over."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        now = time.monotonic()
        if now - self._since > _MOST_PATIENCE * self._patience_s:
            raise self._fail(f"is too slow: {now - self._since:.0f} s for one look")
        deadline = now + self._patience_s
        self._send(frame(request))
        for _ in range(_MOST_REPEATS):
            for packet in self._packets(deadline):
                if packet is None:
                    break
                self._send(b"+")
                answer = _expanded(packet)
                is_said_by_itself = (answer[:1] == b"O" and answer != b"OK") or (
                    request != b"?" and _STOP.match(answer) is not None
                )
                if not is_said_by_itself:
                    return answer
            self._send(b"-")
        raise self._fail("sends damaged packets", "a checksum that is right", "another one")

    def _packets(self, deadline: float) -> Iterator[bytes | None]:
        """As they come; None for a damaged one."""
        assert self._socket is not None, "connected"
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._fail(f"does not answer within {self._patience_s:g} s")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError as error:
                raise self._fail(f"has gone ({error.strerror or error})") from None
            if not data:
                raise self._fail("has hung up")
            for each in self._reader.feed(data):
                if isinstance(each, bytes):
                    yield each
                elif each is Signal.GARBAGE:
                    yield None

    def _send(self, data: bytes) -> None:
        assert self._socket is not None, "connected"
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._fail(f"has gone ({error.strerror or error})") from None

    def _fail(self, what: str, expected: object = None, found: object = None) -> AttachError:
        if self.failure is None:
            self.failure = AttachError(what, where=f"gdb server {self.address}", expected=expected, found=found)
        return self.failure


def _shown(answer: bytes) -> str:
    text = answer[:40].decode("ascii", "backslashreplace")
    return repr(text) + (" ..." if len(answer) > 40 else "")


def _expanded(packet: bytes) -> bytes:
    """Without run-length encoding: ``0* `` is ``0000``."""
    first, *rest = packet.split(b"*")
    parts = [first]
    for each in rest:
        count = each[0] - _RUN_AT if each else 0
        parts.append(parts[-1][-1:] * max(count, 0) + each[1:])
    return b"".join(parts)
