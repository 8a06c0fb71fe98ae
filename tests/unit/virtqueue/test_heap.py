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
