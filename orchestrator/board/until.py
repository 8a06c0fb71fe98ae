"""What a run waits for: conditions as people type them, and when they are met."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from orchestrator.base.errors import UsageError
from orchestrator.base.numbers import parse_number
from orchestrator.board.consoles import Consoles, is_trace
from orchestrator.board.ends import QUIET_NS, UNANSWERED_NS, EndReason
from orchestrator.board.rtt import Rtt
from orchestrator.engines.common.console_match import TextMatch
from orchestrator.engines.contract import Condition, ConsoleText, Engine, MemoryEquals
from orchestrator.platform.model import Platform

__all__ = ["Awaited", "Goal", "Question", "goal_of", "parse_until"]

_LONG_NS = 1 << 62  # until the end in any case
_PIECE_NS = 10_000_000  # how often a run looks whether it is over; not of the wall clock, so that runs repeat exactly

_WORD_CONDITION = re.compile(
    r"(?P<core>[\w.]+)@(?P<address>0[xX][0-9a-fA-F]{1,8})(?:&(?P<mask>0[xX][0-9a-fA-F]{1,8}))?="
    r"(?P<value>0[xX][0-9a-fA-F]{1,8}|\d{1,10})",
    re.ASCII,
)
_CONSOLE_CONDITION = re.compile(r"(?P<console>[\w.]+)(?P<kind>[:~])(?P<text>.+)", re.ASCII | re.DOTALL)
_UP = "up"
_UNTIL_WORDS = "up | CONSOLE:TEXT | CONSOLE~REGEX | CORE@0xADDRESS[&MASK]=VALUE"


Question = Callable[[], bool]
"""Asked between two pieces of a run; true ends it."""


class Awaited(Protocol):
    """What conditions look at: a board."""

    platform: Platform
    engine: Engine
    rtt: Rtt
    quiet_for_ns: int | None

    @property
    def consoles(self) -> Consoles: ...

    @property
    def time_ns(self) -> int: ...

    @property
    def last_activity_ns(self) -> int: ...

    def is_up(self) -> bool: ...

    def is_answered(self) -> bool: ...

    def is_asked(self) -> bool: ...


def parse_until(text: str, board: Awaited) -> Condition | Question:
    """``up``, ``CONSOLE:TEXT``, ``CONSOLE~REGEX`` or ``CORE@0xADDRESS[&MASK]=VALUE`` (a 32-bit word).

    :class:`UsageError` names what is accepted.
    """
    if text == _UP:
        return board.is_up
    word = _WORD_CONDITION.fullmatch(text)
    if word is not None:
        core = board.platform.core(word["core"]).name
        mask = int(word["mask"], 16) if word["mask"] else 0xFFFF_FFFF
        return MemoryEquals(core, int(word["address"], 16), 4, parse_number(word["value"]), mask)
    console = _CONSOLE_CONDITION.fullmatch(text)
    if console is None:
        raise UsageError("not a condition", where="until", expected=_UNTIL_WORDS, found=repr(text))
    name, shown, regex = console["console"], console["text"], console["kind"] == "~"
    TextMatch(shown, regex=regex)  # refuses what is none
    if is_trace(name) or board.rtt.console(name) is not None:
        return _memory_shows(board, name, shown, regex)
    return ConsoleText(board.consoles[name].name, shown, regex)


def _memory_shows(board: Awaited, name: str, text: str, regex: bool) -> Question:
    """Of a console in memory, which no engine looks at: what stands there is searched whole, for it may be a ring."""
    in_rtt = board.rtt.console(name)
    if in_rtt is not None:
        return lambda: TextMatch(text, regex=regex).is_in(in_rtt.received)
    return lambda: name in board.consoles and TextMatch(text, regex=regex).is_in(board.consoles[name].output)


def _words(condition: Condition) -> str:
    """A condition as people type it."""
    if isinstance(condition, ConsoleText):
        return f"{condition.uart}{'~' if condition.regex else ':'}{condition.text}"
    mask = "" if condition.mask == 0xFFFF_FFFF else f"&{condition.mask:#x}"
    return f"{condition.core}@{condition.address:#010x}{mask}={condition.value:#x}"


class Goal(Protocol):
    """What a run waits for; ``awaited`` in words, empty where nothing was asked for or the asker judges.

    ``is_of_events``: an event of the board may meet it, so that the run ends with the turn of that event.
    """

    condition: Condition | None
    awaited: str

    @property
    def is_of_events(self) -> bool: ...

    @property
    def quiet_ns(self) -> int:
        """How long it has to be quiet, where that ends the run."""
        ...

    def met(self) -> EndReason | None:
        """Why the run is over, if it is."""
        ...

    def piece_ns(self, *, repeats: bool) -> int:
        """How long to run before asking again; longer where the board ``repeats`` itself for ever."""
        ...


class _Quiet:
    """Up, and nothing more goes on."""

    condition: Condition | None = None
    awaited = ""
    is_of_events = False

    def __init__(self, board: Awaited, attended: Question | None) -> None:
        self._board = board
        self._attended = attended

    @property
    def quiet_ns(self) -> int:
        """How long it has to stay quiet."""
        if self._board.quiet_for_ns is not None:
            return self._board.quiet_for_ns
        return QUIET_NS if self._board.is_answered() else UNANSWERED_NS

    def _missing_ns(self) -> int:
        """How much longer it has to stay quiet."""
        return self._board.last_activity_ns + self.quiet_ns - self._board.time_ns

    def met(self) -> EndReason | None:
        if self._attended is not None and self._attended():
            return None
        is_quiet = self._board.is_up() and self._missing_ns() <= 0 and not self._board.is_asked()
        return EndReason.QUIET if is_quiet else None

    def piece_ns(self, *, repeats: bool) -> int:
        missing = self._missing_ns() if self._board.is_up() else 0
        if self._attended is not None:
            return _PIECE_NS
        # Not the whole wait for an answer at once: it may come, and all be quiet long before.
        return min(missing, QUIET_NS) if missing > 0 else _LONG_NS if repeats else _PIECE_NS


class _Asked:
    """A function says so."""

    condition: Condition | None = None
    quiet_ns = 0

    def __init__(self, question: Question, awaited: str, *, is_of_events: bool) -> None:
        self._question = question
        self.awaited = awaited
        self.is_of_events = is_of_events

    def met(self) -> EndReason | None:
        return EndReason.CONDITION if self._question() else None

    def piece_ns(self, *, repeats: bool) -> int:
        return _PIECE_NS


class _Conditional:
    """The engine says so, of what happens in the whole run and not in a piece of it."""

    quiet_ns = 0
    is_of_events = False

    def __init__(self, board: Awaited, condition: Condition, awaited: str, attended: Question | None) -> None:
        self.awaited = awaited
        self._attended = attended
        if isinstance(condition, ConsoleText) and condition.since is None:
            console = board.engine.consoles.get(condition.uart)  # the engine refuses one that it has not
            condition = replace(condition, since=None if console is None else console.total)
        self.condition: Condition | None = condition

    def met(self) -> EndReason | None:
        return None

    def piece_ns(self, *, repeats: bool) -> int:
        return _LONG_NS if repeats and self._attended is None else _PIECE_NS


def goal_of(board: Awaited, until: str | Condition | Question | None, attended: Question | None) -> Goal:
    """What a run waits for: text, a condition, a question, or None for quiet; not while somebody attends."""
    awaited = ""
    if isinstance(until, str):
        awaited, until = until, parse_until(until, board)
    if until is None:
        return _Quiet(board, attended)
    if isinstance(until, ConsoleText | MemoryEquals):
        return _Conditional(board, until, awaited or _words(until), attended)
    assert callable(until)
    return _Asked(until, awaited, is_of_events=awaited == _UP)
