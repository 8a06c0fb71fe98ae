"""The report for CI: one test suite per stage, one test case per rule; a finding makes its rule's case fail.

What follows from a cause fails its own case too, with a text that begins with the cause. Warnings and notes pass and
are kept as output of the case. The last suite of a pair is its verdict, with what was run as properties and the
consoles as output. A run that could not be, or was ended from outside, is an error of that suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from orchestrator import __version__
from orchestrator.base.roles import ROLES
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.config import Settings
from orchestrator.report.record import Record, WallClock
from orchestrator.report.sources import SourcePaths, frame_texts, place_texts

__all__ = ["error_as_junit", "to_junit"]

_CASE = "RPTUN is up"
_COUNTED = ("tests", "failures", "errors")


def to_junit(record: Record, error: object = None) -> str:
    """The report as JUnit XML; ``error`` is what ended the run before it was over."""
    suites: list[ElementTree.Element] = []
    for pair in record.pairs:
        paths = SourcePaths.of(pair.images)
        for stage in Stage:
            suites.append(_suite(pair, stage, [f for f in pair.verdict.findings if f.stage is stage], paths))
        suites.append(_bring_up(pair, error))
    return _document(suites, record.wall_clock)


def error_as_junit(settings: Settings, error: object, wall_clock: WallClock) -> str:
    """A run that could not be, as JUnit XML: the case that every run has, with an error."""
    files = {role: getattr(settings, role) for role in ROLES}
    suite = ElementTree.Element("testsuite", name=f"{_pair_of(settings.platform, files)}: verdict")
    _add_properties(suite, {"rptwin": __version__, "platform": settings.platform, **files})
    case = ElementTree.SubElement(suite, "testcase", classname="rptwin.verdict", name=_CASE)
    _add_error(case, error)
    return _document([suite], wall_clock)


def _document(suites: Iterable[ElementTree.Element], wall_clock: WallClock) -> str:
    """Counts and times: those of this computer are the verdict's, as the run as a whole took them."""
    root = ElementTree.Element("testsuites", name="rptwin")
    root.extend(suites)
    for suite in root:
        cases = suite.findall("testcase")
        seconds = wall_clock.seconds if suite is root[-1] else 0.0
        counts = (len(cases), *(sum(case.find(what) is not None for case in cases) for what in ("failure", "error")))
        for name, count in zip(_COUNTED, counts, strict=True):
            suite.set(name, str(count))
        suite.set("skipped", "0")
        suite.set("timestamp", wall_clock.started.removesuffix("+00:00"))
        suite.set("time", f"{seconds:.3f}")
        for case in cases:
            case.set("time", f"{seconds if case.get('name') == _CASE else 0.0:.3f}")
    for name in _COUNTED:
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{wall_clock.seconds:.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _pair_of(platform: str, files: Mapping[str, str | None]) -> str:
    """``stm32h745 main.elf remote.elf``: which runs a CI puts side by side."""
    names = (Path(name).name for role in ROLES if (name := files[role]))
    return " ".join((Path(platform).stem, *names))


def _names(record: Record, what: str) -> tuple[str, str]:
    """The name of a suite, and the class that its cases say."""
    further = f"{record.pair}: " if record.pair else ""
    pair = _pair_of(record.platform.name, record.files)
    return _clean(f"{further}{pair}: {what}"), f"rptwin.{record.pair}.{what}" if record.pair else f"rptwin.{what}"


def _suite(record: Record, stage: Stage, findings: Sequence[Finding], paths: SourcePaths) -> ElementTree.Element:
    name, classname = _names(record, stage.value)
    suite = ElementTree.Element("testsuite", name=name)
    rules = dict.fromkeys([rule.id for rule in catalogue() if rule.stage is stage] + [each.rule for each in findings])
    for rule in rules:
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=rule)
        _judge(case, [each for each in findings if each.rule == rule], paths)
    return suite


def _judge(case: ElementTree.Element, findings: Sequence[Finding], paths: SourcePaths) -> None:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    remarks = [each for each in findings if each.severity is not Severity.ERROR]
    if errors:
        line = errors[0].source_line
        if line is not None:
            case.set("file", _clean(paths.path_of(line)))
            case.set("line", str(line.line))
        failure = ElementTree.SubElement(case, "failure", message=_clean(str(errors[0])), type=errors[0].rule)
        failure.text = "\n".join(_clean(_explain(each, paths)) for each in errors)
    if remarks:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(_clean(f"{each.severity.value}: {each}") for each in remarks)


def _explain(finding: Finding, paths: SourcePaths) -> str:
    places, frames = place_texts(finding, paths), frame_texts(finding, paths)
    lines = [str(finding), *places, *finding.detail, *frames, f"source: {finding.source}"]
    if finding.because_of is not None:
        lines.insert(0, f"because of {finding.root.rule} ({finding.root.subject})")
    return "\n".join(lines)


def _bring_up(record: Record, error: object) -> ElementTree.Element:
    """One case that fails as the exit code does, for those who look at nothing else."""
    verdict = record.verdict
    name, classname = _names(record, "verdict")
    suite = ElementTree.Element("testsuite", name=name)
    _add_properties(suite, dict(_properties(record)))
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=_CASE)
    if error is not None:
        _add_error(case, error)
    elif verdict.exit_code:
        ElementTree.SubElement(case, "failure", message=verdict.headline, type="verdict").text = str(record.end)
    else:
        ElementTree.SubElement(case, "system-out").text = verdict.headline
    if record.lines:
        lines = (
            f"{'' if each.time_ns is None else f'{each.time_ns / 1e6:.3f} ms':>12}  {each.console} | {each.text}"
            for each in record.lines
        )
        ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(lines))
    return suite


def _add_error(case: ElementTree.Element, error: object) -> None:
    message = _clean(str(error))
    ElementTree.SubElement(case, "error", message=message, type=type(error).__name__).text = message


def _properties(record: Record) -> Iterator[tuple[str, object]]:
    yield "rptwin", __version__
    for name, value in record.parameters().items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", each) for key, each in value.items() if not isinstance(each, Mapping))
        else:
            yield name, " ".join(map(str, value)) if isinstance(value, list) else value
    yield "end", record.end.reason.value
    yield "virtual_time_ns", record.end.time_ns


def _add_properties(suite: ElementTree.Element, values: Mapping[str, object]) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in values.items():
        if value not in (None, ""):
            ElementTree.SubElement(properties, "property", name=_clean(name), value=_clean(str(value)))


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 (2.2) does not have: guest memory can hold anything."""
    return "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in text
    )
