"""Names of registers out of CMSIS-SVD: what vendors write, what nobody should, and messages with names in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import SvdError
from orchestrator.formats.svd import load_svd, parse_svd

DEVICE = """<?xml version="1.0" encoding="utf-8"?>
<device schemaVersion="1.1"><name>CHIP</name><size>0x20</size><peripherals>
  <peripheral><name>RCC</name><baseAddress>0x58024400</baseAddress><registers>
    <register><name>CR</name><addressOffset>0x0</addressOffset><fields>
      <field><name>HSION</name><bitOffset>0</bitOffset><bitWidth>1</bitWidth></field>
      <field><name>HSIDIV</name><bitRange>[4:3]</bitRange></field>
      <field><name>PLLRDY%s</name><dim>3</dim><dimIncrement>2</dimIncrement><dimIndex>1-3</dimIndex>
        <lsb>25</lsb><msb>25</msb></field>
      <field><name>NOWHERE</name></field>
    </fields></register>
    <register><name>CSR</name><addressOffset>#1000</addressOffset><size>16</size></register>
    <register derivedFrom="CSR"><name>CSR2</name><addressOffset>12</addressOffset></register>
    <register><dim>3</dim><dimIncrement>4</dimIncrement><dimIndex>A,B,C</dimIndex><name>BANK_%s</name>
      <addressOffset>0x20</addressOffset></register>
    <cluster><dim>2</dim><dimIncrement>0x10</dimIncrement><name>CH[%s]</name><addressOffset>0x40</addressOffset>
      <register><name>CFG</name><addressOffset>4</addressOffset></register></cluster>
    <register><name>LOST</name></register>
  </registers></peripheral>
  <peripheral derivedFrom="RCC"><name>RCC2</name><baseAddress>0x58034400</baseAddress></peripheral>
  <peripheral><name>EMPTY</name><baseAddress>0x1000</baseAddress></peripheral>
</peripherals></device>"""
MAP = parse_svd(DEVICE.encode(), "chip.svd")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        (0x5802_4400, "RCC.CR"),
        (0x5802_4402, "RCC.CR+2"),
        (0x5802_4408, "RCC.CSR"),
        (0x5802_440A, None),
        (0x5802_440C, "RCC.CSR2"),
        (0x5802_4420, "RCC.BANK_A"),
        (0x5802_4428, "RCC.BANK_C"),
        (0x5802_4444, "RCC.CH0.CFG"),
        (0x5802_4454, "RCC.CH1.CFG"),
        (0x5803_4400, "RCC2.CR"),
        (0x1000, None),
    ],
)
def test_an_address_has_the_name_that_the_file_gives_it(address: int, name: str | None) -> None:
    assert MAP.name_at(address) == name


def test_fields_that_are_not_zero_are_named_by_any_way_of_placing_them() -> None:
    assert MAP.fields_of(0x5802_4400, 0x0A00_0011) == "HSION=1 HSIDIV=2 PLLRDY1=1 PLLRDY2=1"
    assert MAP.fields_of(0x5802_4400, 0) == ""
    assert MAP.fields_of(0x5802_4401, 1) == ""


def test_messages_get_names_behind_addresses_and_fields_behind_what_was_seen() -> None:
    assert MAP.named("cm4 writes rcc 0x58024400: x") == "cm4 writes rcc 0x58024400 (RCC.CR): x"
    seen = "reads rcc at 0x58024400 and sees 0x9 each time"
    assert MAP.named(seen) == "reads rcc at 0x58024400 (RCC.CR) and sees 0x9 (HSION=1 HSIDIV=1) each time"
    assert MAP.named("0x24000000, 0x580244001, x0x58024400y") == "0x24000000, 0x580244001, x0x58024400y"


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><device><peripherals>&j;</peripherals></device>"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not XML: found no element found"),
        ("<a>", "chip.svd:1: not XML"),
        ("<a/>", "not a CMSIS-SVD file: expected <device> with <peripherals>, found a"),
        ("<device/>", "not a CMSIS-SVD file"),
        (BOMB, "has a document type"),
        ('<!DOCTYPE d SYSTEM "file:///etc/passwd"><device/>', "has a document type"),
        ("<device>" + "<x>" * 40 + "</x>" * 40 + "</device>", "too large"),
        ('<?xml version="1.0" encoding="nonsense"?><device/>', "not XML"),
    ],
)
def test_what_is_no_svd_is_a_typed_error(text: str, says: str) -> None:
    with pytest.raises(SvdError) as caught:
        parse_svd(text.encode(), "chip.svd")
    assert says in str(caught.value)


def test_an_array_without_end_is_bounded() -> None:
    text = DEVICE.replace("<dim>3</dim><dimIncrement>4", "<dim>0xffffffff</dim><dimIncrement>4", 1)
    with pytest.raises(SvdError, match="too many registers"):
        parse_svd(text.encode(), "chip.svd")


@given(st.lists(st.tuples(st.integers(0, len(DEVICE) - 1), st.text(max_size=4)), max_size=6))
def test_a_spoilt_file_is_read_or_refused(edits: list[tuple[int, str]]) -> None:
    text = DEVICE
    for at, new in edits:
        text = text[:at] + new + text[at + len(new) :]
    try:
        names = parse_svd(text.encode("utf-8", "replace"), "chip.svd")
    except SvdError:
        return
    assert names.named("at 0x58024400 and sees 0xffffffff").startswith("at 0x58024400")


def test_a_file_that_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SvdError, match="cannot be read"):
            load_svd(path)
