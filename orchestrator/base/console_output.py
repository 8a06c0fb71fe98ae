"""What a console has said, in bounded memory: all of it, or where it begins and where it ends.

Firmware that prints without end is worth reading at both ends. What is left out between them is counted, and a line in
its place says so, the same in a terminal, in JSON and in a recording. Positions are bytes since power-on, left out or
not.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["DEFAULT_CONSOLE_SIZE", "ConsoleOutput", "Fresh", "LineStart", "OutputState"]

DEFAULT_CONSOLE_SIZE = 1 << 20  # bytes of each console
_MOST_STARTS = 4096  # lines at the beginning, and as many at the end, whose times are kept
_NEWLINE = 0x0A


class Fresh(NamedTuple):
    """What a console has said since a position: so many bytes that were not kept, and those behind them."""

    left_out: int
    data: bytes


class LineStart(NamedTuple):
    """Where a line begins, and when its first byte came (virtual ns since power-on)."""

    position: int
    time_ns: int


class OutputState(NamedTuple):
    """Everything that is kept, for a snapshot."""

    head: bytes
    tail: bytes
    total: int
    starts: tuple[LineStart, ...] = ()


class ConsoleOutput:
    """Up to ``size`` bytes whole, of more the first and the last half; ``len`` is how many there were in all.

    ``clock`` gives the virtual time of what comes; without one, lines have no times.
    """

    def __init__(self, size: int = DEFAULT_CONSOLE_SIZE, clock: Callable[[], int] | None = None) -> None:
        self.clock = clock
        self._first: list[LineStart] = []
        self._last: deque[LineStart] = deque(maxlen=_MOST_STARTS)
        self._is_at_start = True  # of a line: the next byte begins it
        self._half = size // 2
        self._head = b""  # while anything is left out
        self._tail = bytearray()
        self._total = 0
        self._most = size  # bytes in `_tail` before it is cut: twice what is kept of it, so that few bytes move often

    def __len__(self) -> int:
        return self._total

    @property
    def _begin(self) -> int:
        """Position of the tail's first byte."""
        return self._total - len(self._tail)

    def keep(self, size: int) -> None:
        """At most so many bytes from now on."""
        self._half, self._most = size // 2, size

    def append(self, byte: int) -> None:
        """One more byte."""
        if self._is_at_start:
            self._begin_line(self._total)
        self._is_at_start = byte == _NEWLINE
        self._tail.append(byte)
        self._total += 1
        if len(self._tail) > self._most:
            self._cut()

    def extend(self, data: bytes, times_ns: Sequence[int] | None = None) -> None:
        """Some more bytes, that came now or each at its own time."""
        if data:
            self._begin_lines(data, times_ns)
        self._tail += data
        self._total += len(data)
        if len(self._tail) > self._most:
            self._cut()

    def _begin_line(self, position: int, time_ns: int | None = None) -> None:
        if self.clock is not None:
            start = LineStart(position, self.clock() if time_ns is None else time_ns)
            if len(self._first) < _MOST_STARTS:
                self._first.append(start)
            else:
                self._last.append(start)

    def _begin_lines(self, data: bytes, times_ns: Sequence[int] | None) -> None:
        if self._is_at_start:
            self._begin_line(self._total, None if times_ns is None else times_ns[0])
        at = data.find(_NEWLINE)
        while 0 <= at < len(data) - 1:
            self._begin_line(self._total + at + 1, None if times_ns is None else times_ns[at + 1])
            at = data.find(_NEWLINE, at + 1)
        self._is_at_start = data[-1] == _NEWLINE

    @property
    def starts(self) -> tuple[LineStart, ...]:
        """When lines began, in order: of the first and the last ones where there were thousands."""
        return (*self._first, *self._last)

    def _set_starts(self, starts: tuple[LineStart, ...]) -> None:
        self._first = list(starts[:_MOST_STARTS])
        self._last = deque(starts[_MOST_STARTS:], _MOST_STARTS)
        self._is_at_start = self._tail[-1] == _NEWLINE if self._tail else self._total == 0

    def go_on(self, position: int, left_out: int, data: bytes) -> None:
        """What another one has said since a position (:meth:`since`); what was here behind that never was."""
        begin, is_the_end = self._begin, position == self._total
        if position < begin:
            self._head, self._total, self._tail = self._head[:position], position, bytearray()
            if position == len(self._head):
                self._tail, self._head = bytearray(self._head), b""
        else:
            del self._tail[position - begin :]
            self._total = position
        if not is_the_end:
            self._set_starts(tuple(each for each in self.starts if each.position < position))
        if left_out:
            self._is_at_start = False  # whether it is, nobody knows
            if self._begin == 0:
                self._head = bytes(self._tail)
            self._tail.clear()
            self._total += left_out
        self.extend(data)

    def repeat(self, position: int, times: int) -> None:
        """What came behind a position comes so often again; what would not be kept is not made."""
        if position < self._begin:  # more of it than is kept: its end is the end
            self._total += (self._total - position) * times
            return
        clock, self.clock = self.clock, None  # of the rounds nobody has times
        self._repeat(bytes(self._tail[position - self._begin :]), times)
        self.clock = clock

    def _repeat(self, text: bytes, times: int) -> None:
        enough = 2 * self._most // max(1, len(text)) + 1  # fills the head and the tail anew
        if times <= 2 * enough:
            self.extend(text * times)
            return
        self.extend(text * enough)
        self._total += len(text) * (times - 2 * enough)
        self._tail.clear()
        self.extend(text * enough)

    def _cut(self) -> None:
        if self._begin == 0:
            self._head = bytes(self._tail[: self._half])
        del self._tail[: len(self._tail) - self._half]

    def whole(self) -> bytes:
        """All of it, or head and tail with a line between them that says how much is missing."""
        if self._begin == 0:
            return bytes(self._tail)
        tail = self._tail[-self._half :]
        missing = self._total - len(self._head) - len(tail)
        return b"%s\n[... %d bytes left out ...]\n%s" % (self._head, missing, tail)

    def since(self, position: int) -> Fresh:
        """What came behind a position, in one piece; nothing where it is the end, or lies behind that.

        The next piece is had from behind this one: what is left out separates two of them.
        """
        begin = self._begin
        if position >= begin:
            return Fresh(0, bytes(self._tail[position - begin :]))
        if position < len(self._head):
            return Fresh(0, self._head[position:])
        return Fresh(begin - position, bytes(self._tail))

    def finds(self, pattern: re.Pattern[bytes], begin: int) -> bool:
        """Whether something that begins at a position or behind it matches, as far as it is kept at the end."""
        return pattern.search(self._tail, max(0, begin - self._begin)) is not None

    def save(self) -> OutputState:
        """For :meth:`load`."""
        return OutputState(self._head, bytes(self._tail), self._total, self.starts)

    def load(self, state: OutputState) -> None:
        """Go back to :meth:`save`, of this console or of another."""
        self._head, self._tail, self._total = state.head, bytearray(state.tail), state.total
        self._set_starts(state.starts)
