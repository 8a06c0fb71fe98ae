"""Numbers as people write them: decimal, or hexadecimal behind ``0x``."""

from __future__ import annotations

import re

__all__ = ["LONGEST", "parse_number"]

LONGEST = 64  # characters: no address, size or frequency needs more
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")


def parse_number(text: str) -> int:
    """The number, leading zeros or not; ValueError for everything else, and for what is longer than any that is meant.

    ``int(text, 0)`` refuses ``0025000``, and 4,301 digits with a ValueError that nobody has asked for.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a number of more than {LONGEST} characters")
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number")
    return int(text, 16 if text[1:2] in ("x", "X") else 10)
