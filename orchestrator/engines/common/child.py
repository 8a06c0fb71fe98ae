"""What engines in processes of their own share: how their end is told."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.base.errors import EngineError

__all__ = ["EngineDiedError"]

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
