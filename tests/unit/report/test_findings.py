from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest

from orchestrator.base.memory import Place
from orchestrator.checks import Finding, Severity, Stage
from orchestrator.checks.causes import causes_of
from orchestrator.report.findings import print_findings, summary
from orchestrator.report.terminal import make_console, rendered

ALIGN = Finding(
    rule="vring.align-not-power-of-two",
    severity=Severity.ERROR,
    stage=Stage.STATIC,
    at=(Place("cpu_cm7", 0x3004_0084, "vdev[0].vring[1].align"),),
    expected="a power of two",
    actual="3",
    advice="take 4",
    subject="vdev[0].vring[1].align",
    source="Linux virtio_ring.h",
    detail=("[bold]not markup[/bold]",),
)
NO_OK = replace(ALIGN, rule="vdev.driver-ok-not-reached", subject="vdev[0].status", because_of=ALIGN, detail=())
NO_MESSAGES = replace(ALIGN, rule="traffic.none", severity=Severity.NOTE, subject="vdev[0].vring[0]", because_of=NO_OK)
WARNING = replace(ALIGN, rule="vdev.odd", severity=Severity.WARNING, subject="vdev[0]")
NOTE = replace(ALIGN, rule="traffic.none", severity=Severity.NOTE, subject="vdev[0].vring[0]")


def test_everything_that_follows_however_indirectly_stands_under_its_cause() -> None:
    groups = list(causes_of([WARNING, NO_MESSAGES, NO_OK, NOTE, ALIGN]))
    assert [(group.finding, group.consequences) for group in groups] == [
        (ALIGN, (NO_MESSAGES, NO_OK)),
        (WARNING, ()),
        (NOTE, ()),
    ]


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ((), "no findings"),
        ((ALIGN,), "1 error"),
        ((ALIGN, NO_OK), "1 error, 1 consequence"),
        ((ALIGN, NO_OK, NO_MESSAGES, WARNING), "1 error, 2 consequences, 1 warning"),
        ((NOTE, replace(NOTE, subject="x")), "2 notes"),
    ],
)
def test_the_summary_counts_causes_and_what_follows_apart(findings: tuple[Finding, ...], text: str) -> None:
    assert summary(findings) == text


def test_a_cause_is_printed_in_full_and_what_follows_in_a_line() -> None:
    text = rendered(make_console(StringIO()), lambda console: print_findings(console, [ALIGN, NO_OK]))
    assert text == (
        "Findings\n"
        "  error   vring.align-not-power-of-two  vdev[0].vring[1].align\n"
        "          at       cpu_cm7 at 0x30040084 (vdev[0].vring[1].align)\n"
        "          expected a power of two\n"
        "          found    3\n"
        "                   [bold]not markup[/bold]\n"
        "          advice   take 4\n"
        "          source   Linux virtio_ring.h\n"
        "          hence    vdev.driver-ok-not-reached  vdev[0].status: expected a power of two, found 3\n"
    )


def test_what_a_terminal_would_act_upon_is_not_passed_on() -> None:
    hostile = replace(ALIGN, subject="\x1b[2J", actual="\x9b31m", detail=("\x07",))
    text = rendered(make_console(StringIO()), lambda console: print_findings(console, [hostile]))
    assert all(c.isprintable() or c == "\n" for c in text)


def test_a_report_without_findings_has_no_such_section() -> None:
    assert rendered(make_console(StringIO()), lambda console: print_findings(console, [])) == ""
