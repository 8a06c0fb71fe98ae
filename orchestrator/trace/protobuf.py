"""The few words of protobuf's wire format that a trace needs (Protocol Buffers, "Encoding")."""

from __future__ import annotations

__all__ = ["fixed64", "message", "text", "varint"]

_VARINT, _FIXED64, _BYTES = 0, 1, 2  # wire types


def _number(value: int) -> bytes:
    """Base 128, the low bits first; a negative one as its 64-bit two's complement."""
    value &= (1 << 64) - 1
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def varint(field: int, value: int) -> bytes:
    """A field of any integer type that is not fixed, or of an enumeration."""
    return _number(field << 3 | _VARINT) + _number(value)


def fixed64(field: int, value: int) -> bytes:
    """A field of eight bytes."""
    return _number(field << 3 | _FIXED64) + value.to_bytes(8, "little")


def message(field: int, data: bytes) -> bytes:
    """A field that is a message, or bytes."""
    return _number(field << 3 | _BYTES) + _number(len(data)) + data


def text(field: int, value: str) -> bytes:
    """A field that is a string."""
    return message(field, value.encode("utf-8", "replace"))
