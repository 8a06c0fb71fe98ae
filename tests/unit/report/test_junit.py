from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.board import End, EndReason
from orchestrator.checks import Finding, Severity, Stage, catalogue
from orchestrator.report.junit import to_junit
from orchestrator.report.record import Record

NUM = Finding(
    rule="vring.num-zero",
    severity=Severity.ERROR,
    stage=Stage.STATIC,
    at=(),
    expected="a size",
    actual="0",
    advice="give it one",
    subject="vdev[0].vring[0].num",
    source="virtio 1.3, 2.7",
)
NO_OK = replace(NUM, rule="vdev.driver-ok-not-reached", stage=Stage.BOOT, subject="vdev[0].status", because_of=NUM)


def report(*findings: Finding, exit_code: int = 1) -> ElementTree.Element:
    verdict = SimpleNamespace(findings=findings, exit_code=exit_code, headline="as it went")
    record = SimpleNamespace(verdict=verdict, end=End(EndReason.TIMEOUT, 5_000_000_000), pair="")
    record.pairs = (record,)
    return ElementTree.fromstring(to_junit(cast(Record, record)).encode())


def failures(root: ElementTree.Element) -> dict[str, str]:
    cases = {case.get("name", ""): case.find("failure") for case in root.iter("testcase")}
    return {name: failure.text or "" for name, failure in cases.items() if failure is not None}


def test_a_good_board_has_a_passing_case_for_each_rule_and_one_for_the_bring_up() -> None:
    root = report(exit_code=0)
    names = [case.get("name") for case in root.iter("testcase")]
    assert sorted(names, key=str) == sorted([*(rule.id for rule in catalogue()), "RPTUN is up"])
    assert (root.get("tests"), root.get("failures")) == (str(len(names)), "0")


def test_the_case_of_the_verdict_fails_as_the_exit_code_does_and_has_the_headline() -> None:
    root = report()
    assert failures(root) == {"RPTUN is up": "timeout at 5.000000 s"}
    assert [each.get("message") for each in root.iter("failure")] == ["as it went"]
    assert [each.text for each in report(exit_code=0).iter("system-out")] == ["as it went"]


def test_what_follows_from_a_cause_names_it() -> None:
    texts = failures(report(NUM, NO_OK))
    assert list(texts) == ["vring.num-zero", "vdev.driver-ok-not-reached", "RPTUN is up"]
    assert texts["vdev.driver-ok-not-reached"].startswith("because of vring.num-zero (vdev[0].vring[0].num)\n")


def test_a_warning_fails_nothing_and_is_kept() -> None:
    root = report(replace(NUM, severity=Severity.WARNING), exit_code=0)
    assert failures(root) == {}
    assert [each.text for each in root.iter("system-out")] == [f"warning: {NUM}", "as it went"]


@given(st.text())
def test_whatever_stands_in_guest_memory_gives_well_formed_xml(text: str) -> None:
    assert "vring.num-zero" in failures(report(replace(NUM, actual=text)))
