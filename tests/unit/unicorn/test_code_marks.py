"""Instructions that the engine must know before they run."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.unicorn.cpu import code_marks as code_module
from orchestrator.engines.unicorn.cpu.code_marks import PAGE, CodeMarks, Hint, hint_at
from orchestrator.engines.unicorn.native.abi import CoreState


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
        self._pages: list[object] = []

    def mark(self, page: int, data: bytes) -> None:
        """A page of these bytes; what they have beyond a page is behind it."""
        code = ctypes.create_string_buffer(data[:PAGE].ljust(PAGE, b"\0"), PAGE)
        self._pages.append(code)
        self.marks.mark(page, ctypes.addressof(code), int.from_bytes(data[PAGE : PAGE + 2], "little"))

    def looks(self, page: int, kind: str = "look") -> set[int]:
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
    it.mark(3, page_with((0, "30bf"), (1022, "20bf"), (512, "50e8000f"), (40, "d0e84f1f")))
    assert it.looks(3) == {0, 40, 512, 1022}


def test_a_wide_instruction_across_the_border_of_pages_is_marked():
    it = Marks()
    it.mark(3, page_with((1022, "aff30380")))
    assert it.looks(3) == {1022}


@pytest.mark.parametrize(
    "code",
    ["30ee000a", "b7ee000a", "9ded000a", "8ded000b", "10ee100a", "f1ee10fa", "2ded108b", "feee600a", "00fe000a"],
)
def test_floating_point_is_marked_apart(code):
    it = Marks()
    it.mark(3, page_with((8, code)))
    assert it.looks(3, "look_fp") == {8}
    assert it.looks(3) == set()


@pytest.mark.parametrize(
    "code", ["0ec8", "a1e80c00", "31e90c00", "d1e90023", "e1e80123", "91ed000a", "a1ec020a", "80f30888", "80f30b88"]
)
def test_what_needs_an_aligned_base_or_writes_a_stack_pointer_is_marked(code):
    """DDI0403E A3.2.1; LDM, STM, LDRD, STRD, VLDR, VSTM, MSR of PSP and PSPLIM."""
    it = Marks()
    it.mark(3, page_with((8, code)))
    assert it.looks(3) == {8}


@pytest.mark.parametrize("code", ["70b4", "2de9f041", "cde90023", "dded000a", "80f31088", "b0fbf1f0", "0868"])
def test_what_always_is_aligned_or_does_not_trap_is_not_marked(code):
    it = Marks()
    it.mark(3, page_with((8, code)))
    assert it.looks(3) == set()


@pytest.mark.parametrize(
    ("code", "traps"), [("b0fbf1f0", 1), ("90fbf1f0", 1), ("0868", 2), ("50f8041b", 2), ("4888", 2)]
)
def test_what_a_trap_concerns_is_marked_while_it_is_on(code, traps):
    it = Marks()
    it.state.traps = traps
    it.mark(3, page_with((8, code)))
    assert it.looks(3) == {8}
    it.marks.forget()
    it.state.traps = 3 & ~traps
    it.mark(3, page_with((8, code)))
    assert it.looks(3) == set()


@pytest.mark.parametrize("code", ["50f8041b", "40f20000", "dff80000", "fff7fefe", "03ee100f"])
def test_other_wide_instructions_are_not_marked(code):
    it = Marks()
    it.mark(3, page_with((8, code)))
    assert it.looks(3, "look_fp") == set()


def test_forgotten_pages_are_looked_at_again():
    it = Marks()
    it.mark(3, page_with((0, "30bf")))
    it.mark(4, page_with())
    assert (it.marks._words[3], it.marks._words[4]) == (2, 1)
    it.marks.forget()
    assert (it.marks._words[3], it.marks._words[4]) == (0, 0)


def test_more_pages_than_there_are_marks_for_are_looked_at_again(monkeypatch):
    monkeypatch.setattr(code_module, "_MARKED_PAGES", 4)
    it = Marks()
    for number in range(5):
        it.mark(number, page_with((0, "30bf")))
    assert it.marks._words[0] == 0
    assert it.looks(4) == {0}


@given(st.binary(min_size=0, max_size=PAGE + 2))
def test_any_bytes_can_be_marked(data):
    """No hint is missed, and what is marked for all code is marked for floating-point code too."""
    it = Marks()
    it.mark(0, data)
    hints = {
        offset
        for offset in range(0, min(PAGE, len(data) & ~1), 2)
        if hint_at(data[offset : offset + 4].ljust(4, b"\0"))[0] is not None
    }
    assert hints <= it.looks(0) <= it.looks(0, "look_fp")
