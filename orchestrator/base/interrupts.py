"""Signals that end rptwin: which, how they are raised, and how a part that must not be broken off holds them back.

Ctrl-C, SIGTERM (a CI that gives up) and SIGHUP (a terminal that goes away) are one thing: what was begun is taken down,
what was seen is reported, and the exit code is 2. A signal that was ignored when rptwin was started (``nohup``, a
background job of a shell) stays ignored.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["ENDING", "deferred_interrupt", "is_ignored", "raise_interrupt", "raised", "uninterrupted", "was_raised"]

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # not every system has SIGHUP

raised: list[int] = []
"""Numbers of the signals that :func:`raise_interrupt` has raised: an import may swallow a KeyboardInterrupt."""


def raise_interrupt(number: int, _frame: FrameType | None) -> None:
    """A handler: KeyboardInterrupt, remembered."""
    raised.append(number)
    raise KeyboardInterrupt


def was_raised() -> bool:
    """Whether a signal came that was to end rptwin."""
    return bool(raised)


def is_ignored(number: int) -> bool:
    """Whether whoever started rptwin wants it to go on through this signal."""
    return signal.getsignal(number) is signal.SIG_IGN


@contextlib.contextmanager
def deferred_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C in the middle of a conversation would lose its thread: ask for an end, and raise after the answer.

    So do the other signals that are an interrupt like Ctrl-C (the command line). A handler that somebody has installed
    is left alone. A second signal is raised at once.
    """
    before = {each: signal.getsignal(each) for each in ENDING if _interrupts(each)}
    interrupted: list[int] = []

    def on_interrupt(number: int, _frame: FrameType | None) -> None:
        interrupted.append(number)
        give_back()
        stop()

    def give_back() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        for each in before:
            signal.signal(each, on_interrupt)
        yield
    finally:
        give_back()
        if interrupted:
            raised.extend(each for each in interrupted if before[each] is raise_interrupt)
            raise KeyboardInterrupt


def uninterrupted() -> contextlib.AbstractContextManager[None]:
    """What begins or ends a process or a folder is whole before a signal is raised."""
    return deferred_interrupt(lambda: None)


def _interrupts(number: int) -> bool:
    """Whether this signal raises KeyboardInterrupt here, and its handler can be changed."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(number) in (signal.default_int_handler, raise_interrupt)
