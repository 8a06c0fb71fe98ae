"""One end of a vhost-user socket: whole messages, with their descriptors (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections.abc import Iterable

from orchestrator.base.errors import UsageError, VhostUserError
from orchestrator.vhost_user.messages import (
    DESCRIPTORS_MAX,
    Header,
    Message,
    decode_header,
    encode,
    name_of,
)

__all__ = ["Channel", "checked_path", "close_all"]

_PATH_MAX = 107  # bytes: sun_path of Linux, its final zero apart (unix(7))
_ROOM = socket.CMSG_SPACE(4 * (DESCRIPTORS_MAX + 8))  # more than any message may carry, so that they are counted


def checked_path(path: str) -> str:
    """A path that a socket can have; UsageError for one too long."""
    size = len(os.fsencode(path))
    if not 1 <= size <= _PATH_MAX:
        raise UsageError("no path of a socket", where=path, expected=f"1 to {_PATH_MAX} bytes", found=size)
    return path


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody wants."""
    for each in descriptors:
        with contextlib.suppress(OSError):
            os.close(each)


class Channel:
    """A connected stream socket; ``timeout_s`` is how long the rest of a message, or an answer, may take."""

    def __init__(self, connection: socket.socket, name: str = "peer", timeout_s: float = 10.0) -> None:
        self.name = name
        self._socket = connection
        self._socket.settimeout(timeout_s)

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, message: Message) -> None:
        """One message in one piece; its descriptors stay the caller's. VhostUserError when the peer is gone."""
        data = encode(message)
        ancillary = []
        if message.descriptors:
            ancillary.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", message.descriptors)))
        try:
            sent = self._socket.sendmsg([data], ancillary)
            if sent < len(data):
                self._socket.sendall(data[sent:])
        except TimeoutError:
            raise self._lost(f"does not take {message.name}", "vhost.no-answer") from None
        except OSError as error:
            raise self._lost(f"cannot be sent {message.name} ({error.strerror or error})", "vhost.peer-gone") from error

    def receive(self) -> Message | None:
        """The next message; None when the peer has hung up between two.

        VhostUserError when it hangs up or falls silent in the middle of one, or sends what is no message; descriptors
        that came with it are closed then.
        """
        descriptors: list[int] = []
        try:
            data = self._read(Header.size, descriptors)
            if not data:
                close_all(descriptors)
                return None
            header = decode_header(data, self.name)
            payload = self._read(header.payload_size, descriptors)
            if len(payload) != header.payload_size:
                raise VhostUserError(
                    f"hung up in the middle of {name_of(header.request)}",
                    rule="vhost.cut-short",
                    where=self.name,
                    expected=f"{header.payload_size} bytes of payload",
                    found=len(payload),
                )
        except VhostUserError:
            close_all(descriptors)
            raise
        return Message(header.request, header.flags, payload, tuple(descriptors))

    def _read(self, size: int, descriptors: list[int]) -> bytes:
        """So many bytes, fewer where the peer hangs up; descriptors are added as they come."""
        data = b""
        while len(data) < size:
            try:
                part, ancillary, flags, _address = self._socket.recvmsg(size - len(data), _ROOM)
            except TimeoutError:
                found = f"{len(data)} of {size} bytes"
                raise self._lost("falls silent", "vhost.no-answer", found) from None
            except ConnectionError:
                return data
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    numbers = array.array("i")
                    numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                    descriptors += numbers
            if flags & socket.MSG_CTRUNC:
                raise self._lost("sends more descriptors than any message has", "vhost.descriptors")
            if not part:
                break
            data += part
        return data

    def _lost(self, what: str, rule: str, found: str | None = None) -> VhostUserError:
        return VhostUserError(what, rule=rule, where=self.name, found=found)
