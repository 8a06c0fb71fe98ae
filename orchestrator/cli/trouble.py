"""How a command says that it could not run."""

from __future__ import annotations

import contextlib
import os
import sys

import click

__all__ = ["COULD_NOT_RUN", "complain", "give_up_stdout"]

COULD_NOT_RUN = 2  # exit code


def complain(error: object) -> None:
    """One line on stderr, as ``rptwin: error: ...``."""
    with contextlib.suppress(OSError):
        click.echo(f"rptwin: error: {error}", err=True)


def give_up_stdout() -> None:
    """Let the interpreter's own flush at exit go nowhere: it would complain about the same full disk or closed pipe."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
