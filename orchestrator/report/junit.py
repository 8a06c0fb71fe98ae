"""The report for CI: one test suite per stage, one test case per rule; a finding makes its rule's case fail.

Suites of a further pair of cores have its name in front of the stage's.

What follows from a cause fails its own case too, with a text that begins with the cause. Warnings and notes pass and
are kept as output of the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.finding import Finding, Severity, Stage
from orchestrator.report.record import Record

__all__ = ["to_junit"]


def to_junit(record: Record) -> str:
    """The report as JUnit XML."""
    suites = ElementTree.Element("testsuites", name="rptwin")
    for pair in record.pairs:
        for stage in Stage:
            suites.append(_suite(pair.pair, stage, [f for f in pair.verdict.findings if f.stage is stage]))
        suites.append(_bring_up(pair))
    for total in ("tests", "failures"):
        suites.set(total, str(sum(int(suite.get(total, "0")) for suite in suites)))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _names(pair: str, what: str) -> tuple[str, str]:
    """The name of a suite, and the class that its cases say."""
    return (f"{pair}: {what}", f"rptwin.{pair}.{what}") if pair else (what, f"rptwin.{what}")


def _suite(pair: str, stage: Stage, findings: Sequence[Finding]) -> ElementTree.Element:
    name, classname = _names(pair, stage.value)
    suite = ElementTree.Element("testsuite", name=name)
    rules = {rule.id: rule.description.partition("\n")[0] for rule in catalogue() if rule.stage is stage}
    rules |= {each.rule: "" for each in findings if each.rule not in rules}
    for rule in rules:
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=rule)
        _judge(case, [each for each in findings if each.rule == rule])
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in suite)))
    return suite


def _judge(case: ElementTree.Element, findings: Sequence[Finding]) -> None:
    errors = [each for each in findings if each.severity is Severity.ERROR]
    remarks = [each for each in findings if each.severity is not Severity.ERROR]
    if errors:
        failure = ElementTree.SubElement(case, "failure", message=_clean(str(errors[0])), type=errors[0].rule)
        failure.text = "\n".join(_clean(_explain(each)) for each in errors)
    if remarks:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(_clean(f"{each.severity.value}: {each}") for each in remarks)


def _explain(finding: Finding) -> str:
    lines = [str(finding), *finding.detail, f"source: {finding.source}"]
    if finding.because_of is not None:
        lines.insert(0, f"because of {finding.root.rule} ({finding.root.subject})")
    return "\n".join(lines)


def _bring_up(record: Record) -> ElementTree.Element:
    """One case that fails as the exit code does, for those who look at nothing else."""
    verdict = record.verdict
    name, classname = _names(record.pair, "verdict")
    suite = ElementTree.Element("testsuite", name=name, tests="1", failures="1" if verdict.exit_code else "0")
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name="RPTUN is up")
    if verdict.exit_code:
        ElementTree.SubElement(case, "failure", message=verdict.headline, type="verdict").text = str(record.end)
    else:
        ElementTree.SubElement(case, "system-out").text = verdict.headline
    return suite


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 (2.2) does not have: guest memory can hold anything."""
    return "".join(
        c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?" for c in text
    )
