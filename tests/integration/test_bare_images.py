"""The demo pair as objcopy makes raw binary and Intel HEX of it: the same verdict, and what was not looked at."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

FLASH = {"main": 0x0800_0000, "remote": 0x0810_0000}


@pytest.mark.parametrize("kind", ["binary", "ihex"])
def test_bytes_alone_boot_and_have_the_verdict_of_their_elf(pair, rptwin, tmp_path: Path, kind: str) -> None:
    given = []
    for role, image in (("main", pair("demo").main), ("remote", pair("demo").remote)):
        file = tmp_path / f"{role}.{'bin' if kind == 'binary' else 'hex'}"
        subprocess.run(["arm-none-eabi-objcopy", "-O", kind, str(image), str(file)], check=True)
        given.append(f"{file}@{FLASH[role]:#x}" if kind == "binary" else str(file))
    report = tmp_path / "out.json"
    result = rptwin("run", *given, "--json", report)
    assert result.exit_code == 0, result.stdout + result.stderr
    verdict = json.loads(report.read_text())["verdict"]
    assert verdict["headline"] == "RPTUN is up"
    notes = [each["what"] for each in verdict["notes"]]
    assert sum("bytes without symbols" in each for each in notes) == 2
    assert f"{Path(given[0]).name}: bytes without symbols" in result.stdout
    again = rptwin("run", *given, "--json", given[1].partition("@")[0])
    assert "would be written over a file" in again.stderr


def test_inspect_says_that_it_has_bytes_alone(pair, rptwin, tmp_path: Path) -> None:
    file = tmp_path / "remote.bin"
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", str(pair("demo").remote), str(file)], check=True)
    result = rptwin("inspect", "--role", "remote", f"{file}@0x08100000")
    assert "bytes without symbols, sections or debug information" in result.stdout
