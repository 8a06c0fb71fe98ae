"""Registers of the System Control Space by offset: what a word reads as, and what becomes of a store."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Read", "Registers", "Storage", "Write", "constant", "ignored"]

Read = Callable[[], int]
Write = Callable[[int], None]
Registers = dict[int, tuple[Read | None, Write | None]]
"""By offset from 0xE000E000; None: there is no reading, or no writing it."""


def constant(value: int) -> tuple[Read, Write]:
    """A register that reads as this, whatever is written."""
    return (lambda: value), ignored


def ignored(_value: int) -> None:
    """A store that changes nothing."""


class Storage:
    """Registers that keep what is written and do nothing else."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}

    def register(self, offset: int, mask: int = 0xFFFF_FFFF) -> tuple[Read, Write]:
        """One of them, with the bits that it has."""

        def write(value: int) -> None:
            self.words[offset] = value & mask

        return (lambda: self.words.get(offset, 0)), write
