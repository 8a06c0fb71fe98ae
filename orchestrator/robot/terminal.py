"""A terminal on one UART. In: what the guest sent, and virtual time to spend. Out: the line that was waited for.

Matching follows Renode's terminal tester: a match uses up everything before it, a line ends in a line feed, carriage
returns are dropped, and what did not match is shown in the report of a failure.
"""

from __future__ import annotations

import codecs
import enum
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from orchestrator.base.dataclass import dataclass
from orchestrator.robot.tester import Cable, TerminalError, Tester

__all__ = ["LineEnd", "TerminalMatch", "TerminalTester"]

T = TypeVar("T")

# Colours and the like (ECMA-48, 8.3.117); Renode's tester drops them too.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class LineEnd(enum.Enum):
    """What ends a line; the other of the two is dropped. Names as in Renode."""

    TreatLineFeedAsEndLine = ("\n", "\r")
    TreatCarriageReturnAsEndLine = ("\r", "\n")


@dataclass(frozen=True, slots=True)
class TerminalMatch:
    """What a wait found; the names are those of Renode's result."""

    Line: str
    Timestamp: float  # virtual milliseconds at which the line was seen to be complete
    Groups: tuple[str, ...] = ()  # of a regular expression

    def __str__(self) -> str:
        return self.Line


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    time_ms: float

    def __str__(self) -> str:
        return f"[{self.time_ms:12.3f} ms] {self.text}"


class TerminalTester(Tester):
    """Reads and writes one UART, a line at a time."""

    def __init__(
        self, name: str, cable: Cable, timeout_ns: int, line_end: LineEnd = LineEnd.TreatLineFeedAsEndLine
    ) -> None:
        super().__init__(name, cable, timeout_ns)
        self._line_end, self._dropped = line_end.value
        self._lines: list[_Line] = []
        self._unfinished = ""
        self._report: list[str] = []
        self._forbidden: list[tuple[str, bool]] = []
        # A character of several bytes may come in two looks.
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def write_line(self, text: str) -> None:
        """Send a line as a terminal does: it ends in a carriage return."""
        self.write(text.encode() + b"\r")

    def forbid(self, pattern: str, regex: bool) -> None:
        """From now on a wait fails as soon as a line has this."""
        self._forbidden.append((pattern, regex))

    def allow(self, pattern: str, regex: bool) -> None:
        """Take back ``forbid``; TerminalError when it was not called with the same."""
        if (pattern, regex) not in self._forbidden:
            raise TerminalError(f"{self.name}: {pattern!r} was not registered as failing")
        self._forbidden.remove((pattern, regex))

    def wait_for(
        self,
        pattern: str,
        *,
        regex: bool = False,
        unfinished: bool = False,
        next_line: bool = False,
        timeout_ns: int | None = None,
    ) -> TerminalMatch:
        """The first line that contains the pattern; with ``next_line`` the very next one has to.

        ``unfinished`` accepts a line that has not ended, such as a prompt. Raises TerminalError after the timeout.
        """
        kind = "regex " if regex else ""
        what = f"a {'prompt' if unfinished else 'line'} with {kind}{pattern!r}"
        return self._expect(what, self._look_for(pattern, regex, unfinished, next_line), timeout_ns)

    def wait_for_lines(
        self,
        patterns: Sequence[str],
        *,
        regex: bool = False,
        unfinished: bool = False,
        next_line: bool = False,
        timeout_ns: int | None = None,
    ) -> TerminalMatch:
        """Lines that follow one another, each with its pattern; the match of the last one.

        With ``next_line`` the first has to be the very next line; ``unfinished`` is of the last.
        """
        what = f"lines with {'regex ' if regex else ''}{', '.join(map(repr, patterns))} one after the other"

        def look() -> TerminalMatch | None:
            *leading, last = patterns
            for start in range(1 if next_line else len(self._lines) + 1):
                lines = self._lines[start : start + len(patterns)]
                if len(lines) < len(leading) or not all(map(_has(regex), leading, lines)):
                    continue
                if len(lines) == len(patterns):
                    match = _search(last, regex, lines[-1].text)
                    if match:
                        return self._use_up(start + len(patterns), match)
                elif unfinished:
                    return self._match_unfinished(last, regex, at_start=next_line and not leading)
            return None

        if not patterns:
            return TerminalMatch("", self._now_ms())
        return self._expect(what, look, timeout_ns)

    def next_line(self, timeout_ns: int | None = None) -> TerminalMatch:
        """The next whole line, whatever it says."""
        return self._expect("a line", lambda: self._match_finished("", False, True), timeout_ns)

    def refuse(
        self, pattern: str, *, regex: bool = False, unfinished: bool = False, timeout_ns: int | None = None
    ) -> None:
        """Fail if a line with the pattern comes within the timeout."""
        found = self._wait(self._look_for(pattern, regex, unfinished, False), timeout_ns)
        if found is not None:
            raise TerminalError(f"{self.name}: {pattern!r} came at {found.Timestamp:.3f} ms: {found.Line}")

    def report(self) -> str:
        """Every line so far, used up or not, with the virtual time at which it was seen."""
        self._read()
        waiting = [str(line) for line in self._lines]
        rest = [f"{self._unfinished} [no line end]"] if self._unfinished else []
        return "\n".join([*self._report, *waiting, *rest]) or "(nothing was received)"

    def clear(self) -> None:
        """Forget every line that has been received."""
        self._read()
        self._lines.clear()
        self._report.clear()

    def _take(self, fresh: bytes) -> None:
        text = self._decode(fresh).replace(self._dropped, "").replace("\0", "")
        *whole, self._unfinished = _COLOUR.sub("", self._unfinished + text).split(self._line_end)
        self._lines += [_Line(line, self._now_ms()) for line in whole]

    def _wait(self, look: Callable[[], T | None], timeout_ns: int | None) -> T | None:
        def look_at_both() -> T | None:
            self._check_forbidden()
            return look()

        return super()._wait(look_at_both, timeout_ns)

    def _check_forbidden(self) -> None:
        for pattern, regex in self._forbidden:
            for line in self._lines:
                if _search(pattern, regex, line.text):
                    raise TerminalError(f"{self.name}: {pattern!r} must not come, and did: {line.text}")

    def _look_for(
        self, pattern: str, regex: bool, unfinished: bool, next_line: bool
    ) -> Callable[[], TerminalMatch | None]:
        return lambda: (
            self._match_finished(pattern, regex, next_line)
            or (self._match_unfinished(pattern, regex, at_start=next_line) if unfinished else None)
        )

    def _match_finished(self, pattern: str, regex: bool, next_line: bool) -> TerminalMatch | None:
        for index, line in enumerate(self._lines[:1] if next_line else self._lines):
            match = _search(pattern, regex, line.text)
            if match:
                return self._use_up(index + 1, match)
        return None

    def _use_up(self, count: int, match: re.Match[str]) -> TerminalMatch:
        """So many lines; the match is of the last of them."""
        used, self._lines = self._lines[:count], self._lines[count:]
        self._report += [str(line) for line in used]
        return TerminalMatch(used[-1].text, used[-1].time_ms, _groups(match))

    def _match_unfinished(self, pattern: str, regex: bool, *, at_start: bool) -> TerminalMatch | None:
        match = _search(pattern, regex, self._unfinished)
        if match is None or (at_start and match.start()):
            return None
        used, self._unfinished = self._unfinished[: match.end()], self._unfinished[match.end() :]
        self._report += [*(str(line) for line in self._lines), f"{used} [no line end]"]
        self._lines.clear()
        return TerminalMatch(used, self._now_ms(), _groups(match))


def _search(pattern: str, regex: bool, text: str) -> re.Match[str] | None:
    return re.search(pattern if regex else re.escape(pattern), text)


def _has(regex: bool) -> Callable[[str, _Line], bool]:
    return lambda pattern, line: _search(pattern, regex, line.text) is not None


def _groups(match: re.Match[str]) -> tuple[str, ...]:
    return tuple(group or "" for group in match.groups())
