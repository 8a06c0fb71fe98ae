"""What engines in processes of their own share: how their end is told, and signals while one is asked something."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from orchestrator.base.errors import EngineError

__all__ = ["EngineDiedError", "deferred_interrupt"]

_SHOWN_LINES = 5
_UNHANDLED = "Unhandled exception. "


class EngineDiedError(EngineError):
    """The process of the engine ended, hung or spoke nonsense; ``log`` is the last it printed.

    The line that says why is in the error's own; those around it are its notes.
    """

    def __init__(self, what: str, *, where: str, time_ns: int, log: Sequence[str]) -> None:
        self.time_ns = time_ns
        self.log = tuple(log)
        # .NET says first what it is that nobody has handled, and then where; everybody else's last line counts.
        why = next((n for n, line in enumerate(self.log) if line.startswith(_UNHANDLED)), None)
        shown = self.log[-_SHOWN_LINES:] if why is None else self.log[why:][:_SHOWN_LINES]
        said = "" if not shown else shown[-1] if why is None else shown[0]
        super().__init__(
            f"{what} at {time_ns / 1e9:.6f} s of virtual time",
            where=where,
            advice=f"it said: {said.removeprefix(_UNHANDLED)}" if said else "it printed nothing",
        )
        for line in shown if len(shown) > 1 else ():
            self.add_note(line)


@contextlib.contextmanager
def deferred_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C in the middle of a conversation would lose its thread: ask for an end, and raise after the answer.

    So does SIGTERM, where it is an interrupt like Ctrl-C (the command line). A handler that somebody has installed is
    left alone. A second signal is raised at once.
    """
    numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if _interrupts(each)]
    interrupted = False

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        give_back()
        stop()

    def give_back() -> None:
        for each in numbers:
            signal.signal(each, signal.default_int_handler)

    for each in numbers:
        signal.signal(each, on_interrupt)
    try:
        yield
    finally:
        give_back()
        if interrupted:
            raise KeyboardInterrupt


def _interrupts(number: signal.Signals) -> bool:
    """Whether this signal raises KeyboardInterrupt here, and its handler can be changed."""
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(number) is signal.default_int_handler
