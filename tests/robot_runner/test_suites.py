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

from orchestrator.base.errors import EngineError
from orchestrator.config import DEFAULT_PLATFORM
from orchestrator.engines.renode.discovery import discover

ROOT = Path(__file__).resolve().parents[2]
# Workers side by side do not write into each other's reports.
OUTPUT = ROOT / "robot" / "output" / os.environ.get("PYTEST_XDIST_WORKER", "")


SUITES = sorted(path.stem for path in (ROOT / "robot").glob("*.robot"))


def cases() -> Iterator[object]:
    for suite in SUITES:
        for test in api.TestSuiteBuilder().build(ROOT / "robot" / f"{suite}.robot").tests:
            yield pytest.param(suite, test.name, id=f"{suite}: {test.name}")


# Tests of what an engine has not, or a chip: a mailbox that can be told which channels interrupt, a data cache.
LACKING = {
    "renode": ("snapshot",),
    "qemu": ("snapshot",),
    "mps2_an521": ("channel-enable", "data-cache"),
    "nrf5340": ("data-cache",),
}


@functools.cache
def outcomes(suite: str, engine: str = "unicorn", platform: str = DEFAULT_PLATFORM) -> dict[str, tuple[str, str]]:
    """Status and message of each test of a suite."""
    folder = OUTPUT / engine / platform / suite
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--variable", f"ENGINE:{engine}", "--variable", f"PLATFORM:{platform}", "--outputdir", str(folder)]
    for tag in (*LACKING.get(engine, ()), *LACKING.get(platform, ())):
        options += ["--exclude", tag]
    command = [sys.executable, "-m", "robot", *options, str(ROOT / "robot" / f"{suite}.robot")]
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
        log = OUTPUT / "unicorn" / DEFAULT_PLATFORM / suite / "log.html"
        pytest.fail(f"{message}\n\nlog: {log.relative_to(ROOT)}", pytrace=False)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("engine", ["unicorn-remote", pytest.param("renode", marks=pytest.mark.renode)])
def test_a_suite_passes_on_another_engine_too(engine: str, suite: str) -> None:
    if engine == "renode":
        try:
            discover()
        except EngineError as missing:
            pytest.skip(f"no Renode: {missing.what}")
    assert failed(outcomes(suite, engine)) == {}


def elsewhere() -> Iterator[object]:
    """Engine, platform and suite."""
    qemu = pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
    for suite in SUITES:
        yield "unicorn", "nrf5340", suite
        yield "unicorn-remote", "nrf5340", suite
        yield "unicorn", "mps2_an521", suite
        yield pytest.param("qemu", "mps2_an521", suite, marks=qemu)


@pytest.mark.parametrize(("engine", "platform", "suite"), list(elsewhere()))
def test_a_suite_passes_on_another_platform_with_nothing_but_its_name_changed(
    engine: str, platform: str, suite: str
) -> None:
    seen = outcomes(suite, engine, platform)
    assert seen
    assert failed(seen) == {}


def failed(seen: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name: message for name, (status, message) in seen.items() if status == "FAIL"}
