"""Sets of small numbers in a word: exceptions, channels."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["bits_of"]


def bits_of(word: int) -> Iterator[int]:
    """Positions of the set bits, lowest first."""
    while word:
        low = word & -word
        yield low.bit_length() - 1
        word ^= low
