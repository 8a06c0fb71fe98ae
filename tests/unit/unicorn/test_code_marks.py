"""Instructions that the engine must know before they run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn import code as code_module
from orchestrator.engines.unicorn.binding import CoreState
from orchestrator.engines.unicorn.code import PAGE, CodeMarks, Hint, hint_at


@pytest.mark.parametrize(
    ("code", "hint", "size"),
    [
        ("10bf", Hint.YIELD, 2),
        ("20bf", Hint.WFE, 2),
        ("30bf", Hint.WFI, 2),
        ("40bf", Hint.SEV, 2),
        ("aff30280", Hint.WFE, 4),
        ("aff30380", Hint.WFI, 4),
        ("aff30480", Hint.SEV, 4),
        ("00bf", None, 2),
        ("aff30080", None, 4),
    ],
)
def test_hints_are_known_in_both_encodings(code, hint, size):
    """DDI0403E A7.7.259 ff."""
    assert hint_at(bytes.fromhex(code)) == (hint, size)


class Marks:
    """The marks of one core, read as the native hook reads them."""

    def __init__(self) -> None:
        self.state = CoreState()
        self.marks = CodeMarks(self.state)

    def stops(self, page: int) -> set[int]:
        return self._offsets(page, "stop")

    def exclusives(self, page: int) -> set[int]:
        return self._offsets(page, "exclusive")

    def _offsets(self, page: int, kind: str) -> set[int]:
        mark = self.marks._words[page]
        if mark < 2:
            return set()
        bits = getattr(self.marks._bits[mark - 2], kind)
        return {2 * (8 * index + bit) for index in range(64) for bit in range(8) if bits[index] >> bit & 1}


def page_with(*code: tuple[int, str]) -> bytes:
    page = bytearray(b"\x00\xbf" * (PAGE // 2 + 1))
    for offset, text in code:
        page[offset : offset + len(text) // 2] = bytes.fromhex(text)
    return bytes(page[: PAGE + 2])


def test_hints_and_load_exclusives_are_marked_where_they_stand():
    it = Marks()
    it.marks.mark(
        3, page_with((0, "30bf"), (1022, "20bf"), (512, "50e8000f"), (40, "d0e84f1f")), stop_floating_point=False
    )
    assert it.stops(3) == {0, 1022}
    assert it.exclusives(3) == {40, 512}


def test_a_wide_instruction_across_the_border_of_pages_is_marked():
    it = Marks()
    it.marks.mark(3, page_with((1022, "aff30380")), stop_floating_point=False)
    assert it.stops(3) == {1022}


@pytest.mark.parametrize(
    "code",
    ["30ee000a", "b7ee000a", "90ed000a", "80ed000b", "10ee100a", "f1ee10fa", "2ded108b", "feee600a", "00fe000a"],
)
def test_floating_point_is_marked_while_the_unit_is_off(code):
    it = Marks()
    it.marks.mark(3, page_with((8, code)), stop_floating_point=True)
    assert it.stops(3) == {8}
    it.marks.forget()
    it.marks.mark(3, page_with((8, code)), stop_floating_point=False)
    assert it.stops(3) == set()


@pytest.mark.parametrize("code", ["50f8041b", "40f20000", "dff80000", "fff7fefe", "03ee100f", "c0e80012"])
def test_other_wide_instructions_are_not_marked(code):
    it = Marks()
    it.marks.mark(3, page_with((8, code)), stop_floating_point=True)
    assert it.stops(3) == it.exclusives(3) == set()


def test_forgotten_pages_are_looked_at_again():
    it = Marks()
    it.marks.mark(3, page_with((0, "30bf")), stop_floating_point=False)
    it.marks.mark(4, page_with(), stop_floating_point=False)
    assert (it.marks._words[3], it.marks._words[4]) == (2, 1)
    it.marks.forget()
    assert (it.marks._words[3], it.marks._words[4]) == (0, 0)


def test_more_pages_than_there_are_marks_for_are_looked_at_again(monkeypatch):
    monkeypatch.setattr(code_module, "_MARKED_PAGES", 4)
    it = Marks()
    page = page_with((0, "30bf"))
    for number in range(5):
        it.marks.mark(number, page, stop_floating_point=False)
    assert it.marks._words[0] == 0
    assert it.stops(4) == {0}


@given(st.binary(min_size=0, max_size=PAGE + 2))
def test_any_bytes_can_be_marked(data):
    """Each mark is on a halfword that looks like such an instruction, and none is missed."""
    it = Marks()
    it.marks.mark(0, data, stop_floating_point=False)
    expected = set()
    for offset in range(0, min(PAGE, len(data) & ~1), 2):
        if hint_at(data[offset : offset + 4].ljust(4, b"\0"))[0] is not None:
            expected.add(offset)
    assert it.stops(0) == expected
