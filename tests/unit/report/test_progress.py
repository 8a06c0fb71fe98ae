"""The steps of a bring-up of real firmware: each with its time, or with what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner

from orchestrator.cli import main


class Pair(Protocol):
    main: Path
    remote: Path


def milestones(*arguments: object) -> str:
    said = CliRunner().invoke(main, ["run", *map(str, arguments)], prog_name="rptwin").stdout
    (line,) = [each for each in said.splitlines() if each.startswith("Milestones")]
    return line


@pytest.mark.parametrize(
    ("variant", "missing"),
    [
        ("no-driver-ok", ["DRIVER_OK missing (vdev[0] at ACKNOWLEDGE|DRIVER)"]),
        ("no-copy", ["table missing (in main's view, in remote's view)"]),
        ("num6", ["vrings missing (vdev[0].vring[1])"]),
        ("two-vdevs", []),
        ("static", []),
    ],
)
def test_a_step_that_was_not_reached_says_what_is_missing(
    firmware: Callable[[str], Pair], variant: str, missing: list[str]
) -> None:
    pair = firmware(variant)
    line = milestones("--timeout", "100 ms", pair.main, pair.remote)
    assert all(each in line for each in missing), line
    assert ("missing" in line) == bool(missing)


def test_a_lone_remote_has_the_same_steps_under_the_host(firmware: Callable[[str], Pair]) -> None:
    line = milestones("--remote", firmware("demo").remote)
    assert re.match(r"Milestones \(ms\): boot \d", line)
    assert "DRIVER_OK" in line
