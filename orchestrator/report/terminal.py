"""The terminal that reports for people are printed to."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["PLAIN_WIDTH", "address", "heading", "make_console", "make_table", "printable", "rendered"]

_BLANKS = re.compile(r"[ ]+(\x1b\[0m)?$", re.MULTILINE)
PLAIN_WIDTH = 100  # columns where there is no terminal to ask: a file, a pipe, a CI log


class _Console(Console):
    """Rich's, but a reader that goes away is an error like any other and not an exit code of rich's own."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def make_console(file: IO[str] | None = None) -> Console:
    """A console for text that is no markup (``vdev[0]``). Colours on a terminal only, and not with NO_COLOR."""
    console = _Console(file=file, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def rendered(console: Console, report: Callable[[Console], None]) -> str:
    """What a report prints, without the blanks with which rich fills up lines, nor an empty first line."""
    with console.capture() as captured:
        report(console)
    return _BLANKS.sub(r"\1", captured.get()).lstrip("\n")


def heading(console: Console, text: str) -> None:
    """Begin a section."""
    console.print()
    console.print(Text(text, style="bold"))


def make_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines, indented; ``right`` names the columns of numbers. The last column takes what is left."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=True, header_style="dim")
    for column in columns:
        last = column == columns[-1]
        table.add_column(column, justify="right" if column in right else "left", no_wrap=not last, overflow="fold")
    return table


def printable(text: str) -> str:
    """Text that came from an image or from guest memory, without what a terminal would act upon."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def address(value: int | None) -> str:
    """``0x30040000``, or ``nowhere`` for a view that does not have it."""
    return "nowhere" if value is None else f"{value:#010x}"
