"""What Renode's log says, by what Renode 1.16.1 said of a small program: ``data/log.tsv`` (source, core, PC, text)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.renode.log import Abort, Access, Entry, LogLine, Message, parse

CORE = "cpu_a"


def recorded() -> list[LogLine]:
    rows = (Path(__file__).parent / "data" / "log.tsv").read_text(encoding="utf-8").splitlines()
    return [LogLine(source, text, core, int(pc, 16)) for source, core, pc, text in (row.split("\t") for row in rows)]


RECORDED = recorded()


def access(pc: int, peripheral: str, place: tuple[int | None, int | None], size: int, *, value: int | None) -> Access:
    """``what`` is the text without its place; who asks compares it apart."""
    return Access(CORE, pc, peripheral, *place, size, value is not None, value, "")


SAYS: list[Entry | None] = [
    access(0x80000E8, "FMC", (0x3000_0000, None), 4, value=None),
    access(0x80000EA, "FMC", (0x3000_0004, None), 2, value=0x1234),
    access(0x80000EC, "FMC", (0x3000_0002, None), 1, value=None),
    access(0x80000F8, "PULLER", (0x5000_0000, None), 4, value=None),
    access(0x80000FA, "PULLER", (0x5000_0000, None), 4, value=0x55),
    access(0x80000FC, "puller", (None, 0x40), 4, value=None),
    Access(CORE, 0x80000FE, "puller", None, 0x44, 4, True, None, ""),
    access(0x800010A, "nvic_a", (None, 0xF60), 4, value=7),
    access(0x8000110, "nvic_a", (None, 0xF5C), 4, value=7),
    access(0x8000116, "nvic_a", (None, 0xE10), 4, value=None),
    None,  # the instruction cache
    access(0x800012A, "nvic_a", (None, 0xF50), 4, value=7),
    access(0x800012E, "usart", (None, 0x40), 4, value=7),
    access(0x8000130, "usart", (None, 0x40), 4, value=None),
    None,  # bits of a register that is there
    Abort(CORE, 0x7000_0000, "Trying to execute code outside RAM or ROM at 0x70000000."),
]


@pytest.mark.parametrize(
    ("line", "entry"), list(zip(RECORDED, SAYS, strict=True)), ids=[line.text[:40] for line in RECORDED]
)
def test_a_line_says_what_it_says(line: LogLine, entry: Entry | None) -> None:
    said = parse(line)
    if isinstance(said, Access) and isinstance(entry, Access):
        assert said.what in line.text
        assert said == Access(*(getattr(entry, name) for name in Access.__slots__[:-1]), said.what)
    else:
        assert said == entry


def test_of_tags_one_inside_the_other_the_innermost_has_the_name() -> None:
    line = RECORDED[0]
    said = parse(LogLine(line.source, line.text.replace("'FMC'", "'FMC->BANK1'"), line.core, line.pc))
    assert isinstance(said, Access)
    assert said.peripheral == "BANK1"


def test_a_script_says_how_wide_an_access_was() -> None:
    said = parse(LogLine("hsem", "unmodelled read of 2 bytes at 0x10", CORE, 0x0800_0000))
    assert said == Access(CORE, 0x0800_0000, "hsem", None, 0x10, 2, False, None, "unmodelled read of 2 bytes at 0x10")


def test_anything_else_is_a_message() -> None:
    assert parse(LogLine("rcc", "a clock that is off")) == Message("rcc", "a clock that is off")


@given(st.text(max_size=120))
def test_no_line_is_too_strange(text: str) -> None:
    parse(LogLine("sysbus", text))
    parse(LogLine("sysbus", f"[cpu_a: 0x80000E8] (tag: '{text}"))
