"""Renode's log lines, as they were seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.renode.log import Abort, Access, Message, parse_line


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (
            "[ERROR] cpu_cm7: CPU abort [PC=0x70000000]: Trying to execute code outside RAM or ROM at 0x70000000.",
            Abort("cpu_cm7", 0x7000_0000, "Trying to execute code outside RAM or ROM at 0x70000000."),
        ),
        (
            "[WARNING] sysbus: [cpu_cm7: 0x8000152] ReadDoubleWord from non existing peripheral at 0x60000000.",
            Access(
                "cpu_cm7",
                0x0800_0152,
                "",
                0x6000_0000,
                None,
                4,
                None,
                "ReadDoubleWord from non existing peripheral at 0x60000000.",
                1,
            ),
        ),
        (
            "[WARNING] sysbus: [cpu_cm4: 0x8100152] WriteWord to non existing peripheral at 0x51008108, value 0x1. (7)",
            Access(
                "cpu_cm4",
                0x0810_0152,
                "",
                0x5100_8108,
                None,
                2,
                1,
                "WriteWord to non existing peripheral at 0x51008108, value 0x1.",
                7,
            ),
        ),
        (
            "[WARNING] nvic_cm7: Unhandled write to offset 0xF5C (DCacheInvalidateByMVAToPoCAddress), "
            "value 0x30040ED0.",
            Access(
                "",
                None,
                "nvic_cm7",
                None,
                0xF5C,
                4,
                0x3004_0ED0,
                "Unhandled write to offset 0xF5C (DCacheInvalidateByMVAToPoCAddress), value 0x30040ED0.",
                1,
            ),
        ),
        (
            "[WARNING] hsem: unmodelled read of 2 bytes at 0x10",
            Access("", None, "hsem", None, 0x10, 2, None, "unmodelled read of 2 bytes at 0x10", 1),
        ),
        ("[WARNING] rcc: a clock that is off", Message("WARNING", "rcc", "a clock that is off", 1)),
        ("[INFO] rcc: a clock that is off", None),
        ("no log line", None),
    ],
)
def test_a_line_says_what_it_says(line: str, entry: object) -> None:
    assert parse_line(line) == entry


@pytest.mark.parametrize("place", ["[cpu_cm7: 0x8000152] (tag: 'FMC') ", "(tag: 'FMC') [cpu_cm7: 0x8000152] "])
def test_a_tag_names_the_peripheral_wherever_it_stands(place: str) -> None:
    entry = parse_line(f"[WARNING] sysbus: {place}ReadByte from non existing peripheral at 0x60000000, returning 0x34.")
    assert isinstance(entry, Access)
    assert (entry.core, entry.peripheral, entry.size) == ("cpu_cm7", "FMC", 1)


@given(st.text(max_size=120))
def test_no_line_is_too_strange(text: str) -> None:
    parse_line(text)
    parse_line(f"[WARNING] sysbus: {text}")
