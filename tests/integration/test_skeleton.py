"""The skeleton of ``rptwin new-platform``: it boots, its mailbox is heard, it can be built and exported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from orchestrator.platform import load_platform

Rptwin = Callable[..., Result]

CONSOLES = {
    "main": "main: boots\nmain: the remote rang\nmain: the mailbox rings both ways\n",
    "remote": "remote: boots\nremote: main rang\n",
}


@pytest.fixture
def skeleton(rptwin: Rptwin, tmp_path: Path) -> Path:
    result = rptwin("new-platform", "chip")
    assert result.exit_code == 0, result.output
    return tmp_path / "chip"


def boot(rptwin: Rptwin, folder: Path, engine: str = "unicorn") -> dict[str, Any]:
    images = (folder / "smoke" / "main.elf", folder / "smoke" / "remote.elf")
    result = rptwin("run", "--platform", folder / "chip.repl", "--engine", engine, "--json", "run.json", *images)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(Path("run.json").read_text())
    return report


@pytest.mark.parametrize("engine", ["unicorn", "unicorn-remote"])
def test_the_smoke_pair_boots_and_each_core_hears_the_other(rptwin: Rptwin, skeleton: Path, engine: str) -> None:
    report = boot(rptwin, skeleton, engine)
    assert report["consoles"] == CONSOLES
    assert {each["severity"] for each in report["verdict"]["findings"]} == {"note"}


@pytest.mark.parametrize(
    "compiler",
    [
        f"PYTHON={sys.executable}",
        pytest.param("CC=arm-none-eabi-gcc", marks=pytest.mark.needs_command("arm-none-eabi-gcc", "gcc-arm-none-eabi")),
    ],
)
def test_its_owner_can_build_the_pair_anew(rptwin: Rptwin, skeleton: Path, compiler: str) -> None:
    subprocess.run(["make", "-s", "-B", "-C", skeleton / "smoke", compiler], check=True, timeout=120)
    boot(rptwin, skeleton)


def test_an_address_changed_on_one_side_only_is_found_by_the_run(rptwin: Rptwin, skeleton: Path) -> None:
    repl = skeleton / "chip.repl"
    repl.write_text(repl.read_text().replace("sysbus 0x40002000", "sysbus 0x40005000"))
    result = rptwin("run", "--platform", repl, skeleton / "smoke" / "main.elf", skeleton / "smoke" / "remote.elf")
    assert result.exit_code == 1, result.output
    assert "0x4000200c" in result.output


def test_a_uart_without_a_model_costs_the_console_and_not_the_verdict(rptwin: Rptwin, skeleton: Path) -> None:
    repl = skeleton / "chip.repl"
    repl.write_text(repl.read_text().replace("UART.CMSDK_APB_UART", "UART.PL011"))
    images = (skeleton / "smoke" / "main.elf", skeleton / "smoke" / "remote.elf")
    result = rptwin("run", "--platform", repl, *images)
    assert result.exit_code == 0, result.output
    assert "writes uart_main 0x40000000: no model of UART.PL011" in result.output
    assert "  main " not in result.output
    refused = rptwin("run", "--platform", repl, "--until", "main:boots", *images)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        "rptwin: error: console main: no model of this UART: found uart_main: UART.PL011; "
    )


def test_a_python_host_brings_the_lone_remote_up(rptwin: Rptwin, skeleton: Path) -> None:
    result = rptwin("run", "--platform", skeleton / "chip.repl", "--remote", skeleton / "smoke" / "remote.elf")
    assert "remote: main rang" in result.output
    # It answers the mailbox and works no queue, and the host has nobody to send to: that is said, and no error.
    assert "RPTUN came up, and nothing went through vdev[0]" in result.output
    assert result.exit_code == 0


def test_it_exports_to_plain_renode_as_the_same_platform(rptwin: Rptwin, skeleton: Path, tmp_path: Path) -> None:
    assert rptwin("export-renode", skeleton / "chip.repl", "-o", "renode").exit_code == 0
    ours, theirs = load_platform(skeleton / "chip.repl"), load_platform(tmp_path / "renode" / "chip.repl")
    assert [core.name for core in theirs.cores] == [core.name for core in ours.cores]
    assert {each.name for each in theirs.peripherals} >= {each.name for each in ours.peripherals}
