"""``.debug_frame``: the same rules as pyelftools reads from it, and none where it is broken."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.dwarf.callframe import FDE, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.formats.call_frames import CallFrames
from orchestrator.formats.elf import load_elf
from orchestrator.formats.unwind import UnwindRule

START, SIZE = 0x0800_0100, 0x80
DEF_CFA_SP = bytes((0x0C, 13, 0))
OFFSET_LR_4 = bytes((0x80 | 14, 1))  # with a data alignment factor of -4


def leb(value, *, signed=False):
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        if (value == 0 and not (signed and byte & 0x40)) or (signed and value == -1 and byte & 0x40):
            return bytes((*out, byte))
        out.append(byte | 0x80)


def entry(identity, content):
    content = content.ljust(-(-len(content) // 4) * 4, b"\0")  # DW_CFA_nop
    return struct.pack("<2I", 4 + len(content), identity) + content


def common(initial=DEF_CFA_SP, *, version=1, augmentation=b"", sizes=b""):
    factors = leb(2) + leb(-4, signed=True)
    return entry(0xFFFF_FFFF, bytes((version,)) + augmentation + b"\0" + sizes + factors + bytes((14,)) + initial)


def function(instructions, start=START, cie=0):
    return entry(cie, struct.pack("<2I", start, SIZE) + instructions)


def frames(*entries):
    return CallFrames(b"".join(entries), lambda address: address >= 0x0800_0000)


def rule(instructions, offset=0, **of_common):
    return frames(common(**of_common), function(instructions)).rule_at(START + offset)


def by_pyelftools(entry_, pc):
    rows = [row for row in entry_.get_decoded().table if row["pc"] <= pc]
    if not rows or rows[-1]["cfa"].expr is not None:
        return None
    rules = {register: each for register, each in rows[-1].items() if isinstance(register, int)}
    saved = {register: each.arg for register, each in rules.items() if each.type == "OFFSET"}
    outermost = 14 in rules and rules[14].type == "UNDEFINED"
    return UnwindRule(rows[-1]["cfa"].reg, rows[-1]["cfa"].offset, saved, ".debug_frame", outermost)


registers = st.integers(0, 20)
offsets = st.integers(0, 0x4000)
signed = st.integers(-0x2000, 0x1FFF).map(lambda value: leb(value, signed=True))
blocks = st.binary(max_size=3).map(lambda block: leb(len(block)) + block)
one_instruction = st.one_of(
    st.integers(0x40, 0x4F).map(lambda opcode: bytes((opcode,))),
    st.builds(lambda register, offset: bytes((0x80 | register,)) + leb(offset), registers, offsets),
    registers.map(lambda register: bytes((0xC0 | register,))),
    st.builds(
        lambda form, count: bytes((2 + form,)) + count.to_bytes(1 << form, "little"),
        st.integers(0, 2),
        offsets.map(lambda n: n % 9),
    ),
    st.builds(
        lambda opcode, register, offset: bytes((opcode,)) + leb(register) + leb(offset),
        st.sampled_from((0x05, 0x09, 0x0C, 0x14)),
        registers,
        offsets,
    ),
    st.builds(
        lambda opcode, register, offset: bytes((opcode,)) + leb(register) + offset,
        st.sampled_from((0x11, 0x15)),
        registers,
        signed,
    ),
    st.builds(
        lambda opcode, register: bytes((opcode,)) + leb(register), st.sampled_from((0x06, 0x07, 0x08, 0x0D)), registers
    ),
    offsets.map(lambda offset: b"\x0e" + leb(offset)),
    signed.map(lambda offset: b"\x13" + offset),
    st.builds(
        lambda opcode, register, block: bytes((opcode,)) + leb(register) + block,
        st.sampled_from((0x10, 0x16)),
        registers,
        blocks,
    ),
    st.sampled_from((b"\0", b"\x2d")),
)
instructions = st.recursive(
    st.lists(one_instruction, max_size=12).map(b"".join),
    lambda inner: st.tuples(inner, inner).map(lambda both: both[0] + b"\x0a" + both[1] + b"\x0b"),
    max_leaves=4,
)


@given(
    initial=st.lists(one_instruction.filter(lambda each: each[0] >> 6 in (0, 2) and not 2 <= each[0] <= 6)).map(
        b"".join
    ),
    code=instructions,
)
def test_random_instructions_lead_to_the_rules_that_pyelftools_reads(initial, code):
    section = common(DEF_CFA_SP + initial) + function(code)
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=4)
    entries = CallFrameInfo(io.BytesIO(section), len(section), 0, structs).get_entries()
    (known,) = (each for each in entries if isinstance(each, FDE))
    found = CallFrames(section, lambda _address: True)
    for pc in range(START, START + SIZE, 2):
        assert found.rule_at(pc) == by_pyelftools(known, pc), hex(pc)


def test_every_instruction_of_an_image_has_the_rule_that_pyelftools_reads(tiny):
    image = load_elf(tiny)
    debug = ELFFile(io.BytesIO(tiny.read_bytes())).get_dwarf_info(relocate_dwarf_sections=False)
    entries = [each for each in debug.CFI_entries() if isinstance(each, FDE) and each["initial_location"]]
    assert len(entries) > 3
    for each in entries:
        for pc in range(each["initial_location"], each["initial_location"] + each["address_range"], 2):
            assert image.unwind_rule(pc) == by_pyelftools(each, pc), hex(pc)


@pytest.mark.parametrize(
    ("form", "sizes"), [(1, b""), (3, b""), (4, bytes((4, 0)))], ids=["DWARF 2", "DWARF 3", "DWARF 4 and 5"]
)
@pytest.mark.parametrize("augmentation", [b"", b"armcc+"])
def test_each_version_of_the_common_information_is_read(form, sizes, augmentation):
    found = rule(OFFSET_LR_4, version=form, augmentation=augmentation, sizes=sizes)
    assert found == UnwindRule(13, 0, {14: -4}, ".debug_frame")


@pytest.mark.parametrize(
    "of_common",
    [
        {"version": 2},
        {"augmentation": b"zR"},
        {"version": 4, "sizes": bytes((8, 0))},
        {"version": 4, "sizes": bytes((4, 2))},
    ],
)
def test_common_information_of_another_kind_says_nothing(of_common):
    assert rule(OFFSET_LR_4, **of_common) is None


def test_the_row_of_a_pc_is_the_last_that_begins_at_or_before_it():
    moved = bytes((0x41,)) + OFFSET_LR_4 + bytes((0x01,)) + struct.pack("<I", START + 8) + bytes((0x0E, 16))
    rows = [rule(moved, offset) for offset in (0, 1, 2, 7, 8, SIZE - 1)]
    assert [(each.cfa_offset, dict(each.saved)) for each in rows] == [
        (0, {}),
        (0, {}),
        (0, {14: -4}),
        (0, {14: -4}),
        (16, {14: -4}),
        (16, {14: -4}),
    ]
    assert rule(moved, SIZE) is None
    assert rule(moved, -1) is None


def test_a_signed_offset_of_the_frame_is_a_multiple_of_the_data_alignment():
    assert rule(bytes((0x12, 7)) + leb(-3, signed=True)) == UnwindRule(7, 12, {}, ".debug_frame")


def test_a_caller_that_is_undefined_is_the_outermost_and_another_register_s_is_not():
    assert rule(bytes((0x07, 14))).is_outermost
    assert not rule(bytes((0x07, 4))).is_outermost


@pytest.mark.parametrize(
    "code",
    [
        bytes((0x0F, 1, 0x30)),  # an expression for the frame
        bytes((0x3F,)),  # an instruction that nobody knows
        bytes((0x0B,)),  # a state that was not remembered
        bytes((0x2E,)) + b"\x80" * 6,  # a number that is longer than 32 bits
        bytes((0x10, 4, 0x7F)),  # a block that ends behind its entry
        b"\x0a" * 100,  # more remembered than anybody writes
    ],
)
def test_what_is_no_frame_by_a_register_says_nothing(code):
    assert rule(code) is None


def test_a_frame_that_is_moved_before_it_is_defined_says_nothing():
    for code in (bytes((0x0D, 7)), bytes((0x0E, 8)), bytes((0x13, 8))):
        assert rule(code, initial=b"") is None


def test_functions_that_the_linker_dropped_are_not_there():
    found = frames(common(), function(OFFSET_LR_4, start=0), function(b"", start=0xFFFF_FFFF), function(OFFSET_LR_4))
    assert found.rule_at(0) is None
    assert found.rule_at(START) == UnwindRule(13, 0, {14: -4}, ".debug_frame")


def test_what_stands_before_a_broken_length_counts():
    whole = common() + function(OFFSET_LR_4)
    for behind in (struct.pack("<4I", 0xFFFF_FFFF, 0, 0, 0), struct.pack("<4I", 3, 0, 0, 0), b"\1"):
        assert frames(whole, behind, function(b"", START + SIZE)).rule_at(START) is not None
        assert frames(whole, behind, function(b"", START + SIZE)).rule_at(START + SIZE) is None


def test_an_entry_that_names_no_common_information_says_nothing():
    for cie in (4, len(common()), 0x1000):
        assert frames(common(), function(OFFSET_LR_4, cie=cie)).rule_at(START) is None


@given(at=st.integers(0, 200), change=st.binary(min_size=1, max_size=4), keep=st.integers(0, 200))
def test_no_section_breaks_it(at, change, keep):
    section = common() + function(OFFSET_LR_4 + b"\x0a\x0c\x07\x08\x0b") + function(b"\x41" + OFFSET_LR_4, START + SIZE)
    section = (section[:at] + change + section[at + len(change) :])[:keep]
    found = CallFrames(section, lambda _address: True)
    for pc in range(START, START + 2 * SIZE, 16):
        assert found.rule_at(pc) is None or found.rule_at(pc).source == ".debug_frame"
