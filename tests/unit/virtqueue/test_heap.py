"""The heap over a carveout: what it gives out, and what it says of owners that misuse it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent
from orchestrator.virtqueue import Heap

CARVEOUT = Extent(0x1004_1000, 0x1000)


def test_pieces_are_aligned_and_come_back_as_one() -> None:
    heap = Heap(CARVEOUT)
    pieces = [heap.allocate(100, f"buffer {i}") for i in range(4)]
    assert pieces == [0x1004_1000, 0x1004_1070, 0x1004_10E0, 0x1004_1150]
    for each in (2, 0, 1, 3):
        assert heap.free(pieces[each] or 0)
    assert heap.report().largest == heap.report().free == 0x1000


def test_an_exhausted_heap_gives_nothing_and_recovers() -> None:
    heap = Heap(Extent(0, 64))
    first = heap.allocate(64)
    assert first == 0
    assert heap.allocate(1) is None
    heap.free(first)
    assert heap.allocate(64) == 0


def test_a_piece_given_back_twice_is_reported_and_harms_nothing() -> None:
    heap = Heap(CARVEOUT)
    piece = heap.allocate(64) or 0
    heap.free(piece)
    assert not heap.free(piece)
    assert [each.kind for each in heap.report().faults] == ["double-free"]
    assert heap.report().free == 0x1000


def test_an_address_inside_a_piece_is_not_a_piece() -> None:
    heap = Heap(CARVEOUT)
    piece = heap.allocate(64, "vring 0") or 0
    assert not heap.free(piece + 16)
    (fault,) = heap.report().faults
    assert fault.kind == "not-allocated"
    assert "vring 0" in str(fault)


def test_a_place_that_is_taken_cannot_be_reserved() -> None:
    heap = Heap(CARVEOUT)
    assert heap.reserve(Extent(0x1004_1100, 0x100), "vring 0")
    assert not heap.reserve(Extent(0x1004_1180, 0x100), "vring 1")
    (fault,) = heap.report().faults
    assert fault.kind == "overlap"
    assert "vring 1 overlaps 0x10041100..0x10041200 (vring 0)" in fault.what


def test_what_is_still_out_is_listed_with_its_label() -> None:
    heap = Heap(CARVEOUT)
    heap.allocate(16, "rx 0")
    assert heap.report().allocated == ((Extent(0x1004_1000, 16), "rx 0"),)


def test_crumbs_are_fragmentation() -> None:
    heap = Heap(Extent(0, 256))
    pieces = [heap.allocate(16) for _ in range(16)]
    for piece in pieces[::2]:
        heap.free(piece or 0)
    report = heap.report()
    assert (report.free, report.largest) == (128, 16)
    assert report.fragmentation == pytest.approx(0.875)
    assert "88% fragmented" in str(report)


def test_an_alignment_must_be_a_power_of_two() -> None:
    with pytest.raises(UsageError, match="alignment"):
        Heap(CARVEOUT, align=24)


@given(st.lists(st.one_of(st.integers(1, 700), st.integers(-40, -1)), max_size=60), st.sampled_from([1, 16, 64]))
def test_pieces_never_overlap_and_nothing_is_lost(steps: list[int], align: int) -> None:
    heap = Heap(Extent(0x1003, 0x1000), align)
    whole = heap.report().free
    out: list[Extent] = []
    for step in steps:
        if step > 0:
            start = heap.allocate(step)
            if start is not None:
                assert start % align == 0
                piece = Extent(start, step)
                assert piece in heap.extent
                assert not any(piece.overlaps(each) for each in out)
                out.append(piece)
        elif out:
            assert heap.free(out.pop(step % len(out)).start)
    for each in out:
        assert heap.free(each.start)
    report = heap.report()
    assert (report.free, report.largest, report.allocated, report.faults) == (whole, whole, (), ())


@pytest.mark.parametrize("align", [0, -16, 3, 24])
def test_no_other_number_is_an_alignment(align: int) -> None:
    with pytest.raises(UsageError, match="alignment"):
        Heap(CARVEOUT, align=align)
    if align > 0:
        with pytest.raises(UsageError, match="no piece"):
            Heap(CARVEOUT, 1).allocate(16, align=align)
    for size in (0, -1):
        with pytest.raises(UsageError, match="no piece"):
            Heap(CARVEOUT).allocate(size)


def test_a_piece_may_be_aligned_further_than_its_heap() -> None:
    heap = Heap(Extent(0x1010, 0x200))
    assert heap.allocate(16, align=0x100) == 0x1100
    assert heap.allocate(0xF0) == 0x1010
    assert heap.allocate(16, align=1) == 0x1110
    assert heap.report().free == 0x200 - 16 - 0xF0 - 16


@pytest.mark.parametrize(
    ("extent", "size"),
    [(Extent(0x1001, 30), 0), (Extent(0x1001, 31), 16), (Extent(0x1000, 15), 0), (Extent(0x1000, 16), 16)],
)
def test_a_heap_begins_and_ends_at_its_alignment(extent: Extent, size: int) -> None:
    report = Heap(extent).report()
    assert (report.size, report.free, report.largest) == (size, size, size)
    assert Heap(extent).allocate(1) == (None if size == 0 else extent.start + 15 & ~15)


def test_a_place_is_reserved_with_the_aligned_bytes_around_it_and_comes_back() -> None:
    heap = Heap(CARVEOUT)
    assert heap.reserve(Extent(0x1004_1108, 0x10), "vring 0")
    assert heap.report().allocated == ((Extent(0x1004_1100, 0x20), "vring 0"),)
    assert heap.allocate(0x110) == 0x1004_1120
    assert heap.allocate(0x100) == 0x1004_1000
    assert heap.free(0x1004_1100)
    assert heap.allocate(0x20) == 0x1004_1100


@pytest.mark.parametrize("extent", [Extent(0x1004_0FF0, 0x20), Extent(0x1004_1FF0, 0x20)])
def test_a_place_beyond_the_heap_overlaps_its_end(extent: Extent) -> None:
    heap = Heap(CARVEOUT)
    assert not heap.reserve(extent)
    (fault,) = heap.report().faults
    assert str(fault) == f"overlap: {extent}: a piece overlaps the end of the heap"


def test_an_address_that_was_given_out_again_is_no_double_free() -> None:
    heap = Heap(CARVEOUT)
    piece = heap.allocate(64, "first") or 0
    assert heap.free(piece)
    assert heap.allocate(32, "second") == piece
    assert heap.allocate(32, "third") == piece + 32
    assert heap.free(piece + 32)
    assert not heap.free(piece + 16)
    (fault,) = heap.report().faults
    assert str(fault) == (
        f"not-allocated: {Extent(piece + 16, 0)}: given back; there is {Extent(piece, 32)} (second) at this address"
    )


def test_of_many_faults_the_first_64_are_kept() -> None:
    heap = Heap(CARVEOUT)
    for each in range(70):
        assert not heap.free(each)
    found = heap.report().faults
    assert [each.extent.start for each in found] == list(range(64))
    assert "there is nothing at this address" in str(found[0])


def test_a_full_heap_is_not_fragmented() -> None:
    heap = Heap(Extent(0, 64))
    heap.allocate(64)
    assert heap.report().fragmentation == 0.0
    assert str(heap.report()) == ("0 of 64 bytes free, the largest piece 0 (0% fragmented), 1 allocated, 0 faults")
