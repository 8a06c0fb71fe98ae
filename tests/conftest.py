"""What every test may use: skips that CI refuses, the firmware pairs, and the counts at the end."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.json_schema import report_schema, violations

from orchestrator.config import DEFAULT_PLATFORM
from orchestrator.report import files as report_files

if TYPE_CHECKING:
    from support.golden_texts import GoldenTexts

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("unit", "integration", "robot_runner")
OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
ALWAYS_SHOWN = ("passed", "failed", "skipped")

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def every_report_is_as_its_schema_says() -> Iterator[None]:
    """Whatever JSON a test has rptwin write in this process is held against the schema that comes with it."""
    write, schema = report_files.write_report, report_schema()

    def checked(path: str, kind: str, text: str) -> None:
        if kind == "JSON":
            found = list(violations(json.loads(text), schema))
            assert not found, f"{path}: {found[:3]}"
        write(path, kind, text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_files, "write_report", checked)
        yield


@dataclass(frozen=True, slots=True)
class Pair:
    """The two images of one firmware variant."""

    main: Path
    remote: Path


@pytest.fixture(scope="session")
def firmware() -> Callable[..., Pair]:
    """Builds a variant of ``firmware/`` for a platform and gives its images; each once a session."""

    @functools.cache
    def build(variant: str, platform: str = DEFAULT_PLATFORM) -> Pair:
        folder = ROOT / "firmware" / "build"
        folder.mkdir(exist_ok=True)
        with (folder / ".lock").open("w") as lock:  # test processes side by side share the folder
            fcntl.flock(lock, fcntl.LOCK_EX)
            command = ["make", "-s", "-C", str(ROOT / "firmware"), f"PYTHON={sys.executable}", f"BOARD={platform}"]
            command.append(variant)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        images = folder / platform / variant
        return Pair(images / "main.elf", images / "remote.elf")

    return build


@pytest.fixture(scope="session")
def patched(firmware: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Pair]:
    """``patched(name, variant, platform)``: a variant of a copy of ``firmware/`` with ``faults/NAME.patch`` in it.

    What the patch leaves alone is not compiled again.
    """

    @functools.cache
    def build(name: str, variant: str = "demo", platform: str = DEFAULT_PLATFORM) -> Pair:
        built = firmware(variant, platform)
        top = tmp_path_factory.mktemp(name.replace(".", "-"))
        copy = top / "firmware"
        shutil.copytree(ROOT / "firmware", copy, ignore=shutil.ignore_patterns("build"))
        shutil.copytree(built.main.parents[1], copy / "build" / platform)
        patch = ROOT / "tests" / "integration" / "faults" / f"{name}.patch"
        for command in (
            ["git", "apply", "-p1", str(patch)],
            ["make", "-s", "-C", str(copy), f"PYTHON={sys.executable}", f"BOARD={platform}", variant],
        ):
            # Outside any repository, or git would look for the files in this one.
            environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(top.parent)}
            done = subprocess.run(command, cwd=top, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        images = copy / "build" / platform / variant
        return Pair(images / "main.elf", images / "remote.elf")

    return build


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden", action="store_true", help="write tests/golden/said anew instead of comparing (-n0)"
    )


@pytest.fixture(scope="session")
def golden_texts(pytestconfig: pytest.Config) -> Callable[[str], GoldenTexts]:
    """``golden_texts(name)``: what was said of each case of a test, to compare with."""
    from support.golden_texts import GoldenTexts  # noqa: PLC0415  # test_skips.py uses this file where there is no support

    return functools.partial(GoldenTexts, writes=bool(pytestconfig.getoption("--write-golden")))


def in_ci() -> bool:
    return os.environ.get("CI") == "true"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_command"):
        name, package = marker.args
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}: sudo apt-get install {package}")


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI a test that did not run has failed: what it lacks is for ``.ci/run`` to install."""
    if in_ci() and report.skipped and not hasattr(report, "wasxfail") and "renode" not in report.keywords:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI skips nothing: .ci/run installs what the tests need"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    if not hasattr(report, "keywords"):
        report.keywords = {}
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each kind of test, every count in it."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            parts = Path(getattr(report, "nodeid", "").split("::")[0]).parts
            if len(parts) > 1 and parts[1] in counts:
                counts[parts[1]][outcome] += 1
    terminalreporter.section("counts")
    for kind, count in counts.items():
        shown = ", ".join(f"{count[each]} {each}" for each in OUTCOMES if count[each] or each in ALWAYS_SHOWN)
        terminalreporter.line(f"{kind.removesuffix('_runner')}: {shown}")
    without = [each for each in terminalreporter.stats.get("skipped", []) if "renode" in each.keywords]
    if without:
        reason = str(without[0].longrepr[2]).removeprefix("Skipped: ")
        terminalreporter.line(f"renode: {len(without)} not run here: {reason}")
