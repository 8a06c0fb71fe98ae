"""How a conversation with QEMU ends that should not; the engine says what it means."""

from __future__ import annotations

import socket

__all__ = ["ClosedError", "SilentError", "received", "sent"]


class ClosedError(Exception):
    """The other end is gone."""


class SilentError(Exception):
    """The other end said nothing for too long."""


def received(connection: socket.socket) -> bytes:
    """What comes next, at least a byte."""
    try:
        data = connection.recv(1 << 16)
    except TimeoutError:
        raise SilentError from None
    except OSError:
        raise ClosedError from None
    if not data:
        raise ClosedError
    return data


def sent(connection: socket.socket, data: bytes) -> None:
    """All of it."""
    try:
        connection.sendall(data)
    except TimeoutError:
        raise SilentError from None
    except OSError:
        raise ClosedError from None
