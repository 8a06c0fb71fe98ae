"""Instructions that the engine must know before they run."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterable

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
    it.state.has_limits = 1
    it.mark(3, page_with((8, code)))
    assert it.looks(3) == {8}


def looked_at(first: int, seconds: Iterable[int], **state: int) -> set[int]:
    """Second halfwords with which this first one is marked, everything else being off."""
    it, found = Marks(), set()
    for name, value in state.items():
        setattr(it.state, name, value)
    each = sorted(seconds)
    for start in range(0, len(each), PAGE // 4):
        some = each[start : start + PAGE // 4]
        it.marks.forget()
        it.mark(3, b"".join(first.to_bytes(2, "little") + second.to_bytes(2, "little") for second in some))
        found |= {some[offset // 4] for offset in it.looks(3) if offset % 4 == 0 and offset // 4 < len(some)}
    return found


ALL = range(1 << 16)
# Behind 0xF000 to 0xF7FF, these are BLX to Arm code, which there is not: undefined, and looked at (DDI0403E A5.3.4).
NO_BLX = [second for second in ALL if second & 0xD000 != 0xC000]


@pytest.mark.parametrize("armv8", [0, 1])
def test_msr_is_known_by_all_of_its_bits(armv8):
    """DDI0403E B5.2.3: 11110 0 111 00 (0) Rn, 10 (0) 0 mask (0)(0) SYSm; SSAT, USAT, BFI have a 0 in bit 15."""
    registers = (8, 9, 10, 11) if armv8 else (8, 9)  # MSP, PSP, and on Armv8-M their limits
    msr = {0x8000 | mask << 10 | sysm for mask in range(4) for sysm in registers}
    assert looked_at(0xF381, NO_BLX, has_limits=armv8) == msr
    for other in (0xF301, 0xF321, 0xF341, 0xF361, 0xF391, 0xF3A1, 0xF3C1, 0xF3E1):
        assert looked_at(other, NO_BLX, has_limits=armv8) == set()


def test_a_wide_hint_is_known_by_all_of_its_bits():
    assert looked_at(0xF3AF, NO_BLX) == {0x8001, 0x8002, 0x8003, 0x8004}


def test_load_exclusives_and_no_load_acquires_are_known():
    """DDI0403E A7.7.53 and A7.7.54, DDI0553B C2.4: LDREXB, LDREXH, LDAEXB, LDAEXH, LDAEX."""
    kinds = {0xF4F, 0xF5F, 0xFCF, 0xFDF, 0xFEF}
    assert looked_at(0xE8D1, ALL) == {target << 12 | kind for target in range(16) for kind in kinds}


def test_divisions_are_known_by_all_of_their_bits():
    divisions = {0xF0F0 | target << 8 | divisor for target in range(16) for divisor in range(16)}
    assert looked_at(0xFB91, ALL, traps=1) == looked_at(0xFBB1, ALL, traps=1) == divisions
    assert looked_at(0xFBA1, ALL, traps=1) == set()


def test_undefined_encodings_of_the_floating_point_unit_are_no_accesses():
    """A5.3.18 and A6.5: P, U and W all clear, P equal to U with W; what is left are VLDM, VSTM, VLDR, VSTR."""
    word = {0x0A01}
    for p, u, w in itertools.product((0, 1), repeat=3):
        first = 0xEC01 | p << 8 | u << 7 | w << 5
        assert looked_at(first, word) == (word if (p != u if w else p or u) else set())


@pytest.mark.parametrize("first", ["ef00", "ff00", "ef40"])
def test_what_is_undefined_is_not_floating_point(first):
    """A5.3.18: op1 11xxxx."""
    it = Marks()
    it.mark(3, page_with((8, first[2:] + first[:2] + "000a")))
    assert it.looks(3, "look_fp") == set()


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
