"""What is said of each case of a test, in a file to compare with word by word.

``pytest -n0 --write-golden TEST`` writes the files of ``tests/golden/said`` anew; the diff says what has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.checks import Finding
from orchestrator.checks.verdict import Verdict
from orchestrator.formats.elf import SourceLine

__all__ = ["GoldenTexts", "findings_as_text", "verdict_as_text"]

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "said"


@dataclass(frozen=True)
class GoldenTexts:
    """The file of one test; ``writes``: what is said now is right, and the file is to say so."""

    name: str
    writes: bool

    @property
    def _path(self) -> Path:
        return FOLDER / f"{self.name}.txt"

    def _said(self) -> dict[str, str]:
        """By case: a line with its name in brackets, and what follows up to the next."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        cases = (each.partition("]\n") for each in text.split("\n[")[1:])
        return {name: said.strip("\n") for name, _, said in cases}

    def compare(self, case: str, now: str) -> None:
        """The text is the one that the file has for the case."""
        said = self._said()
        if self.writes:
            self._write(said | {case: now})
            return
        assert now.splitlines() == said[case].splitlines()

    def is_of(self, cases: Iterable[str]) -> None:
        """The file has these cases and no others."""
        said, cases = self._said(), sorted(cases)
        if self.writes:
            self._write({case: said[case] for case in cases if case in said})
            return
        assert sorted(said) == cases

    def _write(self, said: dict[str, str]) -> None:
        FOLDER.mkdir(exist_ok=True)
        head = "Written by pytest --write-golden; do not edit.\n"
        cases = "".join(f"\n[{case}]\n{said[case]}\n" for case in sorted(said))
        self._path.write_text(head + cases, encoding="utf-8")


def findings_as_text(findings: Iterable[Finding]) -> str:
    """All that findings say, but for the sources of their rules."""
    return "\n".join(line for each in findings for line in _lines(each))


def _lines(finding: Finding) -> Iterator[str]:
    by = f", by {finding.core}" if finding.core else ""
    yield f"{finding.severity} {finding.rule}: {finding.subject}{by}"
    for index, place in enumerate(finding.at):
        yield f"  at {place}{_source(finding.at_lines, index)}"
    yield f"  expected {finding.expected}"
    yield f"  found {finding.actual}"
    yield from (f"  detail {each}" for each in finding.detail)
    for index, frame in enumerate(finding.backtrace):
        guess = " (guess)" if frame.guess else ""
        yield f"  by {frame.pc:#010x} {frame.symbol or '?'}{guess}{_source(finding.backtrace_lines, index)}"
    yield f"  advice {finding.advice}"
    yield from (f"  touches {each}" for each in finding.touches)
    if finding.because_of is not None:
        yield f"  because of {finding.because_of.rule}: {finding.because_of.subject}"


def _source(lines: tuple[tuple[SourceLine, ...], ...], index: int) -> str:
    """Innermost first, as the debug information has them."""
    found = lines[index] if index < len(lines) else ()
    return "".join(
        f" {'in ' if i else '['}{each}{f' {each.function}' if each.function else ''}" for i, each in enumerate(found)
    ) + ("]" if found else "")


def verdict_as_text(verdict: Verdict) -> str:
    """All that a verdict says of a run: a line for each item."""
    return "\n".join(_items("", verdict.to_json()))


def _items(path: str, value: object) -> Iterator[str]:
    """``traffic[0].used 4``; a list of dicts has a line for each dict."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _items(f"{path}.{name}" if path else name, each)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for i, each in enumerate(value):
            yield f"{path}[{i}] {json.dumps(each)}"
    else:
        yield f"{path} {json.dumps(value)}"
