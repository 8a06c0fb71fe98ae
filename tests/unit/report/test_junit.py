from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import ElfError
from orchestrator.board import ConsoleLine, End, EndReason
from orchestrator.checks import Finding, Severity, Stage, catalogue
from orchestrator.config import Settings
from orchestrator.formats.elf import SourceLine
from orchestrator.report.junit import error_as_junit, to_junit
from orchestrator.report.record import Record, WallClock

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
    backtrace_lines=((SourceLine("remote/table.c", 53),),),
)
NO_OK = replace(NUM, rule="vdev.driver-ok-not-reached", stage=Stage.BOOT, subject="vdev[0].status", because_of=NUM)
CLOCK = WallClock("2026-01-02T03:04:05+00:00", 1.25)


def report(
    *findings: Finding, exit_code: int = 1, said: tuple[ConsoleLine, ...] = (), error: object = None
) -> ElementTree.Element:
    verdict = SimpleNamespace(findings=findings, exit_code=exit_code, headline="as it went")
    record = SimpleNamespace(
        verdict=verdict,
        end=End(EndReason.TIMEOUT, 5_000_000_000),
        pair="",
        images={},
        files={"main": "build/main.elf", "remote": ""},
        platform=SimpleNamespace(name="chip"),
        lines=said,
        wall_clock=CLOCK,
        parameters=lambda: {"platform": "chip", "map": ["1:2:3"], "profile": {"asked": "auto"}, "until": None},
    )
    record.pairs = (record,)
    return ElementTree.fromstring(to_junit(cast(Record, record), error).encode())


def failures(root: ElementTree.Element) -> dict[str, str]:
    cases = {case.get("name", ""): case.find("failure") for case in root.iter("testcase")}
    return {name: failure.text or "" for name, failure in cases.items() if failure is not None}


def test_a_good_board_has_a_passing_case_for_each_rule_and_one_for_the_bring_up() -> None:
    root = report(exit_code=0)
    names = [case.get("name") for case in root.iter("testcase")]
    assert sorted(names, key=str) == sorted([*(rule.id for rule in catalogue()), "RPTUN is up"])
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == (str(len(names)), "0", "0")


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


def test_a_case_that_fails_names_the_line_of_source() -> None:
    (case,) = [case for case in report(NUM).iter("testcase") if case.get("name") == "vring.num-zero"]
    assert (case.get("file"), case.get("line")) == ("remote/table.c", "53")


def test_every_suite_has_counts_and_times_and_names_the_pair() -> None:
    root = report(NUM)
    assert (root.get("time"), root.get("failures")) == ("1.250", "2")
    for suite in root:
        cases = suite.findall("testcase")
        assert (suite.get("tests"), suite.get("skipped")) == (str(len(cases)), "0")
        assert suite.get("timestamp") == "2026-01-02T03:04:05"
        assert str(suite.get("name")).startswith("chip main.elf: ")
        assert sum(float(case.get("time", "")) for case in cases) == float(suite.get("time", ""))
    assert [suite.get("time") for suite in root][-1] == "1.250"


def test_what_was_run_is_in_the_properties_and_what_was_said_in_the_output() -> None:
    root = report(said=(ConsoleLine(1_500_000, "main", "hello"), ConsoleLine(None, "remote.trace", "\x00")))
    suite = root[-1]
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties.items() >= {"platform": "chip", "map": "1:2:3", "profile.asked": "auto", "end": "timeout"}.items()
    assert "until" not in properties
    assert suite.findtext("system-out", "").splitlines() == ["    1.500 ms  main | hello", f"{'':12}  remote.trace | ?"]


def test_a_run_that_was_ended_is_an_error_and_what_was_found_stays() -> None:
    root = report(NUM, error=ElfError("cut off", rule="x"))
    assert (root.get("errors"), root.get("failures")) == ("1", "1")
    assert [(each.get("message"), each.get("type")) for each in root.iter("error")] == [("cut off", "ElfError")]


def test_a_run_that_could_not_be_is_one_case_with_an_error() -> None:
    settings = Settings(main="build/main.elf", remote="remote.elf")
    root = ElementTree.fromstring(error_as_junit(settings, ElfError("no such file", rule="x", where="main.elf"), CLOCK))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("1", "1", "0")
    assert root[0].get("name") == "stm32h745 main.elf remote.elf: verdict"
    assert [each.get("message") for each in root.iter("error")] == ["main.elf: no such file"]


@given(st.text())
def test_whatever_stands_in_guest_memory_gives_well_formed_xml(text: str) -> None:
    assert "vring.num-zero" in failures(report(replace(NUM, actual=text), said=(ConsoleLine(1, "main", text),)))
