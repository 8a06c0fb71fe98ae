import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.formats.unwind import UnwindRule, find_exidx_entry, unwind_entry

AT = 0x08100000
TABLE = 0x08100100


def image(words):
    return words.get


def compact(code):
    """An index entry that carries up to three unwinding instructions itself."""
    return unwind_entry(AT, image({AT: 0, AT + 4: 0x80000000 | int.from_bytes(code.ljust(3, b"\xb0"), "big")}))


def rule(register, offset, saved):
    return UnwindRule(register, offset, saved, ".ARM.exidx")


def test_each_instruction_moves_the_stack_pointer_and_restores_as_the_document_says():
    assert compact(b"\xb0") == rule(13, 0, {})
    assert compact(b"\x03") == rule(13, 16, {})
    assert compact(b"\xa8") == rule(13, 8, {4: -8, 14: -4})
    assert compact(b"\xab") == rule(13, 20, {4: -20, 5: -16, 6: -12, 7: -8, 14: -4})
    assert compact(b"\xa1") == rule(13, 8, {4: -8, 5: -4})
    assert compact(b"\x84\x08") == rule(13, 8, {7: -8, 14: -4})
    assert compact(b"\x88\x00") == rule(13, 4, {15: -4})
    assert compact(b"\xb1\x0f") == rule(13, 16, {0: -16, 1: -12, 2: -8, 3: -4})
    assert compact(b"\x97\x41\xa8") == rule(7, 0, {4: -8, 14: -4})
    assert compact(b"\xb2\x01") == rule(13, 0x208, {})
    assert compact(b"\xb2\x81\x01") == rule(13, 0x204 + (129 << 2), {})
    assert compact(b"\xd1\xa8") == rule(13, 24, {4: -8, 14: -4})
    assert compact(b"\xc9\x83") == rule(13, 32, {})
    assert compact(b"\xb9") == rule(13, 20, {})
    assert compact(b"\x00\x00\x00") == rule(13, 12, {})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"\x3f", rule(13, 0x100, {})),
        (b"\x40", rule(13, -4, {})),
        (b"\x7f", rule(13, -0x100, {})),
        (b"\x80\x01", rule(13, 4, {4: -4})),
        (b"\x8d\xff", rule(13, 44, {n: 4 * (n - 4) - 44 for n in range(4, 13)} | {14: -8, 15: -4})),
        (b"\x8f\xff", None),  # SP among them
        (b"\x90", rule(0, 0, {})),
        (b"\x9e", rule(14, 0, {})),
        (b"\x9f", None),
        (b"\xa0", rule(13, 4, {4: -4})),
        (b"\xaf", rule(13, 36, {n: 4 * (n - 4) - 36 for n in range(4, 12)} | {14: -4})),
        (b"\xb1\x01", rule(13, 4, {0: -4})),
        (b"\xb1\x10", None),
        (b"\xb2\x00", rule(13, 0x204, {})),
        (b"\xb2\x7f", rule(13, 0x204 + (127 << 2), {})),
        (b"\xb2\x80\x01", rule(13, 0x204 + (128 << 2), {})),
        (b"\xb3\x00", rule(13, 12, {})),
        (b"\xb3\x8f", rule(13, 132, {})),
        (b"\xb4", rule(13, 4, {})),
        (b"\xb5", None),
        (b"\xb7", None),
        (b"\xb8", rule(13, 12, {})),
        (b"\xbf", rule(13, 68, {})),
        (b"\xc7", None),
        (b"\xc8\x00", rule(13, 8, {})),
        (b"\xc9\x8f", rule(13, 128, {})),
        (b"\xca", None),
        (b"\xcf", None),
        (b"\xd0", rule(13, 8, {})),
        (b"\xd7", rule(13, 64, {})),
        (b"\xd8", None),
        # What a description that ends too soon lacks is zero.
        (b"\0\0\x84", rule(13, 12, {14: -4})),
        (b"\0\0\xb1", None),
        (b"\0\0\xb2", rule(13, 8 + 0x204, {})),
        (b"\0\0\xb3", rule(13, 8 + 12, {})),
        (b"\0\0\xc9", rule(13, 8 + 8, {})),
    ],
)
def test_the_first_and_the_last_of_each_kind_of_instruction_mean_what_the_document_says(code, expected):
    """EHABI32 10.3, table 4."""
    assert compact(code) == expected


def test_a_return_address_in_pc_goes_before_one_in_lr():
    assert compact(b"\x8c\x00").return_address_offset == -4
    assert compact(b"\xa8").return_address_offset == -4
    assert compact(b"\x00").return_address_offset is None


def test_what_cannot_be_unwound_or_is_unknown_gives_no_rule():
    assert compact(b"\x80\x00") is None  # refuse to unwind
    assert compact(b"\x9d") is None  # reserved: from SP itself
    assert compact(b"\x00\x97") is None  # the frame pointer too late to be a CFA
    assert compact(b"\xb1\x00") is None
    assert compact(b"\xc0") is None  # WMMX
    assert compact(b"\xff") is None
    assert unwind_entry(AT, image({AT: 0, AT + 4: 1})) is None
    assert unwind_entry(AT, image({})) is None


def test_longer_descriptions_stand_in_a_table_of_their_own():
    where = {AT + 4: TABLE - (AT + 4)}
    # Personality routine 1 with one more word, then a C++ routine with the same instructions.
    words = where | {TABLE: 0x81019741, TABLE + 4: 0x840DB0B0}
    expected = rule(7, 8, {4: -16, 6: -12, 7: -8, 14: -4})
    assert unwind_entry(AT, image(words)) == expected
    assert unwind_entry(AT, image(words | {TABLE: 0x82019741})) == expected  # routine 2: as routine 1
    words = where | {TABLE: 0x1234, TABLE + 4: 0x01974184, TABLE + 8: 0x0DB0B0B0}
    assert unwind_entry(AT, image(words)) == expected
    assert unwind_entry(AT, image(where | {TABLE: 0x81019741})) is None
    # A number ends with its fifth byte, whatever that says; what follows is the next instruction.
    words = where | {TABLE: 0x8102B280, TABLE + 4: 0x80808080, TABLE + 8: 0x00B0B0B0}
    assert unwind_entry(AT, image(words)) == rule(13, 0x204 + 4, {})
    assert unwind_entry(AT, image(where | {TABLE: 0x83000000})) is None


def test_the_entry_of_a_pc_is_the_last_that_starts_at_or_before_it():
    functions = [0x08100000, 0x08100020, 0x08100040]
    words = {TABLE + 8 * i: (start - (TABLE + 8 * i)) & 0x7FFFFFFF for i, start in enumerate(functions)}
    found = {
        pc: find_exidx_entry(pc, TABLE, 3, image(words)) for pc in (0x080FFFFE, 0x08100000, 0x0810003E, 0x08100900)
    }
    assert found == {0x080FFFFE: None, 0x08100000: TABLE, 0x0810003E: TABLE + 8, 0x08100900: TABLE + 16}
    assert find_exidx_entry(0x08100000, TABLE, 0, image(words)) is None
    assert find_exidx_entry(0x08100000, TABLE, 9, image(words)) is None  # the table is not there


@given(st.binary(min_size=4, max_size=1200), st.integers(0, 0xFFFFFFFF))
def test_any_table_ends_in_a_rule_or_in_none(data, first):
    def word(address):
        start = (address - TABLE) % len(data)
        return int.from_bytes(data[start : start + 4], "little")

    for start in (first, first & 0x7FFFFFFF, first | 0x81000000):
        found = unwind_entry(AT, lambda address, start=start: start if address == AT + 4 else word(address))
        assert found is None or found.source == ".ARM.exidx"
