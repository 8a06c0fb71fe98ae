"""The schema of the JSON report: it holds for what rptwin writes, and a report that is another is found out."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from support.json_schema import report_schema, violations

from orchestrator.board.ends import EndReason
from orchestrator.checks.finding import Severity, Stage
from orchestrator.formats.resource_entry import Profile
from orchestrator.report.json import SCHEMA

DEFS = report_schema()["$defs"]


@pytest.fixture
def report(firmware, tmp_path) -> dict[str, Any]:
    from click.testing import CliRunner  # noqa: PLC0415

    from orchestrator.cli import main  # noqa: PLC0415

    pair, file = firmware("demo"), tmp_path / "out.json"
    result = CliRunner().invoke(main, ["run", "--quiet", "--json", str(file), str(pair.main), str(pair.remote)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def spoilt(report: dict[str, Any], path: str, value: object) -> list[str]:
    """What is wrong once a key has another value; ``...``: none."""
    changed: Any = copy.deepcopy(report)
    part = changed
    *way, last = path.split("/")
    for key in way:
        part = part[int(key) if key.isdecimal() else key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return list(violations(changed, report_schema()))


def test_a_report_of_a_run_is_as_the_schema_says(report) -> None:
    assert list(violations(report, report_schema())) == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("schema", SCHEMA + 1, f"$.schema: {SCHEMA + 1} is none of [{SCHEMA}]"),
        ("exit_code", True, "is no integer"),
        ("verdict/up", "yes", "'yes' is no boolean"),
        ("verdict/time_ns", -1, "-1 is less than 0"),
        ("verdict/findings", ..., "$.verdict: no findings"),
        ("verdict/colour", "red", "colour is not in the schema"),
        ("verdict/cores/main/faults", None, "$.verdict.cores['main'].faults"),
        ("verdict/table/vdevs/0/vrings/0/da", "0x1", "$.verdict.table.vdevs[0].vrings[0].da"),
        ("end/reason", "bored", "$.end.reason"),
        ("consoles/main", 3, "$.consoles['main']"),
    ],
)
def test_a_report_that_is_another_is_found_out(report, path: str, value: object, says: str) -> None:
    assert any(says in each for each in spoilt(report, path, value)), spoilt(report, path, value)


def test_words_of_the_schema_are_those_of_the_code() -> None:
    finding = DEFS["finding"]["properties"]
    assert set(finding["severity"]["enum"]) == {each.value for each in Severity}
    assert set(finding["stage"]["enum"]) == {each.value for each in Stage}
    assert set(DEFS["end"]["properties"]["reason"]["enum"]) == {each.value for each in EndReason}
    assert set(DEFS["verdict"]["properties"]["profile"]["enum"]) == {each.value for each in Profile}
    assert DEFS["version"]["enum"] == [SCHEMA]


def test_every_definition_is_used_and_every_reference_leads_somewhere() -> None:
    text = json.dumps(report_schema())
    for name in DEFS:
        assert f'"#/$defs/{name}"' in text
    assert text.count('"$ref"') == sum(text.count(f'"#/$defs/{name}"') for name in DEFS)
