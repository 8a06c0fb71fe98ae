import io
import struct
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import ElfError, TableError
from orchestrator.formats.elf import SegmentFlag, load_elf, parse_elf
from orchestrator.formats.elf.sections import Section, uncompressed
from orchestrator.formats.resource_table import decode_table_bytes

FLASH, SHARED, RAM = 0x08100000, 0x10040000, 0x10000000
PH_SIZE = 32


@pytest.fixture
def image(tiny):
    return load_elf(tiny, name="tiny.elf")


@pytest.fixture
def raw(tiny):
    return bytearray(tiny.read_bytes())


def program_header(raw, index):
    """Offset of a program header in the file."""
    return struct.unpack_from("<I", raw, 28)[0] + PH_SIZE * index


def refused(data, rule):
    with pytest.raises(ElfError) as caught:
        parse_elf(bytes(data), path=Path("x.elf"), name="x.elf")
    assert caught.value.rule == rule
    assert str(caught.value).startswith("x.elf: ")
    return str(caught.value)


def test_segments_have_their_load_and_their_run_address(image, tiny):
    with tiny.open("rb") as file:
        expected = [
            (each["p_paddr"], each["p_vaddr"], each.data(), each["p_memsz"])
            for each in ELFFile(file).iter_segments("PT_LOAD")
            if each["p_filesz"]
        ]
    found = [(each.load_address, each.run_address, each.data, each.memory_size) for each in image.segments]
    assert found == expected
    assert [each.run_address for each in image.segments] == [FLASH, SHARED, RAM]
    assert all(FLASH <= each.load_address < FLASH + 0x10000 for each in image.segments)
    assert image.segments[0].flags == SegmentFlag.READ | SegmentFlag.EXECUTE


def test_a_segment_without_bytes_in_the_file_is_kept_apart(image):
    assert [(each.run_address, each.data) for each in image.zero_segments] == [(RAM + 4, b"")]
    assert image.zero_segments[0].memory_size > 64


def test_symbols_are_those_of_an_independent_reader(image, tiny):
    with tiny.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        expected = {
            (
                each.name,
                each["st_value"] & ~1 if each["st_info"]["type"] == "STT_FUNC" else each["st_value"],
                each["st_size"],
            )
            for each in table.iter_symbols()
            if each.name and not each.name.startswith("$")
        }
    assert {(each.name, each.address, each.size) for each in image.symbols.values()} == expected
    assert {"reset", "inner", "vectors", "g_shmem"} <= set(image.symbols)


def test_sections_are_those_of_an_independent_reader(image, tiny):
    with tiny.open("rb") as file:
        expected = [(each.name, each["sh_addr"], each["sh_size"]) for each in ELFFile(file).iter_sections()][1:]
    assert [(each.name, each.address, each.size) for each in image.sections] == expected
    by_name = {each.name: each for each in image.sections}
    assert by_name[".text"].load_address == by_name[".text"].address
    assert by_name[".data"].load_address == image.segments[2].load_address
    assert by_name[".bss"].load_address is None
    assert by_name[".debug_frame"].load_address is None


def test_an_address_is_named_by_the_symbol_it_lies_in(image):
    inner, shmem = image.symbols["inner"], image.symbols["g_shmem"]
    assert image.symbol_at(inner.address) == "inner"
    assert image.symbol_at(inner.address | 1) == "inner"
    assert image.symbol_at(inner.address + 0x13) == "inner+0x12"
    assert image.symbol_at(inner.address + inner.size - 2) == f"inner+{inner.size - 2:#x}"
    assert image.symbol_at(shmem.address + 9) == "g_shmem+0x9"
    assert image.symbol_at(image.symbols["label"].address + 4) == "label+0x4"
    assert image.symbol_at(0) is None
    assert image.symbol_at(0xFFFFFFFF) is None


def test_entry_and_vectors_keep_the_thumb_bit(image):
    assert image.entry == image.symbols["reset"].address | 1
    assert image.vector_table == FLASH
    assert image.initial_sp() == 0x10010000
    assert image.reset_vector() == image.entry
    assert image.reset_vector(FLASH + 4) != image.entry


def renamed(raw, old, new):
    """The file with a string of its string tables changed."""
    assert len(old) == len(new)
    return bytes(raw).replace(b"\0" + old + b"\0", b"\0" + new + b"\0")


def test_the_vector_table_is_found_by_section_then_by_symbol_then_in_the_lowest_code(raw):
    def vector_table(data):
        parsed = parse_elf(data, path=Path("x.elf"), name="x.elf")
        return parsed.vector_table, parsed.segments

    # A word of data that is named like vectors: the section's name comes first, then the symbol's.
    named = renamed(raw, b"initialised", b"_vectors\0\0\0")
    assert vector_table(named)[0] == FLASH
    found, segments = vector_table(renamed(named, b".isr_vector", b".some_other"))
    assert found == segments[2].load_address
    # Neither: the code, and not the data that is loaded below it.
    neither = bytearray(renamed(renamed(raw, b".isr_vector", b".some_other"), b"vectors", b"nothing"))
    struct.pack_into("<I", neither, program_header(neither, 2) + 12, 0x08000000)
    assert vector_table(bytes(neither))[0] == FLASH


def test_bytes_are_read_as_loaded_and_as_the_program_expects_them(image):
    data = image.segments[2]
    assert image.read_load(data.load_address, 4) == image.read_run(RAM, 4) == (0x12345678).to_bytes(4, "little")
    assert image.read_run(RAM + 2, 20) == bytes.fromhex("3412") + bytes(18)
    first, second = image.segments[:2]
    assert image.read_load(second.load_address - 2, 4) == first.data[-2:] + second.data[:2]
    with pytest.raises(ElfError, match=r"tiny\.elf at 0x10000000: the image has nothing there") as caught:
        image.read_load(RAM, 4)
    assert caught.value.rule == "elf.no-such-bytes"
    with pytest.raises(ElfError, match=r"tiny\.elf at 0x1000006c"):
        image.read_run(RAM, 0x100)


def test_what_is_loaded_ends_with_its_bytes_and_what_runs_with_its_zeros(image):
    last = max(image.segments, key=lambda each: each.load_address)
    end = last.load_address + len(last.data)
    assert image.read_load(end - 1, 1) == last.data[-1:]
    (zeros,) = image.zero_segments
    assert image.read_run(zeros.run_address + zeros.memory_size - 1, 1) == b"\0"
    for read, address in (
        (image.read_load, end),
        (image.read_run, zeros.run_address + zeros.memory_size),
        (image.read_run, image.segments[2].run_address - 1),
    ):
        with pytest.raises(ElfError, match=f"at {address:#010x}: the image has nothing there: expected 1 bytes from"):
            read(address, 1)


def test_each_byte_of_a_segment_has_its_load_address_and_no_other_has_one(image):
    for each in image.segments:
        for at in (0, len(each.data) - 1):
            assert image.load_address_of(each.run_address + at) == each.load_address + at
    data = image.segments[2]
    assert image.load_address_of(data.run_address - 1) is None
    assert image.load_address_of(data.run_address + len(data.data)) is None


def test_the_resource_table_has_a_load_and_a_run_address(image):
    table = image.resource_table()
    assert (table.run_address, table.load_address) == (SHARED, image.segments[1].load_address)
    decoded = decode_table_bytes(table.data, view=image.name, address=table.run_address)
    assert [each.at.path for each in decoded.entries] == ["trace[0]"]


def test_a_resource_table_that_no_segment_carries_is_an_error_that_names_it(tiny_unloaded):
    with pytest.raises(TableError) as caught:
        load_elf(tiny_unloaded).resource_table()
    assert caught.value.rule == "table.not-loaded"
    assert "unloaded.elf: .resource_table at 0x00000000" in str(caught.value)


def test_an_image_without_a_resource_table_has_none(raw):
    data = renamed(raw, b".resource_table", b".resource-table")
    assert parse_elf(data, path=Path("x.elf"), name="x.elf").resource_table() is None


def test_frames_are_undone_by_debug_frame(image):
    # clang -O1 with frame pointers: push {r7, lr}; mov r7, sp
    twice = image.symbols["twice"].address
    at_entry, after_push, later = (image.unwind_rule(twice + offset) for offset in (0, 2, 5))
    assert (at_entry.cfa_register, at_entry.cfa_offset, dict(at_entry.saved)) == (13, 0, {})
    assert at_entry.return_address_offset is None
    assert (after_push.cfa_register, after_push.cfa_offset, dict(after_push.saved)) == (13, 8, {14: -4, 7: -8})
    assert (later.cfa_register, later.return_address_offset, later.source) == (7, -4, ".debug_frame")
    assert image.unwind_rule(RAM) is None


def test_the_exception_index_says_the_same_behind_the_prologue(tiny_exidx, image):
    other = load_elf(tiny_exidx)
    assert other.source_line(other.symbols["inner"].address) is None
    for name in ("inner", "outer", "twice", "reset"):
        assert other.symbols[name].size == image.symbols[name].size
        by_dwarf = image.unwind_rule(image.symbols[name].address + 8)
        by_index = other.unwind_rule(other.symbols[name].address + 8)
        assert by_index == replace(by_dwarf, source=".ARM.exidx")
    assert other.unwind_rule(RAM) is None


def test_code_has_its_line_of_source(image):
    text = (Path(__file__).parent / "images" / "tiny.c").read_text().splitlines()
    line = image.source_line(image.symbols["inner"].address | 1)
    assert Path(line.file).name == "tiny.c"
    assert "int inner(int value)" in text[line.line - 2]
    assert image.source_line(RAM) is None
    assert image.source_line(image.symbols["label"].address) is None


def test_what_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(ElfError, match="No such file") as caught:
        load_elf(tmp_path / "none.elf")
    assert caught.value.rule == "elf.unreadable"
    with pytest.raises(ElfError, match="directory"):
        load_elf(tmp_path)


def test_a_file_of_another_kind_is_refused():
    assert "found an empty file" in refused(b"", "elf.not-an-elf")
    assert "found 3a 31 30 30" in refused(b":100000", "elf.not-an-elf")


@pytest.mark.parametrize(
    ("offset", "value", "rule", "says"),
    [
        (4, 2, "elf.not-32-bit", "found 64-bit"),
        (5, 2, "elf.big-endian", "expected little-endian"),
        (18, 243, "elf.wrong-machine", "found machine 243"),
        (42, 56, "elf.malformed", "e_phentsize is wrong: expected 32, found 56"),
        (46, 64, "elf.malformed", "e_shentsize is wrong: expected 40, found 64"),
        (44, 0, "elf.no-segments", "is it an object file"),
    ],
)
def test_a_header_for_something_else_is_refused(raw, offset, value, rule, says):
    raw[offset] = value
    assert says in refused(raw, rule)


def test_an_object_file_has_nothing_to_load(tiny_object):
    refused(tiny_object.read_bytes(), "elf.no-segments")


@pytest.mark.parametrize("keep", [5, 51, 60, 300, 1000])
def test_a_file_that_was_cut_is_truncated_and_says_where(raw, keep):
    assert f"found {keep} bytes" in refused(raw[:keep], "elf.truncated")


def test_every_cut_is_noticed(raw):
    for keep in range(4, len(raw), 97):
        refused(raw[:keep], "elf.truncated")


def test_a_segment_whose_bytes_are_past_the_end_of_the_file_is_named(raw):
    struct.pack_into("<I", raw, program_header(raw, 2) + 4, len(raw) - 3)
    assert f"its segment 2 does: expected at least {len(raw) + 1} bytes" in refused(raw, "elf.truncated")


@pytest.mark.parametrize("short", [0, 1])
def test_a_segment_may_end_with_the_file(raw, short):
    """Not so the sections: they stand before it."""
    header = program_header(raw, 2)
    at, size = (struct.unpack_from("<I", raw, header + where)[0] for where in (4, 16))
    struct.pack_into("<I", raw, header + 4, len(raw))
    data = bytes(raw) + bytes(raw[at : at + size])
    if short:
        refused(data[:-short], "elf.truncated")
    else:
        assert parse_elf(data, path=Path("x.elf"), name="x.elf").segments[2].data == data[-size:]


@pytest.mark.parametrize("short", [0, 1])
def test_the_program_headers_may_end_with_the_file(raw, short):
    headers = bytes(raw[program_header(raw, 0) : program_header(raw, raw[44])])
    struct.pack_into("<I", raw, 28, len(raw))
    data = bytes(raw) + headers
    if short:
        assert "program header table" in refused(data[:-short], "elf.truncated")
    else:
        assert len(parse_elf(data, path=Path("x.elf"), name="x.elf").segments) == 3


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("field", [8, 12], ids=["p_vaddr", "p_paddr"])
def test_a_segment_may_end_with_the_address_space(raw, field, beyond):
    header = program_header(raw, 1)
    size = struct.unpack_from("<I", raw, header + 16)[0]
    struct.pack_into("<I", raw, header + field, (1 << 32) - size + beyond)
    if beyond:
        assert "segment 1" in refused(raw, "elf.segment-outside-memory")
    else:
        assert parse_elf(bytes(raw), path=Path("x.elf"), name="x.elf").segments[1].memory_size == size


@pytest.mark.parametrize("over", [0, 1])
def test_segments_may_be_loaded_one_after_the_other(raw, over):
    first, second = program_header(raw, 0), program_header(raw, 1)
    start, size = (struct.unpack_from("<I", raw, first + where)[0] for where in (12, 16))
    struct.pack_into("<I", raw, second + 12, start + size - over)
    if over:
        refused(raw, "elf.segments-overlap")
    else:
        assert len(parse_elf(bytes(raw), path=Path("x.elf"), name="x.elf").segments) == 3


def test_a_global_symbol_goes_before_a_local_one_of_the_same_name(raw):
    before = parse_elf(bytes(raw), path=Path("x.elf"), name="x.elf")
    assert before.symbols["twice"].is_local
    data = renamed(raw, b"label", b"twice")
    assert parse_elf(data, path=Path("x.elf"), name="x.elf").symbols["twice"] == (
        before.symbols["label"]._replace(name="twice")
    )
    # The weak function is the one that the linker knows by that name.
    data = renamed(raw, b"fault", b"twice")
    assert parse_elf(data, path=Path("x.elf"), name="x.elf").symbols["twice"].is_weak


def test_segments_loaded_over_each_other_are_named(raw):
    struct.pack_into("<I", raw, program_header(raw, 1) + 12, FLASH + 16)
    message = refused(raw, "elf.segments-overlap")
    assert "segments 0 and 1 are loaded over each other" in message
    assert "0x08100010..0x08100054 over 0x08100000.." in message


def test_a_segment_past_the_end_of_the_address_space_is_named(raw):
    struct.pack_into("<I", raw, program_header(raw, 1) + 12, 0xFFFFFFFC)
    assert "segment 1" in refused(raw, "elf.segment-outside-memory")


def test_a_segment_with_more_bytes_than_memory_is_malformed(raw):
    struct.pack_into("<I", raw, program_header(raw, 2) + 20, 3)
    assert "expected p_filesz <= 0x3, found 0x4" in refused(raw, "elf.malformed")


def exercise(data):
    """Ask an image for everything; only typed errors may come out."""
    try:
        image = parse_elf(data, path=Path("x.elf"), name="x.elf")
    except ElfError:
        return
    for ask in (
        lambda: image.symbol_at(FLASH + 0x30),
        lambda: image.symbols,
        lambda: image.vector_table,
        image.initial_sp,
        image.reset_vector,
        image.resource_table,
        lambda: [image.unwind_rule(FLASH + at) for at in range(0, 0x100, 0x20)],
        lambda: [image.source_line(FLASH + at) for at in range(0, 0x100, 0x20)],
        lambda: [image.definition_at(SHARED + at) for at in (0, 8)],
        lambda: image.read_run(RAM, 64),
    ):
        try:
            ask()
        except (ElfError, TableError) as error:
            assert error.rule.startswith(("elf.", "table."))  # noqa: PT017 - either outcome is right


changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4)), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=changes, headers_only=st.booleans())
@pytest.mark.parametrize("kind", ["dwarf", "exidx"])
def test_any_damage_is_refused_by_type_or_survived(tiny, tiny_exidx, kind, changes, headers_only):
    data = bytearray((tiny if kind == "dwarf" else tiny_exidx).read_bytes())
    sections = struct.unpack_from("<I", data, 32)[0]
    for at, patch in changes:
        where = at % len(data)
        if headers_only:
            where = at % 180 if at & 1 else sections + at % (len(data) - sections)
        data[where : where + len(patch)] = patch
    exercise(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_behind_an_arm_header_are_refused_by_type_or_survived(noise):
    head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<2H5I6H", 2, 40, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    exercise(head + noise)
    exercise(noise)


def test_debug_information_is_read_only_when_asked_for(tiny, monkeypatch):
    def fail(*_):
        raise AssertionError("pyelftools was used")

    monkeypatch.setattr("elftools.elf.elffile.ELFFile.__init__", fail)
    image = load_elf(tiny)
    assert image.symbol_at(image.symbols["inner"].address) == "inner"
    assert image.resource_table() is not None
    assert image.reset_vector() == image.entry
    with pytest.raises(AssertionError):
        ELFFile(io.BytesIO(b""))


def made_of(segments, sections=(), names=b"\0"):
    """A file of segments (offset, address, size), sections (name, type, offset, size, link), and names at its end."""
    phoff, shoff = 52, 52 + 32 * len(segments)
    at = shoff + 40 * (len(sections) + 2)
    header = struct.pack(
        *("<16s2H5I6H", b"\x7fELF\1\1\1" + bytes(9), 2, 40, 1, 0x08000001, phoff, shoff, 0, 52, 32, len(segments)),
        *(40, len(sections) + 2, len(sections) + 1),
    )
    rows = b"".join(struct.pack("<8I", 1, at, where, where, size, size, 5, 4) for at, where, size in segments)
    rows += bytes(40)
    for name, kind, offset, size, link in sections:
        rows += struct.pack("<10I", name, kind, 2, 0, offset, size, link, 0, 4, 16)
    return header + rows + struct.pack("<10I", 0, 3, 0, 0, at, len(names), 0, 0, 1, 0) + names


def test_segments_over_each_other_are_seen_before_their_bytes_are_copied():
    """65,535 segments of one 2 MB file would be 128 GB (attack, struct/mk.py)."""
    whole = 52 + 32 * 1000
    data = made_of([(0, 0x08000000, whole)] * 1000)
    tracemalloc.start()
    try:
        refused(data, "elf.segments-overlap")
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_segments_that_load_the_same_bytes_again_and_again_are_refused():
    data = made_of([(0, 0x08000000 + 2048 * n, 2048) for n in range(1000)])
    assert "at most 4 times the file's" in refused(data, "elf.malformed")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (made_of([(0, 0x08000000 + n, 1) for n in range(1025)]), "segments to load than rptwin reads: expected 1024"),
        (made_of([(0, 0x08000000, 4)], [(0, 1, 0, 4, 0)] * 16384), "sections than rptwin reads: expected 16384"),
    ],
    ids=["segments", "sections"],
)
def test_more_than_a_linker_ever_writes_is_refused_with_the_limit(data, words):
    assert words in refused(data, "elf.malformed")


def test_as_many_as_the_limits_allow_are_read():
    names = b"\0" + b"".join(b".s%04d\0" % n for n in range(2000))
    data = made_of(
        [(16 * n, 0x08000000 + 16 * n, 16) for n in range(1024)],
        [(1 + 7 * n, 1, 16 * (n % 1024), 16, 0) for n in range(2000)],
        names,
    )
    image = parse_elf(data, path=Path("x.elf"), name="x.elf")
    assert (len(image.segments), len(image.sections)) == (1024, 2001)
    assert [each.load_address for each in image.sections[:2000]] == [0x08000000 + 16 * (n % 1024) for n in range(2000)]


def test_names_that_overlap_so_much_that_they_fill_memory_are_refused():
    names = b"\0" + b"A" * 5000
    data = made_of([(0, 0x08000000, 4)], [(1 + n, 1, 0, 4, 0) for n in range(900)], names)
    assert "names that overlap" in refused(data, "elf.malformed")


def test_of_several_symbol_tables_the_first_is_read(raw):
    """Of 200 over the same symbols each was read (System V ABI: a file has one)."""
    shoff, count = struct.unpack_from("<I", raw, 32)[0], struct.unpack_from("<H", raw, 48)[0]
    rows = [bytes(raw[shoff + 40 * n : shoff + 40 * n + 40]) for n in range(count)]
    table = next(row for row in rows if struct.unpack_from("<I", row, 4)[0] == 2)
    expected = len(parse_elf(bytes(raw), path=Path("x.elf"), name="x.elf").every_symbol)
    again = bytearray(raw) + b"".join([*rows, table, table])
    struct.pack_into("<I", again, 32, len(raw))
    struct.pack_into("<H", again, 48, count + 2)
    assert len(parse_elf(bytes(again), path=Path("x.elf"), name="x.elf").every_symbol) == expected


FUNC, OBJECT, NOTYPE = 2, 1, 0
LOCAL, GLOBAL, WEAK = 0, 1, 2


def named(sections, symbols):
    """An image of sections (flags, address, size) and symbols (name, value, size, type, binding, section)."""
    strings = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in symbols)
    rows = bytes(16) + b"".join(
        struct.pack("<3I2BH", strings.index(name.encode() + b"\0"), value, size, binding << 4 | kind, 0, section)
        for name, value, size, kind, binding, section in symbols
    )
    shoff, count = 52 + 32, len(sections) + 4
    at = shoff + 40 * count
    header = struct.pack(
        "<16s2H5I6H", b"\x7fELF\1\1\1" + bytes(9), 2, 40, 1, FLASH | 1, 52, shoff, 0, 52, 32, 1, 40, count, count - 1
    )
    program = struct.pack("<8I", 1, 0, FLASH, FLASH, 52, 52, 5, 4)
    headers = [
        bytes(40),
        *(struct.pack("<10I", 0, 1, flags, where, 0, size, 0, 0, 4, 0) for flags, where, size in sections),
    ]
    headers.append(struct.pack("<10I", 0, 2, 0, 0, at, len(rows), count - 2, 1, 4, 16))
    headers.append(struct.pack("<10I", 0, 3, 0, 0, at + len(rows), len(strings), 0, 0, 1, 0))
    headers.append(struct.pack("<10I", 0, 3, 0, 0, 0, 0, 0, 0, 1, 0))
    return parse_elf(header + program + b"".join(headers) + rows + strings, path=Path("x.elf"), name="x.elf")


WRITE, ALLOC, EXECINSTR = 1, 2, 4


def test_a_label_of_code_goes_up_to_the_next_name_or_to_the_end_of_its_section():
    image = named(
        [(ALLOC | EXECINSTR, FLASH, 0x20), (ALLOC | EXECINSTR, FLASH + 0x40, 0x10), (ALLOC | WRITE, RAM, 0x40)],
        [
            ("first", FLASH, 0, NOTYPE, GLOBAL, 1),
            ("second", FLASH + 0x10, 0, NOTYPE, LOCAL, 1),
            ("other", FLASH + 0x40, 0, NOTYPE, GLOBAL, 2),
            ("data_label", RAM, 0, NOTYPE, GLOBAL, 3),
            ("counter", RAM + 8, 4, OBJECT, GLOBAL, 3),
        ],
    )
    said = {at: image.symbol_at(at) for at in (FLASH + 0xE, FLASH + 0x1E, FLASH + 0x20, FLASH + 0x4E, FLASH + 0x50)}
    assert list(said.values()) == ["first+0xe", "second+0xe", None, "other+0xe", None]
    last = named(
        [(ALLOC | EXECINSTR, FLASH, 0x20)], [(name, FLASH + at, 0, 0, 1, 1) for name, at in (("a", 0), ("b", 8))]
    )
    assert [last.symbol_at(FLASH + at) for at in (7, 8, 0x1F)] == ["a+0x6", "b", "b+0x16"]
    # Of data a label tells no size.
    assert [image.symbol_at(RAM + at) for at in (0, 8, 11, 12)] == [None, "counter", "counter+0x3", None]


def test_what_is_not_in_memory_names_no_address(tiny_unloaded):
    """A linker script's (INFO) section stays writable and takes no memory; debug information is neither."""
    assert load_elf(tiny_unloaded).symbols["table"].address == 0
    assert load_elf(tiny_unloaded).symbol_at(4) is None
    image = named([(0, 0, 0x40)], [("in_debug", 8, 4, OBJECT, LOCAL, 1), ("absolute", 16, 4, OBJECT, GLOBAL, 0xFFF1)])
    assert [image.symbol_at(at) for at in (8, 16)] == [None, None]


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (("sized", FLASH, 8, NOTYPE, LOCAL, 1), ("label", FLASH, 0, FUNC, GLOBAL, 1)),
        (("byte", FLASH, 1, NOTYPE, LOCAL, 1), ("label", FLASH, 0, FUNC, GLOBAL, 1)),
        (("function", FLASH, 8, FUNC, LOCAL, 1), ("untyped", FLASH, 8, NOTYPE, GLOBAL, 1)),
        (("weak", FLASH, 8, FUNC, WEAK, 1), ("local", FLASH, 8, FUNC, LOCAL, 1)),
        (("strong", FLASH, 8, FUNC, GLOBAL, 1), ("weak", FLASH, 8, FUNC, WEAK, 1)),
    ],
    ids=lambda each: each[0],
)
def test_of_several_names_of_an_address_one_is_said_in_whatever_order_they_stand(better, worse, is_turned):
    symbols = [worse, better] if is_turned else [better, worse]
    assert named([(ALLOC | EXECINSTR, FLASH, 0x20)], symbols).symbol_at(FLASH) == better[0]


def test_types_and_sections_that_name_nothing_are_passed_over():
    """Sections and files are symbols too (AAELF32 5.5), and so is what an object file lacks."""
    kinds = [("section", 3), ("file", 4), ("common", 5)]
    rows = [(name, FLASH + 8 * n, 4, kind, LOCAL, 1) for n, (name, kind) in enumerate(kinds)]
    rows += [("undefined", FLASH + 0x18, 4, FUNC, GLOBAL, 0), ("$t", FLASH + 0x18, 4, NOTYPE, LOCAL, 1)]
    image = named([(ALLOC | EXECINSTR, FLASH, 0x40)], rows)
    assert [image.symbol_at(FLASH + 8 * n) for n in range(4)] == [None] * 4
    assert set(image.symbols) == {"section", "file", "common"}


SHF_COMPRESSED = 0x800  # ELF, Section Attribute Flags


def section_of(data, flags):
    return Section(".debug_frame", 0, len(data), 0, True, flags, None)


def test_a_section_that_is_compressed_is_what_it_was_before():
    plain = b"frames" * 100
    packed = struct.pack("<3I", 1, len(plain), 4) + zlib.compress(plain)
    assert uncompressed(packed, section_of(packed, SHF_COMPRESSED)) == plain
    assert uncompressed(packed, section_of(packed, 0)) == packed


@pytest.mark.parametrize(
    "packed",
    [
        struct.pack("<3I", 2, 4, 4) + b"zstd",
        struct.pack("<3I", 1, 4, 4) + b"nothing that zlib made",
        struct.pack("<3I", 1, 0, 4) + zlib.compress(b"more than it says"),
        struct.pack("<2I", 1, 4),
    ],
    ids=["by another algorithm", "broken", "no bytes", "no header"],
)
def test_a_section_that_cannot_be_decompressed_is_empty(packed):
    assert uncompressed(packed, section_of(packed, SHF_COMPRESSED)) == b""
