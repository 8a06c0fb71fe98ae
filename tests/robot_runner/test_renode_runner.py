"""Suites in Renode's own runner, on a build of Renode: exported boards, and the library for any machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner
from robot import api

from orchestrator.base.errors import EngineError
from orchestrator.cli import main
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.renode.installed import Kind
from orchestrator.platform.windows import WINDOWS

pytestmark = pytest.mark.renode

HERE = Path(__file__).parent
RUN_TIMEOUT_S = 1800


class Pair(Protocol):
    main: Path
    remote: Path


@pytest.fixture(scope="session")
def runner() -> Path:
    """``run_tests.py`` of the Renode that is found."""
    try:
        renode = discover().renode
    except EngineError as missing:
        pytest.skip(f"no Renode: {missing.what}")
    if renode.kind is not Kind.BUILD:
        pytest.skip("no Renode: its own runner is looked for in a build")
    lacking = [name for name in ("psutil", "yaml") if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"no Renode: its runner needs {' and '.join(lacking)} (pip install --group renode-runner)")
    return renode.path / "tests" / "run_tests.py"


def run(runner: Path, folder: Path, suite: Path, **variables: object) -> dict[str, str]:
    """Status and message of each test of a suite."""
    folder.mkdir()
    given = {"CREATE_SNAPSHOT_ON_FAIL": False, **variables}
    options = [part for name, value in given.items() for part in ("--variable", f"{name}:{value}")]
    done = subprocess.run(
        [sys.executable, "-u", str(runner), "-r", str(folder), *options, str(suite)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    report = folder / "robot_output.xml"
    assert report.exists(), done.stdout + done.stderr
    tests = api.ExecutionResult(str(report)).suite.all_tests
    return {test.name: f"{test.status} {test.message}".strip() for test in tests}


def exported(platform: str, folder: Path) -> Path:
    assert CliRunner().invoke(main, ["export-renode", platform, "-o", str(folder)]).exit_code == 0
    return folder


@pytest.mark.parametrize("platform", ["stm32h745", "nrf5340", "mps2_an521"])
def test_an_exported_suite_passes_as_it_is(
    runner: Path, firmware: Callable[..., Pair], tmp_path: Path, platform: str
) -> None:
    pair = firmware("demo", platform)
    board = exported(platform, tmp_path / "board")
    seen = run(
        runner,
        tmp_path / "results",
        board / f"{platform}.robot",
        MAIN=pair.main,
        REMOTE=pair.remote,
        MAIN_SAYS="10 pings: 10 good, 0 bad, 0 lost",
        REMOTE_SAYS="driver ok, vrings at",
    )
    assert seen == dict.fromkeys(
        ("Every Core Runs Its Firmware", "Consoles Say What Is Awaited", "RPTUN Comes Up"), "PASS"
    )


def test_the_library_judges_a_machine_of_which_it_knows_nothing(
    runner: Path, firmware: Callable[..., Pair], tmp_path: Path
) -> None:
    pairs = [firmware(name) for name in FIRMWARE]
    board = exported("stm32h745", tmp_path / "board")
    variables = {"FIRMWARE": pairs[0].main.parents[1], "EXPORTED": board}
    seen = run(runner, tmp_path / "results", HERE / "in_renode.robot", **variables)
    assert len(seen) == 4
    assert set(seen.values()) == {"PASS"}, seen


FIRMWARE = ("demo", "two-vdevs", "align3", "past-carveout", "no-driver-ok", "crash-remote", "lockup")


def test_the_uart_of_the_nrf5340_has_both_register_sets(runner: Path, tmp_path: Path) -> None:
    board = exported("nrf5340", tmp_path / "board")
    seen = run(runner, tmp_path / "results", HERE / "nrf5340_uart.robot", EXPORTED=board)
    assert len(seen) == 3
    assert set(seen.values()) == {"PASS"}, seen


# Renode's IronPython: the size of each type whose size does not depend on how it is made.
SIZES = """
import clr
from System import AppDomain
from System.Runtime.CompilerServices import RuntimeHelpers
from Antmicro.Renode.Peripherals import IKnownSize

PREFIX = 'Antmicro.Renode.Peripherals.'
known = clr.GetClrType(IKnownSize)
lines = []
for assembly in AppDomain.CurrentDomain.GetAssemblies():
    if not assembly.FullName.startswith(('Infrastructure', 'Emulator', 'Renode', 'cores', 'peripherals')):
        continue
    for each in assembly.GetTypes():
        if each.IsAbstract or each.ContainsGenericParameters or not known.IsAssignableFrom(each):
            continue
        try:
            size = each.GetProperty('Size').GetValue(RuntimeHelpers.GetUninitializedObject(each), None)
        except Exception:
            continue
        if size and each.FullName.startswith(PREFIX):
            lines.append('%s %d' % (each.FullName[len(PREFIX):], size))
found = open('{found}', 'w')
found.write(chr(10).join(lines))
found.close()
"""


def test_windows_are_as_large_as_the_models_of_the_renode_that_is_found(runner: Path, tmp_path: Path) -> None:
    script, found, suite = (tmp_path / name for name in ("sizes.py", "sizes.txt", "sizes.robot"))
    script.write_text(SIZES.replace("{found}", str(found)))
    suite.write_text(f"*** Test Cases ***\nSizes\n    Execute Command    include @{script}\n")
    assert run(runner, tmp_path / "results", suite) == {"Sizes": "PASS"}
    sizes = {name: int(size) for name, size in (line.split() for line in found.read_text().splitlines())}
    assert len(sizes) > len(WINDOWS) * 0.9
    assert {name: WINDOWS[name] for name in sizes if name in WINDOWS} == {
        name: size for name, size in sizes.items() if name in WINDOWS
    }
