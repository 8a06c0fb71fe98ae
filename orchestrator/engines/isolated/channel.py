"""Frames between rptwin and the process of an engine.

A frame is a header (``HEADER``: magic, bytes of text, bytes of blob, virtual time of the board in ns), a message as
JSON, and a blob: memory, an ELF file, console output. A request to stop that is no answer to an event goes through a
second channel (``STOP``: number of the run), which also tells the child that the parent is gone.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading

from orchestrator.base.dataclass import dataclass
from orchestrator.engines.isolated.codec import MalformedError, from_plain, to_plain
from orchestrator.engines.isolated.messages import MESSAGES, Done, Message

__all__ = ["HEADER", "Channel", "ClosedError", "Frame", "SilentError"]

HEADER = struct.Struct("<4sIIQ")
_MAGIC = b"rptw"
_MOST_TEXT = 1 << 26  # bytes; a platform with all its scripts has less than one in a hundred of that
_MOST_BLOB = 1 << 30
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Frame:
    """A message, its blob, and the board's virtual time when it was sent."""

    message: Message
    blob: bytes
    time_ns: int


class ClosedError(MalformedError):
    """The other side has closed the channel, perhaps in the middle of a frame."""


class SilentError(MalformedError):
    """Nothing came in the time that was given."""


class Channel:
    """Frames over a stream socket. One thread receives; sending is safe from several."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()

    def send(self, message: Message, blob: bytes = b"", time_ns: int = 0) -> None:
        """Raises :class:`ClosedError` when nobody is there to read."""
        text = json.dumps(to_plain(message), separators=(",", ":")).encode()
        with self._lock:
            try:
                self._socket.sendall(HEADER.pack(_MAGIC, len(text), len(blob), time_ns) + text + blob)
            except OSError as error:
                raise ClosedError("the channel is closed", found=error.strerror) from None

    def wait(self, patience_s: float) -> bool:
        """Whether a frame begins, or the channel is closed, within this much wall time."""
        return bool(select.select([self._socket], [], [], patience_s)[0])

    def receive(self, patience_s: float | None = None) -> Frame:
        """The next frame, waiting for at most ``patience_s`` of wall time for each of its parts.

        Raises ClosedError, SilentError, or MalformedError for bytes that are no frame.
        """
        magic, text_size, blob_size, time_ns = HEADER.unpack(self._take(HEADER.size, patience_s))
        if magic != _MAGIC or text_size > _MOST_TEXT or blob_size > _MOST_BLOB:
            raise MalformedError("no frame begins so", expected=_MAGIC.decode(), found=repr(magic))
        text = self._take(text_size, patience_s)
        blob = self._take(blob_size, patience_s)
        return Frame(_decoded(text), blob, time_ns)

    def _take(self, size: int, patience_s: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            if patience_s is not None and not select.select([self._socket], [], [], patience_s)[0]:
                raise SilentError("nothing came", expected=f"{size} bytes in {patience_s:g} s", found=len(data))
            try:
                part = self._socket.recv(min(size - len(data), _CHUNK))
            except OSError:
                part = b""
            if not part:
                raise ClosedError("the channel is closed", expected=f"{size} bytes", found=len(data))
            data += part
        return bytes(data)

    def close(self) -> None:
        """The other side sees the end."""
        self._socket.close()


def _decoded(text: bytes) -> Message:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedError("no message", expected="JSON", found=repr(text[:80])) from None
    name = plain.get("!") if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in MESSAGES:
        raise MalformedError("no message", expected="a known one", found=repr(name))
    if MESSAGES[name] is Done and plain.keys() == {"!", "value"}:
        return Done(plain["value"])  # typed by who asked
    message: Message = from_plain(MESSAGES[name], plain)
    return message
