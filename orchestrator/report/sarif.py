"""The report as SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format), which code scanning of forges reads."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from orchestrator import __version__
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.rule import Rule
from orchestrator.events import Frame
from orchestrator.formats.elf import SourceLine
from orchestrator.report.links import links_of
from orchestrator.report.record import Record
from orchestrator.report.sources import SourcePaths

__all__ = ["error_as_sarif", "to_sarif"]

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def to_sarif(record: Record, error: object = None) -> str:
    """A run of SARIF with a result for each finding that nothing explains; what follows from it is in its message."""
    rules = [rule.id for rule in catalogue()]
    results = [
        _result(finding, consequences, rules, pair, SourcePaths.of(pair.images))
        for pair in record.pairs
        for finding, consequences in _causes(pair)
    ]
    return _document(results, 2 if error is not None else record.exit_code, error)


def error_as_sarif(error: object) -> str:
    """A run that could not be: no results, and why not."""
    return _document([], 2, error)


def _document(results: list[dict[str, object]], exit_code: int, error: object) -> str:
    invocation: dict[str, object] = {"executionSuccessful": error is None, "exitCode": exit_code}
    if error is not None:
        invocation["toolExecutionNotifications"] = [{"level": "error", "message": {"text": str(error)}}]
    run = {
        "tool": {"driver": {"name": "rptwin", "version": __version__, "rules": list(map(_rule, catalogue()))}},
        "invocations": [invocation],
        "columnKind": "utf16CodeUnits",
        "results": results,
    }
    document = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    links = links_of(rule.source)
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.description.partition("\n")[0]},
        "fullDescription": {"text": f"{rule.description}\nSource: {rule.source}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        **({"helpUri": links[0]} if links else {}),
    }


def _causes(record: Record) -> list[tuple[Finding, tuple[Finding, ...]]]:
    causes = [(each.finding, each.consequences) for each in record.verdict.causes]
    return causes + [(each, ()) for each in record.verdict.notes]


def _result(
    finding: Finding, consequences: tuple[Finding, ...], rules: list[str], record: Record, paths: SourcePaths
) -> dict[str, object]:
    text = f"{finding.subject or finding.rule}: expected {finding.expected}, found {finding.actual}; {finding.advice}"
    text += "".join(f"\nhence {each.rule} {each.subject}: found {each.actual}" for each in consequences)
    levels = [(lines[0] if lines else None, frame.symbol or f"{frame.pc:#010x}") for lines, frame in _frames(finding)]
    stack = {
        "message": {"text": "where the core was"},
        "frames": [{"location": {**_physical(line, paths), "message": {"text": symbol}}} for line, symbol in levels],
    }
    return {
        "ruleId": finding.rule,
        **({"ruleIndex": rules.index(finding.rule)} if finding.rule in rules else {}),
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding, record, paths)],
        **({"stacks": [stack]} if levels else {}),
        "partialFingerprints": {"finding/v1": f"{finding.rule} {finding.subject}"},
    }


def _frames(finding: Finding) -> list[tuple[tuple[SourceLine, ...], Frame]]:
    lines = (*finding.backtrace_lines, *[()] * len(finding.backtrace))
    return list(zip(lines, finding.backtrace, strict=False))


def _location(finding: Finding, record: Record, paths: SourcePaths) -> dict[str, object]:
    """The line to look at; where there is none, the file that was loaded."""
    logical = [{"fullyQualifiedName": str(place)} for place in finding.at]
    line = finding.source_line
    physical = _physical(line, paths)
    if not physical:
        roles = {core: role for role, core in record.platform.roles.items()}
        role = finding.core or next((roles.get(each.view, "") for each in finding.at), "")
        file = record.files.get(role) or record.files["remote"] or record.files["main"]
        physical = {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}}}
    return {**physical, **({"logicalLocations": logical} if logical else {})}


def _physical(line: SourceLine | None, paths: SourcePaths) -> dict[str, object]:
    if line is None:
        return {}
    place = {"artifactLocation": {"uri": _uri(paths.path_of(line))}, "region": {"startLine": line.line}}
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
