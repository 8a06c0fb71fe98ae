"""How an image is named: a file, or ``FILE@ADDRESS`` for bytes that do not say where they are loaded."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.base.files import is_file
from orchestrator.base.numbers import parse_number

__all__ = ["image_file", "parted"]

_AT = re.compile(r"(.+)@(0[xX][0-9a-fA-F]{1,8}|\d{1,10})", re.DOTALL)


def parted(text: str | Path) -> tuple[Path, int | None]:
    """The file, and its address where one is given; a file whose name looks like that is itself."""
    found = _AT.fullmatch(str(text))
    if found is None or is_file(Path(text)):
        return Path(text), None
    return Path(found[1]), parse_number(found[2])


def image_file(text: str | Path) -> Path:
    """The file of an image as somebody gave it."""
    return parted(text)[0]
