"""Numbers in words, for messages."""

from __future__ import annotations

__all__ = ["counted", "times"]


def counted(number: int, what: str) -> str:
    """``1 finding``, ``2 findings``, ``0 findings``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
