"""How a command says that it could not run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

import click

__all__ = ["COULD_NOT_RUN", "complain", "give_up_stdout", "terminable"]

COULD_NOT_RUN = 2  # exit code
_MOST_DETAILS = 20  # lines


def complain(error: object) -> None:
    """One line on stderr, as ``rptwin: error: ...``; then, behind it, the details that came with an error."""
    with contextlib.suppress(OSError):
        click.echo(f"rptwin: error: {error}", err=True)
        for line in getattr(error, "__notes__", ())[:_MOST_DETAILS]:
            click.echo(f"  {line}", err=True)


def give_up_stdout() -> None:
    """Let the interpreter's own flush at exit go nowhere: it would complain about the same full disk or closed pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM is an interrupt like Ctrl-C: what was begun is taken down, and what was seen is reported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
