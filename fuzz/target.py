"""What a target is: it makes an input from chance, and says what is wrong with what becomes of it."""

from __future__ import annotations

import random
from typing import Protocol

from orchestrator.base.errors import RptwinError

__all__ = ["BrokenError", "Target", "mutated", "only_typed"]


class BrokenError(Exception):
    """A promise was not kept; the text says which."""


class Target(Protocol):
    """One kind of input."""

    name: str

    def make(self, chance: random.Random) -> bytes:
        """An input; always the same one from the same chance."""
        ...

    def check(self, data: bytes) -> None:
        """Use it; :class:`BrokenError`, or any exception that is no :class:`RptwinError`, is a finding."""
        ...


_WORDS = (b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"[", b"{", b'"', b"'''", b"0x", b"9" * 80, b"\n    ")


def mutated(chance: random.Random, data: bytes, most: int = 12) -> bytes:
    """Bytes flipped, removed, doubled, cut, or replaced by what parsers trip over."""
    out = bytearray(data)
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(out) + 1)
        kind = chance.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = chance.randrange(256)
        elif kind == 2:
            out[at : at + chance.randint(1, 40)] = b""
        elif kind == 3:
            out[at:at] = out[at : at + chance.randint(1, 200)] * chance.choice((1, 1, 2, 100))
        elif kind == 4:
            out[at:at] = chance.choice(_WORDS) * chance.choice((1, 1, 1, 300))
        elif kind == 5 and len(out) > 4:
            at = chance.randrange(len(out) - 3) & ~3
            out[at : at + 4] = chance.choice((0, 1, 0xFFFFFFFF, 0x80000000, chance.getrandbits(32))).to_bytes(
                4, "little"
            )
    return bytes(out)


def only_typed(error: BaseException) -> bool:
    """Whether this is how rptwin refuses an input."""
    return isinstance(error, RptwinError)
