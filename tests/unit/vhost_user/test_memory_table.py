"""The memory table: addresses translated as librte_vhost does, and every descriptor and mapping accounted for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vhost import GUEST, SIZE, USER, Descriptors, GuestMemory

from orchestrator.base.errors import RptwinError, TranslationError, VhostUserError
from orchestrator.vhost_user import MemoryTable, RegionEntry
from orchestrator.vhost_user.dirty_log import DirtyLog
from orchestrator.vhost_user.messages import LogBase


@pytest.fixture
def table() -> Iterator[MemoryTable]:
    made = MemoryTable()
    yield made
    made.close()


@pytest.fixture
def file() -> Iterator[Callable[[], int]]:
    """``file()``: another descriptor of one file of 64 KB, which its taker closes."""
    descriptor = os.memfd_create("vhost-test")
    os.ftruncate(descriptor, 0x10000)
    yield lambda: os.dup(descriptor)
    os.close(descriptor)


def test_what_the_front_end_has_at_an_address_stands_at_it_here(table: MemoryTable, guest: GuestMemory) -> None:
    table.replace([guest.entry], [os.dup(guest.file)])
    guest.memory.write(GUEST + 5, b"hello")
    assert table.read(GUEST + 5, 5) == b"hello"
    table.write(GUEST + SIZE - 3, b"end")
    assert guest.memory.read(GUEST + SIZE - 3, 3) == b"end"
    table.store16(GUEST + 2, 0x1234)
    assert guest.memory.load16(GUEST + 2) == table.load16(GUEST + 2) == 0x1234
    table.store16(GUEST + 7, 0xABCD)  # an odd address is no index's, and is stored all the same
    assert table.load16(GUEST + 7) == 0xABCD


pieces = st.lists(st.tuples(st.integers(1, 0x40), st.integers(1, 0x30)), min_size=1, max_size=8)


@given(pieces, st.integers(0, 0x400), st.integers(0, 0x100))
def test_user_addresses_are_translated_as_librte_vhost_does(
    layout: list[tuple[int, int]], probe: int, length: int
) -> None:
    """``qva_to_vva``: region found, offset added, length clamped at its end; no region: length 0."""
    table = MemoryTable()
    file = os.memfd_create("vhost-test")
    os.ftruncate(file, 0x1000)
    user, entries = USER, []
    for index, (gap, size) in enumerate(layout):
        user += gap
        entries.append(RegionEntry(GUEST + 0x1000 * index, size, user, index))
        user += size
    table.replace(entries, [os.dup(file) for _ in entries])
    os.close(file)
    try:
        address = USER + probe
        expected = (0, 0)
        for each in entries:
            if each.user <= address < each.user + each.length:
                offset = address - each.user
                expected = (each.guest + offset, min(length, each.length - offset))
        assert table.user_to_guest(address, length) == expected
    finally:
        table.close()


def test_a_buffer_may_lie_across_regions_whose_guest_addresses_touch(
    table: MemoryTable, file: Callable[[], int]
) -> None:
    entries = [RegionEntry(GUEST, 0x100, USER, 0), RegionEntry(GUEST + 0x100, 0x100, USER + 0x5000, 0x8000)]
    table.replace(entries, [file(), file()])
    table.write(GUEST + 0xFE, b"abcd")
    assert table.read(GUEST + 0xFE, 4) == b"abcd"
    assert table.read(GUEST + 0x100, 2) == b"cd"
    with pytest.raises(TranslationError, match=r"no memory"):
        table.read(GUEST + 0x1FE, 4)
    with pytest.raises(TranslationError):
        table.write(GUEST - 2, b"abcd")
    assert table.user_to_guest(USER + 0xFE, 4) == (GUEST + 0xFE, 2)  # a ring may not


def test_the_same_table_again_keeps_the_mappings_and_closes_the_new_descriptors(
    table: MemoryTable, file: Callable[[], int]
) -> None:
    entry = RegionEntry(GUEST, 0x100, USER, 0)
    before = Descriptors()
    assert table.replace([entry], [file()])
    assert before.left == (1, 1)  # Python keeps a descriptor of its own with each mapping
    table.write(GUEST, b"kept")
    assert not table.replace([entry], [file()])
    assert before.left == (1, 1)  # Python keeps a descriptor of its own with each mapping
    assert table.replace([RegionEntry(GUEST, 0x200, USER, 0)], [file()])
    assert before.left == (1, 1)  # Python keeps a descriptor of its own with each mapping
    assert table.read(GUEST, 4) == b"kept"
    table.close()
    assert before.left == (0, 0)
    with pytest.raises(TranslationError):
        table.read(GUEST, 4)


def test_an_address_found_before_is_not_found_where_it_was_after_a_change(
    table: MemoryTable, file: Callable[[], int]
) -> None:
    table.replace([RegionEntry(GUEST, 0x100, USER, 0)], [file()])
    table.write(GUEST, b"old")
    table.replace([RegionEntry(GUEST, 0x100, USER, 0x1000)], [file()])
    assert table.read(GUEST, 3) == bytes(3)


def test_regions_are_added_and_removed_one_by_one(table: MemoryTable, file: Callable[[], int]) -> None:
    first, second = RegionEntry(GUEST, 0x100, USER, 0), RegionEntry(GUEST + 0x1000, 0x100, USER + 0x1000, 0x100)
    table.add(first, [file()])
    table.add(second, [file()])
    table.write(GUEST + 0x1000, b"x")
    table.remove(first)
    assert table.regions == (second,)
    with pytest.raises(VhostUserError, match="REM_MEM_REG: no such region"):
        table.remove(first)


BAD = {
    "past the file's end": (RegionEntry(GUEST, 0x10001, USER, 0), "behind its file's end: expected a file of 0x10001"),
    "offset past the end": (RegionEntry(GUEST, 0x100, USER, 0x10000), "behind its file's end"),
    "empty": (RegionEntry(GUEST, 0, USER, 0), "expected some bytes below 2^64"),
    "around the end of memory": (RegionEntry(2**64 - 1, 2, USER, 0), "guest address and size"),
    "user address around the end": (RegionEntry(GUEST, 2, 2**64 - 1, 0), "user address and size"),
    "offset around the end": (RegionEntry(GUEST, 2, USER, 2**64 - 1), "offset and size"),
    "larger than anything": (RegionEntry(0, 2**64 - 1, 0, 0), "behind its file's end"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_region_is_refused_and_the_table_stands_as_it_was(
    table: MemoryTable, file: Callable[[], int], case: str
) -> None:
    entry, text = BAD[case]
    good = RegionEntry(GUEST + 0x20000, 0x100, USER + 0x20000, 0)
    table.replace([good], [file()])
    before = Descriptors()
    for attempt in (lambda: table.replace([good, entry], [file(), file()]), lambda: table.add(entry, [file()])):
        with pytest.raises(VhostUserError, match=re.escape(text)):
            attempt()
    assert before.left == (0, 0)
    assert table.regions == (good,)


@pytest.mark.parametrize("name", ["/dev/null", "pipe", "directory"])
def test_a_descriptor_that_is_no_memory_is_refused(table: MemoryTable, name: str) -> None:
    if name == "pipe":
        descriptor, other = os.pipe()
        os.close(other)
    else:
        descriptor = os.open("/" if name == "directory" else name, os.O_RDONLY)
    with pytest.raises(VhostUserError):
        table.replace([RegionEntry(GUEST, 16, USER, 0)], [descriptor])


def test_overlapping_regions_are_refused(table: MemoryTable, file: Callable[[], int]) -> None:
    entries = [RegionEntry(GUEST, 0x100, USER, 0), RegionEntry(GUEST + 0xFF, 0x100, USER + 0x1000, 0)]
    with pytest.raises(VhostUserError, match="overlaps another region"):
        table.replace(entries, [file(), file()])


def test_more_slots_than_were_promised_are_refused(table: MemoryTable, file: Callable[[], int]) -> None:
    for number in range(32):
        table.add(RegionEntry(0x1000 * number, 16, 0x1000 * number, 0), [file()])
    with pytest.raises(VhostUserError, match="no slot is free: expected at most 32"):
        table.add(RegionEntry(0x100000, 16, 0x100000, 0), [file()])


@given(
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 2**16), st.integers(0, 2**20)), max_size=4),
    st.integers(0, 2**20),
    st.integers(0, 64),
)
def test_no_table_and_no_address_gives_anything_but_bytes_or_an_error(
    regions: list[tuple[int, int, int]], address: int, size: int
) -> None:
    table = MemoryTable()
    file = os.memfd_create("vhost-test")
    os.ftruncate(file, 0x10000)
    try:
        entries = [RegionEntry(guest, length, guest, offset) for guest, length, offset in regions]
        try:
            table.replace(entries, [os.dup(file) for _ in entries])
        except VhostUserError:
            assert table.regions == ()
        try:
            table.write(address, bytes(size))
            assert table.read(address, size) == bytes(size)
        except RptwinError:
            pass
    finally:
        table.close()
        os.close(file)


def test_every_page_that_is_written_has_its_bit_in_the_dirty_log(table: MemoryTable, guest: GuestMemory) -> None:
    table.replace([guest.entry], [os.dup(guest.file)])
    file = os.memfd_create("vhost-test")
    os.ftruncate(file, 0x8000)
    log = DirtyLog(LogBase(0x7000, 0x800), file)
    table.log = log
    table.write(GUEST + 0xFFF, b"ab")
    table.store16(GUEST + 0x5000, 1)
    table.write(GUEST + 0x8000, b"")
    bits = int.from_bytes(os.pread(file, 0x7000, 0x800), "little")
    assert [page for page in range(8 * 0x7000) if bits >> page & 1] == [(GUEST >> 12) + number for number in (0, 1, 5)]
    table.log = None
    log.close()
    with pytest.raises(VhostUserError, match="SET_LOG_BASE: behind its file's end"):
        DirtyLog(LogBase(0x8000, 0x800), file)
    os.close(file)
