"""Packets of gdb's remote protocol: bytes in, packets out, and back (Remote Protocol, "Overview")."""

from __future__ import annotations

import enum

__all__ = ["PACKET_SIZE", "Packet", "PacketReader", "Signal", "binary", "frame"]

PACKET_SIZE = 0x4000  # bytes of a packet's content, in both directions

_ESCAPE, _ESCAPED_BY = 0x7D, 0x20
_SPECIAL = frozenset(b"$#}*")


class Signal(enum.Enum):
    """What a client sends outside of packets."""

    ACKNOWLEDGED = "+"
    DAMAGED = "-"  # the last packet is to be sent again
    INTERRUPT = "Ctrl-C"
    GARBAGE = "garbage"  # a packet whose checksum is wrong, or longer than any may be


Packet = bytes  # the content, unescaped


def frame(content: bytes) -> bytes:
    """``$CONTENT#CHECKSUM``; the content has been escaped where it is binary."""
    return b"$%b#%02x" % (content, sum(content) & 0xFF)


def binary(data: bytes) -> bytes:
    """Binary data as it stands in a packet (Remote Protocol, "Overview": escaping)."""
    if _SPECIAL.isdisjoint(data):
        return data
    return b"".join(bytes((_ESCAPE, each ^ _ESCAPED_BY)) if each in _SPECIAL else bytes((each,)) for each in data)


def _unescaped(content: bytes) -> bytes:
    first, *rest = content.split(bytes((_ESCAPE,)))
    return first + b"".join(bytes((part[0] ^ _ESCAPED_BY,)) + part[1:] for part in rest if part)


class PacketReader:
    """Cuts a stream into packets and signals; whatever comes, it neither fails nor keeps more than one packet."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Packet | Signal]:
        """What has become whole with these bytes, in order."""
        self._pending += data
        found: list[Packet | Signal] = []
        while self._pending:
            first = self._pending[0]
            if first == ord("$"):
                whole = self._packet()
                if whole is None:
                    break
                found.append(whole)
                continue
            del self._pending[0]
            if first in _SIGNALS:
                found.append(_SIGNALS[first])
        return found

    def _packet(self) -> Packet | Signal | None:
        end = self._pending.find(b"#")
        if end < 0 or end > PACKET_SIZE:
            if len(self._pending) <= PACKET_SIZE:
                return None
            del self._pending[: end if end >= 0 else len(self._pending)]
            return Signal.GARBAGE
        if len(self._pending) < end + 3:
            return None
        content, checksum = bytes(self._pending[1:end]), bytes(self._pending[end + 1 : end + 3])
        del self._pending[: end + 3]
        if checksum.lower() != b"%02x" % (sum(content) & 0xFF):
            return Signal.GARBAGE
        return _unescaped(content)


_SIGNALS = {ord("+"): Signal.ACKNOWLEDGED, ord("-"): Signal.DAMAGED, 3: Signal.INTERRUPT}
