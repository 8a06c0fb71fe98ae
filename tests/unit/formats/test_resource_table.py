import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import TableError, UsageError
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.resource_entry import (
    ANY,
    FW_RSC_VENDOR_END,
    FW_RSC_VENDOR_START,
    Carveout,
    Checksum,
    CommandCode,
    CommandWord,
    Custom,
    Devmem,
    ImxVendor,
    RprocMem,
    Trace,
    Unknown,
    Vdev,
    VdevHeader,
    Vendor,
    Vring,
    feature_names,
    status_names,
)
from orchestrator.formats.resource_table import (
    MAX_ENTRIES,
    build_table,
    decode_table,
    decode_table_bytes,
    scan_table,
    scan_table_bytes,
    table_further_on,
)

BASE = 0x10040000
VIEW = "cpu_cm4"

u32 = st.integers(0, 0xFFFFFFFF)
names = st.binary(min_size=32, max_size=32)
vrings = st.builds(Vring, u32, u32, u32, u32, u32)
vdevs = st.builds(
    Vdev.of,
    st.builds(VdevHeader, id=u32, notifyid=u32, dfeatures=u32, gfeatures=u32, status=st.integers(0, 255)),
    st.lists(vrings, max_size=4),
    st.binary(max_size=70),
)
entries = st.one_of(
    st.builds(Carveout, da=u32, pa=u32, len=u32, flags=u32, reserved=u32, name=names),
    st.builds(Devmem, da=u32, pa=u32, len=u32, flags=u32, reserved=u32, name=names),
    st.builds(Trace, da=u32, len=u32, reserved=u32, name=names),
    vdevs,
    st.builds(RprocMem, da=u32, pa=u32, len=u32, reserved=u32),
    st.builds(
        Checksum,
        algo=st.sampled_from([b"sha256", b"md5"]).map(lambda name: name.ljust(16, b"\0")),
        chksum=st.binary(min_size=64, max_size=64),
    ),
    st.builds(Custom, sub_type=st.integers(0, 0x40), data=st.binary(max_size=40)),
    st.builds(
        lambda kind, data: Vendor(kind, 8 + len(data), data),
        st.integers(FW_RSC_VENDOR_START, FW_RSC_VENDOR_END),
        st.binary(max_size=40),
    ),
    st.builds(Unknown, st.sampled_from([6, 127, 513, 0xFFFFFFFF]), st.binary(max_size=40)),
)


def healthy():
    """What a RPTUN remote carries: trace, an RPMsg vdev with two vrings and its config, a carveout."""
    vdev = Vdev.of(VdevHeader(id=7, notifyid=2, dfeatures=1), [Vring(ANY, 16, 8, 0), Vring(ANY, 16, 8, 1)], bytes(64))
    return build_table(
        [Trace(da=BASE + 0x1000, len=0x400, name=b"log"), vdev, Carveout(da=BASE + 0x2000, len=0x4000, name=b"heap")],
        view=VIEW,
        address=BASE,
        align=8,
    )


@given(st.lists(entries, max_size=6), st.sampled_from([1, 4, 8]))
def test_what_was_built_decodes_to_the_same_entries(wanted, align):
    table = build_table(wanted, align=align)
    # An entry of unknown length also takes the padding behind it.
    for found, built in zip((each.value for each in table.entries), wanted, strict=True):
        if isinstance(built, Unknown):
            assert found.pack().startswith(built.pack())
        else:
            assert found == built
    assert decode_table_bytes(table.encode()) == table


@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 399), st.binary(min_size=1, max_size=4)), max_size=6))
def test_any_bytes_decode_or_raise_a_table_error_and_what_decodes_encodes_to_the_same_bytes(noise, changes):
    data = bytearray(healthy().encode() + noise)
    for at, patch in changes:
        data[at : at + len(patch)] = patch
    for candidate in (noise, bytes(data)):
        scan = scan_table_bytes(candidate)
        if scan.table is not None:
            assert scan.table.encode() == candidate
        assert all(error.rule.startswith("table.") for error in scan.errors)
        if scan.errors:
            with pytest.raises(TableError) as caught:
                decode_table_bytes(candidate)
            assert caught.value.rule == scan.errors[0].rule
        else:
            assert decode_table_bytes(candidate) == scan.table


@given(st.data())
def test_bytes_between_entries_and_behind_them_are_kept(data):
    table = healthy()
    tail = data.draw(st.binary(max_size=20))
    gap = data.draw(st.binary(min_size=8, max_size=24))
    # Move the last entry up, and fill what is then free.
    last = table.entries[-1].at.address - BASE
    moved = table.patched("offset[2]", last + len(gap))
    dump = moved[:last] + gap + moved[last:] + tail
    decoded = decode_table_bytes(dump)
    assert decoded.encode() == dump
    assert any(gap in each.data for each in decoded.gaps)
    assert decoded.size == table.size + len(gap) + len(tail)


def test_a_live_table_ends_with_its_last_entry():
    whole = healthy().encode()
    memory = BytesMemory(VIEW, BASE, whole + b"\xee" * 64)
    table = decode_table(memory, BASE, len(whole) + 64)
    assert table == healthy()
    assert table.size == len(whole)


def test_every_field_has_its_path_its_address_and_the_value_that_stands_there():
    table = healthy()
    data = table.encode()
    paths = [each.at.path for each in table.fields()]
    assert len(paths) == len(set(paths))
    for each in table.fields():
        offset = each.at.address - BASE
        assert each.at.view == VIEW
        if isinstance(each.value, int):
            size = {"status": 1, "num_of_vrings": 1}.get(each.at.path.rpartition(".")[2], 4)
            size = 1 if each.at.path.startswith("vdev[0].reserved") else size
            assert each.value == int.from_bytes(data[offset : offset + size], "little"), each.at
        else:
            assert data[offset : offset + len(each.value)] == each.value
    align = table.field("vdev[0].vring[1].align")
    vdev = table.field("offset[1]").value
    assert (align.value, align.at.address) == (16, BASE + vdev + 28 + 20 + 4)
    assert str(align.at) == f"{VIEW} at {align.at.address:#010x} (vdev[0].vring[1].align)"
    assert {
        "header.ver",
        "header.reserved[1]",
        "offset[2]",
        "trace[0].name",
        "carveout[0].da",
        "vdev[0].config",
    } <= set(paths)


def test_the_fields_cover_each_byte_of_a_table_without_gaps():
    table = build_table([Trace(), Carveout(), healthy().vdevs[0].value])
    assert table.gaps == ()
    assert sum(len(table.data(each.at.path).value) for each in table.fields()) == table.size


EVERY_KIND = [
    Trace(da=1, len=2),
    Carveout(da=3, len=4),
    Devmem(da=5, len=6),
    RprocMem(da=7, len=8),
    Checksum(algo=b"md5".ljust(16, b"\0"), chksum=bytes(range(64))),
    Custom(sub_type=9, data=b"custom's"),
    Vendor(FW_RSC_VENDOR_START, 13, b"vends"),
    Unknown(FW_RSC_VENDOR_END + 1, b"nobody knows"),
    Vdev.of(VdevHeader(id=7, notifyid=2), [Vring(ANY, 16, 8, 0), Vring(ANY, 16, 8, 1)], b"config"),
]


@pytest.mark.parametrize("entry", EVERY_KIND, ids=lambda each: type(each).__name__)
def test_the_fields_of_an_entry_of_any_kind_follow_each_other_and_hold_its_bytes(entry):
    table = build_table([entry], view=VIEW, address=BASE)
    data = table.encode()
    at = 0
    for each in table.fields():
        field = table.data(each.at.path)
        assert (field.at, field.at.address - BASE) == (each.at, at)
        value = each.value if isinstance(each.value, bytes) else each.value.to_bytes(len(field.value), "little")
        assert field.value == value == data[at : at + len(value)]
        at += len(value)
    assert at == len(data) == table.size


def test_the_number_of_an_entry_of_unknown_kind_is_one_past_the_vendors():
    kinds = [FW_RSC_VENDOR_START - 1, FW_RSC_VENDOR_START, FW_RSC_VENDOR_END, FW_RSC_VENDOR_END + 1]
    table = build_table([Vendor(kind, 8) if i in (1, 2) else Unknown(kind) for i, kind in enumerate(kinds)])
    assert [each.at.path for each in table.entries] == ["unknown[0]", "vendor[0]", "vendor[1]", "unknown[1]"]


def test_the_last_entry_may_be_a_type_word_and_no_less():
    whole = build_table([Unknown(77)]).encode()
    assert [each.value for each in decode_table_bytes(whole).entries] == [Unknown(77)]
    with pytest.raises(TableError) as caught:
        decode_table_bytes(whole[:-1])
    assert caught.value.rule == "table.offset-past-end"


@pytest.mark.parametrize(("offset", "rule"), [(28, None), (27, "table.offset-into-header")])
def test_the_first_entry_may_follow_the_offsets_at_once(offset, rule):
    table = build_table([Unknown(77), Unknown(78), Unknown(79)])
    assert table.offsets[0] == 28
    errors = scan_table_bytes(table.patched("offset[0]", offset)).errors
    assert [error.rule for error in errors] == ([] if rule is None else [rule])


def test_as_many_entries_as_a_table_may_have_are_read():
    table = build_table([Unknown(77)] * MAX_ENTRIES)
    assert len(table.entries) == MAX_ENTRIES
    (error,) = scan_table_bytes(table.patched("header.num", MAX_ENTRIES + 1)).errors
    assert (error.rule, error.found) == ("table.too-many-entries", MAX_ENTRIES + 1)


def test_of_a_table_of_another_version_its_number_of_entries_is_no_error_besides():
    wrong = decode_table_bytes(broken("header.num", 3)).patched("header.ver", 2)
    absurd = wrong[:4] + b"\xff\xff\0\0" + wrong[8:]
    assert [error.rule for error in scan_table_bytes(absurd).errors] == ["table.version"]


def test_a_table_that_is_made_too_short_for_its_entries_does_not_encode():
    table = healthy()
    last = table.entries[-1].at.address
    with pytest.raises(TableError) as caught:
        replace(table, size=table.size - 1).encode()
    assert (caught.value.rule, caught.value.expected, caught.value.found) == (
        "table.truncated",
        f"end <= {table.size - 1}",
        table.size,
    )
    assert f"{VIEW} at {last:#010x}" in str(caught.value)


@pytest.mark.parametrize(("ahead", "found"), [(4, 4), (64, 64), (68, None), (6, None), (0, None)])
def test_a_table_is_found_further_on_within_64_bytes(ahead, found):
    assert table_further_on(b"\xff" * ahead + healthy().encode()) == found


def test_what_is_no_table_yet_is_not_found_further_on():
    for path, value in (("header.num", 0), ("header.reserved[1]", 1), ("offset[1]", 0x7FFF_FFFF)):
        assert table_further_on(bytes(4) + broken(path, value)) is None


def test_the_bytes_behind_the_vrings_are_read_where_the_header_says_there_is_no_config_space():
    """As NuttX 9.0 has it."""
    vdev = Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 8, 0)])
    table = decode_table_bytes(build_table([vdev]).encode() + b"behind", view=VIEW, address=BASE)
    found = table.after_vrings(table.vdevs[0], 4)
    assert found.value == b"behi"
    assert str(found.at) == f"{VIEW} at {BASE + table.size - 6:#010x} (vdev[0].config)"


def test_a_field_that_is_not_there_or_holds_no_number_is_a_usage_error():
    with pytest.raises(UsageError, match=r"no such field.*vdev\[1\]\.status"):
        healthy().field("vdev[1].status")
    with pytest.raises(UsageError, match="bytes, not a number"):
        healthy().field("trace[0].name")


def test_one_patched_field_changes_and_nothing_else():
    table = healthy()
    patched = decode_table_bytes(table.patched("vdev[0].vring[1].align", 3), view=VIEW, address=BASE)
    before = {each.at.path: each.value for each in table.fields()}
    after = {each.at.path: each.value for each in patched.fields()}
    assert {path for path in before if before[path] != after[path]} == {"vdev[0].vring[1].align"}
    with pytest.raises(UsageError, match="does not fit: expected 1 bytes, found 256"):
        table.patched("vdev[0].status", 256)


def test_two_vdevs_and_two_carveouts_count_separately():
    vdev, carveout = healthy().vdevs[0].value, healthy().carveouts[0].value
    table = build_table([vdev, carveout, vdev, carveout])
    assert [each.at.path for each in table.entries] == ["vdev[0]", "carveout[0]", "vdev[1]", "carveout[1]"]


def broken(path, value):
    return healthy().patched(path, value)


@pytest.mark.parametrize(
    ("data", "rule", "says"),
    [
        (b"", "table.truncated", "(header)"),
        (bytes(15), "table.truncated", "(header)"),
        (broken("header.ver", 2), "table.version", "expected 1, found 2"),
        (broken("header.num", MAX_ENTRIES + 1), "table.too-many-entries", "header.num"),
        (broken("header.num", 200), "table.truncated", "offset[]"),
        (broken("offset[1]", 0x7FFFFFFF), "table.offset-past-end", "offset[1]"),
        (broken("offset[1]", 0x80000000), "table.offset-huge", "found 0x80000000"),
        (broken("offset[2]", len(healthy().encode()) - 8), "table.truncated", None),
        (broken("vdev[0].num_of_vrings", 255), "table.truncated", "vdev[0].num_of_vrings"),
        (broken("vdev[0].config_len", 0xFFFFFFFF), "table.truncated", "vdev[0].config_len"),
        (build_table([Vendor(200, 8)]).patched("vendor[0].len", 9), "table.truncated", "vendor[0].len"),
        (healthy().encode()[:-1], "table.truncated", "carveout[0]"),
    ],
)
def test_what_cannot_be_decoded_is_named_with_its_place(data, rule, says):
    with pytest.raises(TableError) as caught:
        decode_table_bytes(data, view=VIEW, address=BASE)
    assert caught.value.rule == rule
    assert says is None or says in str(caught.value)
    assert f"{VIEW} at 0x1004" in str(caught.value)


def test_a_scan_gives_the_entries_that_decode_beside_the_errors_of_the_others():
    scan = scan_table_bytes(broken("offset[1]", 0x90000000), view=VIEW, address=BASE)
    assert [each.at.path for each in scan.table.entries] == ["trace[0]", "carveout[0]"]
    assert [error.rule for error in scan.errors] == ["table.offset-huge"]


def test_an_entry_that_does_not_decode_still_counts_in_the_paths_of_those_behind_it():
    vdev = healthy().vdevs[0].value
    table = build_table([vdev, vdev])
    scan = scan_table_bytes(table.patched("vdev[0].config_len", 0x10000))
    assert [each.at.path for each in scan.table.entries] == ["vdev[1]"]


def test_memory_that_ends_inside_the_table_is_a_table_error():
    memory = BytesMemory(VIEW, BASE, healthy().encode()[:100])
    scan = scan_table(memory, BASE, 4096)
    assert {error.rule for error in scan.errors} == {"table.outside-memory"}
    assert scan_table(memory, BASE + 0x10000, 4096).table is None


def test_an_absurd_entry_count_costs_nothing():
    class Counting(BytesMemory):
        reads = 0

        def read(self, address, size):
            self.reads += size
            return super().read(address, size)

    memory = Counting(VIEW, 0, bytes([1, 0, 0, 0, 255, 255, 255, 255]) + bytes(8))
    with pytest.raises(TableError, match="too many entries"):
        decode_table(memory, 0, 1 << 31)
    assert memory.reads == 16


def test_nxp_vendor_entries_can_be_read_as_such():
    vendor = Vendor(128, 20, (1).to_bytes(4, "little") + (2).to_bytes(4, "little") + (3).to_bytes(4, "little"))
    assert vendor.imx == ImxVendor(128, 20, 1, 2, 3)
    assert Vendor(128, 8).imx is None


def test_rings_at_0_and_at_any_are_dynamic_and_no_others():
    assert [Vring(da, 16, 8).is_dynamic for da in (0, ANY, 1, BASE)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("word", "code", "argument", "text"),
    [
        (0x00010000, CommandCode.READY, 0, "READY"),
        (0x00020005, CommandCode.PANIC, 5, "PANIC 0x5"),
        (0x00030000, CommandCode.RESET, 0, "RESET"),
        (0x00040000, CommandCode.STOP, 0, "STOP"),
        (0xFFFF0000, CommandCode.ACK, 0, "ACK"),
        (0x12340000, None, 0, "command 0x1234"),
    ],
)
def test_command_words_are_named(word, code, argument, text):
    command = CommandWord(word)
    assert (command.code, command.argument, str(command)) == (code, argument, text)


def test_feature_and_status_bits_are_named_and_unnamed_ones_numbered():
    assert feature_names(1 << 32 | 1 << 29 | 1 << 17 | 1) == ("NS", "bit 17", "EVENT_IDX", "VERSION_1")
    assert status_names(0x27) == ("ACKNOWLEDGE", "DRIVER", "DRIVER_OK", "bit 5")


def test_entries_over_each_other_do_not_multiply_the_tables_bytes():
    """256 offsets to one vdev with a config space of all the table (attack, struct/mk.py)."""
    size = 100_000
    offset = 16 + 4 * 256
    head = struct.pack("<4I", 1, 256, 0, 0) + struct.pack("<I", offset) * 256
    data = (head + struct.pack("<6I2B2B", 3, 7, 0, 0, 0, size - 2000, 0, 0, 0, 0)).ljust(size, b"\0")
    scan = scan_table_bytes(data)
    assert len(scan.table.entries) == 4
    assert {error.rule for error in scan.errors} == {"table.entries-overlap"}
