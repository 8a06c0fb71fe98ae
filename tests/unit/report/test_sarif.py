"""SARIF 2.1.0 of runs of the firmware, against what the standard demands of each object; and GitHub's commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from click.testing import CliRunner

from orchestrator.base.errors import ElfError
from orchestrator.cli import main as command
from orchestrator.report.sarif import error_as_sarif

ROOT = Path(__file__).resolve().parents[3]


class Pair(Protocol):
    main: Path
    remote: Path


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from objects(each)


def check(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What sections 3.13 to 3.30 of the standard say that must be there; the results."""
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert result["level"] in ("none", "note", "warning", "error")
        assert result["message"]["text"]
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in objects(result):
            if "startLine" in each:
                assert each["startLine"] >= 1
            if "uri" in each:
                assert re.fullmatch(r"[A-Za-z0-9_.~/:%-]+", each["uri"])
    (invocation,) = run["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    results: list[dict[str, Any]] = run["results"]
    return results


@pytest.fixture
def sarif(
    firmware: Callable[[str], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    def run(variant: str) -> dict[str, Any]:
        monkeypatch.chdir(ROOT)
        pair, file = firmware(variant), tmp_path / "x.sarif"
        CliRunner().invoke(command, ["run", "-q", "--sarif", str(file), str(pair.main), str(pair.remote)])
        document: dict[str, Any] = json.loads(file.read_text())
        return document

    return run


def test_a_fault_is_a_result_at_its_line_with_the_stack(sarif: Callable[[str], dict[str, Any]]) -> None:
    (result,) = check(sarif("crash-remote"))
    place = result["locations"][0]["physicalLocation"]
    assert (result["ruleId"], result["level"]) == ("core.fault", "error")
    assert place["artifactLocation"]["uri"] == "firmware/remote/main.c"
    assert "hence vdev.driver-ok-not-reached" in result["message"]["text"]
    called = [frame["location"]["message"]["text"].partition("+")[0] for frame in result["stacks"][0]["frames"]]
    assert called == ["main", "start"]


def test_what_has_no_line_is_at_the_image(sarif: Callable[[str], dict[str, Any]]) -> None:
    (result,) = check(sarif("leak"))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(".elf")


def test_a_good_pair_has_no_results(sarif: Callable[[str], dict[str, Any]]) -> None:
    document = sarif("demo")
    assert check(document) == []
    assert document["runs"][0]["invocations"] == [{"executionSuccessful": True, "exitCode": 0}]


def test_a_run_that_could_not_be_says_why() -> None:
    document = json.loads(error_as_sarif(ElfError("no such file", rule="x", where="main.elf")))
    assert check(document) == []
    (invocation,) = document["runs"][0]["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "main.elf: no such file"


def test_annotations_are_commands_of_githubs_with_file_and_line(
    firmware: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    pair = firmware("align3")
    arguments = ["run", "-q", "--annotations", "github", str(pair.main), str(pair.remote)]
    said = CliRunner().invoke(command, arguments).stdout
    (line,) = [each for each in said.splitlines() if each.startswith("::")]
    assert re.fullmatch(
        r"::error file=firmware/remote/table\.c,line=\d+,title=vring\.align-not-power-of-two::"
        r"vdev\[0\]\.vring\[1\]\.align: expected a power of two, found 3; .*",
        line,
    )
    good = firmware("demo")
    arguments[4:] = [str(good.main), str(good.remote)]
    assert "::" not in CliRunner().invoke(command, arguments).stdout
