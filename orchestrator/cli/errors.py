"""How a command says that it could not run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

import click

from orchestrator.base.interrupts import ENDING, is_ignored, raise_interrupt, raised

__all__ = ["COULD_NOT_RUN", "complain", "give_up_stdout", "terminable"]

COULD_NOT_RUN = 2  # exit code
_MOST_DETAILS = 20  # lines


def complain(error: object) -> None:
    """One line on stderr, as ``rptwin: error: ...``; then, behind it, the details that came with an error."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"rptwin: error: {error}", err=True)
        for line in getattr(error, "__notes__", ())[:_MOST_DETAILS]:
            click.echo(f"  {line}", err=True)


def give_up_stdout() -> None:
    """Let the interpreter's own flush at exit go nowhere: it would complain about the same full disk or closed pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP are interrupts like Ctrl-C: what was begun is taken down, and what was seen is reported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised.clear()
    with _heard_in_callbacks():
        yield from _terminable()


def _terminable() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in ENDING if not is_ignored(each)}
    try:
        for each in before:
            signal.signal(each, raise_interrupt)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def _heard_in_callbacks() -> Iterator[None]:
    """An interrupt in a callback of the interpreter, as in the middle of an import, is remembered and not printed."""
    before = sys.unraisablehook

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)

    sys.unraisablehook = on_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = before
