"""``--svd``: registers and fields by name in every report on a core that polls one for ever."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from bench import Piece, make_elf

SR = 0x5200_5008  # QUADSPI's status register (RM0399, 24.5.3), which the platform does not model
SVD = """<device><size>32</size><peripherals><peripheral><name>QUADSPI</name><baseAddress>0x52005000</baseAddress>
<registers><register><name>SR</name><addressOffset>8</addressOffset><fields>
<field><name>BUSY</name><bitOffset>5</bitOffset><bitWidth>1</bitWidth></field></fields></register></registers>
</peripheral></peripherals></device>"""
FLASH = 0x0800_0000


@pytest.fixture
def polling(tmp_path: Path) -> Path:
    """Main reads the register for ever."""
    code = struct.pack("<4HI", 0x4801, 0x6801, 0xE7FD, 0xBF00, SR)  # ldr r0, [pc, #4]; ldr r1, [r0]; b .-2
    vectors = struct.pack("<II", 0x2000_1000, FLASH + 0x41)
    image = make_elf(
        "main.elf", [Piece(FLASH, vectors, section=".isr_vector"), Piece(FLASH + 0x40, code, section=".text")]
    )
    (tmp_path / "main.elf").write_bytes(image.data)
    (tmp_path / "chip.svd").write_text(SVD)
    return tmp_path


def test_a_register_has_its_name_wherever_a_report_has_its_address(polling: Path, pair, rptwin) -> None:
    report = polling / "out.json"
    arguments = ("--timeout", "10 ms", "--json", report, polling / "main.elf", pair("demo").remote)
    without = rptwin("run", "-v", *arguments)
    assert "QUADSPI.SR" not in without.stdout + without.stderr
    result = rptwin("run", "-v", "--svd", polling / "chip.svd", *arguments)
    assert result.exit_code == 1
    verdict = json.loads(report.read_text())["verdict"]
    (finding,) = (each for each in verdict["findings"] if each["rule"] == "core.polling")
    assert finding["expected"] == "QUADSPI.SR to change"
    assert finding["detail"][0].startswith("reads QUADSPI at 0x52005008 (QUADSPI.SR) and sees 0x0")
    assert verdict["cores"]["main"]["waits_for"] == finding["detail"]
    assert any("0x52005008 (QUADSPI.SR)" in each["what"] for each in verdict["unmodelled"])
    assert "0x52005008 (QUADSPI.SR)" in result.stderr  # the events
    assert "0x52005008 (QUADSPI.SR)" in result.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "not XML"), ("<a/>", "not a CMSIS-SVD file"), (None, "cannot be read"), ("<!DOCTYPE a>", "document type")],
)
def test_a_file_that_is_no_svd_is_one_line(polling: Path, pair, rptwin, text: str | None, says: str) -> None:
    svd = polling / "chip.svd"
    svd.unlink() if text is None else svd.write_text(text)
    result = rptwin("run", "--svd", svd, polling / "main.elf", pair("demo").remote)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{svd}" in result.stderr
    assert says in result.stderr
