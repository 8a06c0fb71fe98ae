"""A test of a suite that fails, as Robot Framework runs it: the run of its board stands beside the log and in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from robot import api, result

SUITE = """
*** Settings ***
Library    orchestrator.robot.RptwinLibrary{arguments}

*** Test Cases ***
Comes Up
    Start Board    stm32h745    {main}    {remote}
    Run Until The End

Is <b>Good & More
    Rptun Should Be Up

Has No Findings
    There Should Be No Findings

Stops
    Stop Board
    Fail    for another reason
"""
Tests = Callable[..., dict[str, result.TestCase]]


@pytest.fixture
def tests(firmware: Callable[[str], Any], tmp_path: Path) -> Tests:
    """The results of the suite on a variant of the firmware, by test."""

    def run(variant: str, arguments: str = "") -> dict[str, result.TestCase]:
        pair = firmware(variant)
        suite = tmp_path / "suite.robot"
        suite.write_text(SUITE.format(main=pair.main, remote=pair.remote, arguments=arguments))
        command = [sys.executable, "-m", "robot", "--outputdir", str(tmp_path / "out"), str(suite)]
        subprocess.run(command, capture_output=True, text=True, check=False)
        return {each.name: each for each in api.ExecutionResult(str(tmp_path / "out" / "output.xml")).suite.all_tests}

    return run


def attached(test: result.TestCase) -> list[str]:
    """What the log has of a test outside of its keywords."""
    return [each.message for each in test.body if isinstance(each, result.Message)]


def test_each_test_that_fails_has_the_report_and_a_link_to_the_page(tests: Tests, tmp_path: Path) -> None:
    found = tests("align3")
    assert attached(found["Comes Up"]) == []
    (text,) = attached(found["Is <b>Good & More"])
    link = text.partition('href="')[2].partition('"')[0]
    page = tmp_path / "out" / unquote(link)
    assert page.name == "Suite.Is_b_Good_More.html"
    assert "vring.align-not-power-of-two" in page.read_text(encoding="utf-8")
    assert "<pre>RPTUN is up, with errors: 1 error" in text
    assert "Consoles\n      0.017 ms  remote | rptwin remote: Cortex-M4 is up" in text
    assert len(attached(found["Has No Findings"])) == 1


def test_without_a_board_there_is_nothing_to_attach(tests: Tests, tmp_path: Path) -> None:
    found = tests("demo")
    assert not found["Stops"].passed
    assert [attached(each) for each in found.values()] == [[], [], [], []]
    assert not (tmp_path / "out" / "rptwin").exists()


def test_a_library_can_be_told_to_attach_nothing(tests: Tests, tmp_path: Path) -> None:
    found = tests("align3", "    html=False")
    assert not found["Has No Findings"].passed
    assert attached(found["Has No Findings"]) == []
    assert not (tmp_path / "out" / "rptwin").exists()
