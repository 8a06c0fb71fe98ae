"""Which test reaches which function of rptwin, and by which of its lines: who can notice a fault, the likeliest first.

A fault in a function is run with the tests that call it. First come those that go where few go: whoever breaks a rule
stands on the line that says so, everybody else passes it by.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["PACKAGE", "Reach", "Recorder"]

PACKAGE = Path(__file__).resolve().parent.parent / "orchestrator"
_CALLS_FOLLOWED = 4  # of one function in one test, line by line; of the others only that they were

_Line = tuple[str, int, int]  # file, first line of the function, line


class Recorder:
    """Follows what runs under a test or a fixture of many tests."""

    def __init__(self) -> None:
        self._package = str(PACKAGE)
        self._tests: dict[str, tuple[set[_Line], tuple[str, ...], float]] = {}
        self._fixtures: defaultdict[str, set[_Line]] = defaultdict(set)
        self._into: list[set[_Line]] = []
        self._left: dict[int, int] = {}  # calls that are still to be followed in this test, by the code's identity

    @property
    def is_on(self) -> bool:
        """Something runs and is followed."""
        return bool(self._into)

    @contextmanager
    def test(self, name: str, fixtures: tuple[str, ...]) -> Iterator[None]:
        """What runs meanwhile is this test's."""
        lines: set[_Line] = set()
        began = time.monotonic()
        self._left.clear()
        with self._recording(lines):
            yield
        self._tests[name] = (lines, fixtures, time.monotonic() - began)

    @contextmanager
    def fixture(self, name: str) -> Iterator[None]:
        """What runs meanwhile is this fixture's too."""
        self._left.clear()
        with self._recording(self._fixtures[name]):
            yield

    @contextmanager
    def _recording(self, into: set[_Line]) -> Iterator[None]:
        self._into.append(into)
        sys.settrace(self._call)
        threading.settrace(self._call)
        try:
            yield
        finally:
            self._into.pop()
            if not self._into:
                sys.settrace(None)
                threading.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        left = self._left.get(id(frame.f_code))
        if left == 0:
            return None
        code = frame.f_code
        if left is None:
            if not code.co_filename.startswith(self._package):
                self._left[id(code)] = 0
                return None
            left = _CALLS_FOLLOWED
            for each in self._into:
                each.add((code.co_filename, code.co_firstlineno, code.co_firstlineno))
        self._left[id(code)] = left - 1
        return self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            at = (frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lineno)
            for each in self._into:
                each.add(at)
        return self._line

    def result(self) -> dict[str, Any]:
        """Seconds and lines of each test, for :meth:`Reach.of`."""
        found = {}
        for name, (lines, fixtures, seconds) in self._tests.items():
            every = lines.union(*(self._fixtures[each] for each in fixtures if each in self._fixtures))
            found[name] = {"seconds": seconds, "lines": sorted(every)}
        return found


@dataclass(frozen=True, slots=True)
class Reach:
    """The tests of a part."""

    seconds: dict[str, float]  # of wall time, while they were followed
    lines: dict[tuple[str, int], dict[str, frozenset[int]]]  # of a function, by file and first line: tests, their lines

    @classmethod
    def of(cls, recorded: dict[str, Any]) -> Reach:
        """What a :class:`Recorder` has found."""
        lines: defaultdict[tuple[str, int], defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for test, each in recorded.items():
            for path, first, line in each["lines"]:
                lines[path, first][test].add(line)
        return cls(
            {test: each["seconds"] for test, each in recorded.items()},
            {at: {test: frozenset(each) for test, each in tests.items()} for at, tests in lines.items()},
        )

    def tests(self, path: Path, function: int) -> list[str]:
        """Those that call the function that begins at this line; first quick ones that go where few go.

        For what is not in a function, all tests, those that call anything of the module first.
        """
        if not function:
            module = {test for (file, _), tests in self.lines.items() if file == str(path) for test in tests}
            return sorted(self.seconds, key=lambda each: (each not in module, self.seconds[each]))
        reaching = self.lines.get((str(path), function), {})
        visitors = Counter(line for lines in reaching.values() for line in lines)
        return sorted(reaching, key=lambda test: min(visitors[line] for line in reaching[test]) * self.seconds[test])
