"""A tester of bytes on one UART: Renode's terminal tester in its binary mode. Nothing is a line, nothing is dropped."""

from __future__ import annotations

import re

from orchestrator.base.dataclass import dataclass
from orchestrator.robot.tester import Cable, TerminalError, Tester

__all__ = ["BinaryMatch", "BinaryTester"]


@dataclass(frozen=True, slots=True)
class BinaryMatch:
    """What a wait found; the names are those of Renode's result."""

    Content: bytes
    Timestamp: float  # virtual milliseconds at which the last of the bytes was seen
    Groups: tuple[bytes, ...] = ()  # of a regular expression


class BinaryTester(Tester):
    """Reads and writes bytes; a match uses up everything before it."""

    def __init__(self, name: str, cable: Cable, timeout_ns: int) -> None:
        super().__init__(name, cable, timeout_ns)
        self._used = b""
        self._waiting = b""

    def wait_for(
        self, pattern: str, *, regex: bool = False, at_start: bool = False, timeout_ns: int | None = None
    ) -> BinaryMatch:
        """The first such bytes: ``01 a5 ff`` in hexadecimal, or a regular expression in which ``.`` is any byte.

        With ``at_start`` they have to be the very next ones. Raises TerminalError after the timeout.
        """
        expression = self._compile(pattern, regex)

        def look() -> BinaryMatch | None:
            match = (expression.match if at_start else expression.search)(self._waiting)
            if match is None:
                return None
            self._used += self._waiting[: match.end()]
            self._waiting = self._waiting[match.end() :]
            return BinaryMatch(match[0], self._now_ms(), tuple(group or b"" for group in match.groups()))

        return self._expect(f"{'regex ' if regex else 'bytes '}{pattern!r}", look, timeout_ns)

    def report(self) -> str:
        """Every byte so far in hexadecimal, those that wait marked."""
        self._read()
        waiting = f"[waiting] {self._waiting.hex(' ')}" if self._waiting else ""
        return " ".join(filter(None, [self._used.hex(" "), waiting])) or "(nothing was received)"

    def clear(self) -> None:
        self._read()
        self._used = self._waiting = b""

    def _take(self, fresh: bytes) -> None:
        self._waiting += fresh

    def _compile(self, pattern: str, regex: bool) -> re.Pattern[bytes]:
        try:
            # Latin-1: a character of the pattern is the byte of its number.
            return re.compile(pattern.encode("latin-1") if regex else re.escape(bytes.fromhex(pattern)), re.DOTALL)
        except (ValueError, re.error) as error:
            kind = "a regular expression of bytes" if regex else "bytes in hexadecimal"
            raise TerminalError(f"{self.name}: {pattern!r} is not {kind}: {error}") from None
