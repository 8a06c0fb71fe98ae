"""What a check says: violations as rules yield them, findings as reports show them."""

from __future__ import annotations

import enum
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent, Place
from orchestrator.events import Backtrace
from orchestrator.formats.elf import SourceLine

__all__ = ["Finding", "Severity", "Stage", "Violation"]


class Severity(enum.StrEnum):
    """How bad it is: an error makes the verdict bad, a warning deserves a look, a note is a remark."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Stage(enum.StrEnum):
    """When in the life of a board a rule can be judged."""

    STATIC = "static"  # what the images promise
    BOOT = "boot"  # whether the cores do it
    LIVE = "live"  # what stands in shared memory
    TRAFFIC = "traffic"  # what goes through it


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a promise is broken.

    ``subject`` is what it is about (a field path; default: the path of the first place), ``core`` the role of the
    core that did it, where one did; ``touches`` are the bytes concerned, as any core addresses them. ``severity`` is
    another than the rule's, where the run has shown that what is feared does not happen.
    """

    at: tuple[Place, ...]
    expected: str
    actual: str
    advice: str
    subject: str = ""
    core: str = ""
    detail: tuple[str, ...] = ()
    touches: tuple[Extent, ...] = ()
    severity: Severity | None = None
    backtrace: Backtrace = ()  # of the core at the first place


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation, with the rule that it breaks and the finding that it follows from, if any.

    ``at_lines`` has for each place the lines of source (innermost first where code was inlined), ``backtrace_lines``
    for each level; both empty where nobody looked (:func:`orchestrator.checks.sources.with_sources`).
    """

    rule: str
    severity: Severity
    stage: Stage
    at: tuple[Place, ...]
    expected: str
    actual: str
    advice: str
    subject: str
    source: str
    core: str = ""
    detail: tuple[str, ...] = ()
    touches: tuple[Extent, ...] = ()
    because_of: Finding | None = None
    backtrace: Backtrace = ()
    at_lines: tuple[tuple[SourceLine, ...], ...] = field(default=(), compare=False)
    backtrace_lines: tuple[tuple[SourceLine, ...], ...] = field(default=(), compare=False)

    @property
    def is_cause(self) -> bool:
        """Nothing else explains it, and it is more than a remark."""
        return self.because_of is None and self.severity is not Severity.NOTE

    @property
    def source_line(self) -> SourceLine | None:
        """The line to look at first: of the first place that has one, else of the innermost such call."""
        return next((lines[0] for lines in (*self.at_lines, *self.backtrace_lines) if lines), None)

    @property
    def root(self) -> Finding:
        """The cause at the end of the chain; itself when nothing explains it."""
        finding = self
        while finding.because_of is not None:
            finding = finding.because_of
        return finding

    def __str__(self) -> str:
        where = "; ".join(str(place) for place in self.at) or self.subject
        return f"{self.rule}: {where}: expected {self.expected}, found {self.actual}; {self.advice}"

    def to_json(self) -> dict[str, object]:
        """Plain values in a stable order; the cause is named by rule and subject."""
        cause = self.because_of
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "stage": self.stage.value,
            "subject": self.subject,
            "core": self.core or None,
            "at": [
                {"view": place.view, "address": place.address, "path": place.path, **_source(self.at_lines, index)}
                for index, place in enumerate(self.at)
            ],
            "expected": self.expected,
            "actual": self.actual,
            "advice": self.advice,
            "detail": list(self.detail),
            "backtrace": [
                {
                    "pc": frame.pc,
                    "symbol": frame.symbol,
                    "guess": frame.guess,
                    **_source(self.backtrace_lines, index),
                }
                for index, frame in enumerate(self.backtrace)
            ],
            "source": self.source,
            "because_of": {"rule": cause.rule, "subject": cause.subject} if cause else None,
        }


def _source(lines: tuple[tuple[SourceLine, ...], ...], index: int) -> dict[str, object]:
    """``source_lines``: as the debug information has them, innermost first; nothing where they are not known."""
    found = lines[index] if index < len(lines) else ()
    if not found:
        return {}
    return {
        "source_lines": [{"file": each.file, "line": each.line, "function": each.function or None} for each in found]
    }
