"""Every test of ``robot/*.robot`` as a test of pytest: one count, one exit code, and the suites' own failure texts.

Each suite runs once in each worker that asks for it, as ``robot`` would run it; ``robot/output/`` keeps its log.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from robot import api

ROOT = Path(__file__).resolve().parents[2]
# Workers side by side do not write into each other's reports.
OUTPUT = ROOT / "robot" / "output" / os.environ.get("PYTEST_XDIST_WORKER", "")


def cases() -> Iterator[object]:
    for path in sorted((ROOT / "robot").glob("*.robot")):
        for test in api.TestSuiteBuilder().build(path).tests:
            yield pytest.param(path.stem, test.name, id=f"{path.stem}: {test.name}")


@functools.cache
def outcomes(suite: str) -> dict[str, tuple[str, str]]:
    """Status and message of each test of a suite."""
    folder = OUTPUT / suite
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "robot", "--outputdir", str(folder), str(ROOT / "robot" / f"{suite}.robot")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = folder / "output.xml"
    assert report.exists(), done.stdout + done.stderr
    return {test.name: (test.status, test.message) for test in api.ExecutionResult(str(report)).suite.all_tests}


@pytest.mark.parametrize(("suite", "name"), list(cases()))
def test_robot(suite: str, name: str) -> None:
    status, message = outcomes(suite)[name]
    if status == "SKIP":
        pytest.skip(message)
    if status != "PASS":
        pytest.fail(f"{message}\n\nlog: {(OUTPUT / suite / 'log.html').relative_to(ROOT)}", pytrace=False)
