"""A terminal on one UART. In: what the guest sent, and virtual time to spend. Out: the line that was waited for.

Matching follows Renode's terminal tester: a match uses up everything before it, a line ends in a line feed, carriage
returns are dropped, and what did not match is shown in the report of a failure.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Cable", "TerminalError", "TerminalMatch", "TerminalTester"]


class TerminalError(AssertionError):
    """Something else came out of the UART than was waited for; the message ends in what was seen."""

    ROBOT_SUPPRESS_NAME = True


class Cable(Protocol):
    """The other end of the UART: its console, and the board's time."""

    @property
    def output(self) -> bytes:
        """Everything that the guest has sent since power-on."""
        ...

    @property
    def time_ns(self) -> int:
        """Virtual time since power-on."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes to the guest."""
        ...

    def advance(self, limit_ns: int) -> bool:
        """Let the board run until something comes out, at most this long; False when no core can run again."""
        ...


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


class TerminalTester:
    """Reads and writes one UART, a line at a time."""

    def __init__(self, name: str, cable: Cable, timeout_ns: int) -> None:
        self.name = name
        self.timeout_ns = timeout_ns
        self._cable = cable
        self._taken = 0  # bytes of the output that stand in _lines, _unfinished or _report
        self._lines: list[_Line] = []
        self._unfinished = ""
        self._report: list[str] = []
        self._forbidden: list[tuple[str, bool]] = []
        self._alive = True
        # A character of several bytes may come in two looks.
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode

    def write(self, text: str) -> None:
        """Send this text and nothing after it."""
        self._cable.write(text.encode())

    def write_line(self, text: str) -> None:
        """Send a line as a terminal does: it ends in a carriage return."""
        self.write(text + "\r")

    def forbid(self, pattern: str, regex: bool) -> None:
        """From now on a wait fails as soon as a line has this."""
        self._forbidden.append((pattern, regex))

    def allow(self, pattern: str, regex: bool) -> None:
        """Take back ``forbid``; ValueError when it was not called with the same."""
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

        def look() -> TerminalMatch | None:
            return self._match_finished(pattern, regex, next_line) or (
                self._match_unfinished(pattern, regex) if unfinished else None
            )

        return self._expect(what, look, timeout_ns)

    def next_line(self, timeout_ns: int | None = None) -> TerminalMatch:
        """The next whole line, whatever it says."""
        return self._expect("a line", lambda: self._match_finished("", False, True), timeout_ns)

    def refuse(
        self, pattern: str, *, regex: bool = False, unfinished: bool = False, timeout_ns: int | None = None
    ) -> None:
        """Fail if a line with the pattern comes within the timeout."""

        def look() -> TerminalMatch | None:
            return self._match_finished(pattern, regex, False) or (
                self._match_unfinished(pattern, regex) if unfinished else None
            )

        found = self._wait(look, timeout_ns)
        if found is not None:
            raise TerminalError(f"{self.name}: {pattern!r} came at {found.Timestamp:.3f} ms: {found.Line}")

    def expect_silence(self, duration_ns: int) -> None:
        """Fail if the guest sends anything within this time."""
        before = self._read()

        def look() -> TerminalMatch | None:
            return TerminalMatch("", self._now_ms()) if self._read() != before else None

        if self._wait(look, duration_ns) is not None:
            raise TerminalError(f"{self.name}: not idle\n{self.report()}")

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

    def _now_ms(self) -> float:
        return self._cable.time_ns / 1e6

    def _read(self) -> int:
        """Take over what the guest has sent since the last look; the count of bytes since power-on."""
        output = self._cable.output
        fresh = self._decode(output[self._taken :]).replace("\r", "").replace("\0", "")
        self._taken = len(output)
        *whole, self._unfinished = (self._unfinished + fresh).split("\n")
        self._lines += [_Line(text, self._now_ms()) for text in whole]
        return self._taken

    def _expect(self, what: str, look: Callable[[], TerminalMatch | None], timeout_ns: int | None) -> TerminalMatch:
        found = self._wait(look, timeout_ns)
        if found is None:
            limit_s = (self.timeout_ns if timeout_ns is None else timeout_ns) / 1e9
            why = f"within {limit_s:g} s (virtual)" if self._alive else "and no core can run any more"
            raise TerminalError(f"{self.name}: {what} did not come {why}; seen:\n{self.report()}")
        return found

    def _wait(self, look: Callable[[], TerminalMatch | None], timeout_ns: int | None) -> TerminalMatch | None:
        end = self._cable.time_ns + (self.timeout_ns if timeout_ns is None else timeout_ns)
        while True:
            self._read()
            self._check_forbidden()
            found = look()
            left = end - self._cable.time_ns
            if found is not None or left <= 0 or not self._alive:
                return found
            self._alive = self._cable.advance(left)

    def _check_forbidden(self) -> None:
        for pattern, regex in self._forbidden:
            for line in self._lines:
                if _search(pattern, regex, line.text):
                    raise TerminalError(f"{self.name}: {pattern!r} must not come, and did: {line.text}")

    def _match_finished(self, pattern: str, regex: bool, next_line: bool) -> TerminalMatch | None:
        for index, line in enumerate(self._lines[:1] if next_line else self._lines):
            match = _search(pattern, regex, line.text)
            if match:
                self._report += [str(used) for used in self._lines[: index + 1]]
                del self._lines[: index + 1]
                return TerminalMatch(line.text, line.time_ms, tuple(group or "" for group in match.groups()))
        return None

    def _match_unfinished(self, pattern: str, regex: bool) -> TerminalMatch | None:
        match = _search(pattern, regex, self._unfinished)
        if match is None:
            return None
        used, self._unfinished = self._unfinished[: match.end()], self._unfinished[match.end() :]
        self._report += [*(str(line) for line in self._lines), f"{used} [no line end]"]
        self._lines.clear()
        return TerminalMatch(used, self._now_ms(), tuple(group or "" for group in match.groups()))


def _search(pattern: str, regex: bool, text: str) -> re.Match[str] | None:
    return re.search(pattern if regex else re.escape(pattern), text)
