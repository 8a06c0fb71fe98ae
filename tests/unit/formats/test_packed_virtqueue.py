"""A packed queue's three parts: their sizes, their alignments, and how far they reach."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import RingError
from orchestrator.base.memory import Extent
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.virtqueue import MAX_QUEUE_SIZE

BASE = 0x3004_0000


@pytest.mark.parametrize("num", [1, 3, 8, MAX_QUEUE_SIZE])
def test_sizes_and_alignments_are_those_of_the_specification(num: int) -> None:
    parts = PackedLayout.contiguous(BASE, num).parts
    assert [(each.name, each.extent.size, each.alignment) for each in parts] == [
        ("desc", 16 * num, 16), ("driver", 4, 4), ("device", 4, 4),
    ]  # fmt: skip
    assert [each.extent.start for each in parts] == [BASE, BASE + 16 * num, BASE + 16 * num + 4]


@pytest.mark.parametrize("num", [-1, 0, MAX_QUEUE_SIZE + 1])
def test_a_queue_size_out_of_range_lays_out_no_ring(num: int) -> None:
    with pytest.raises(RingError) as caught:
        PackedLayout(num, BASE, BASE + 0x1000, BASE + 0x2000)
    assert caught.value.rule == "ring.num"
    assert str(caught.value) == f"queue size out of range: expected 1..32768, found {num}"


def test_a_queue_reaches_from_the_first_of_its_parts_to_the_end_of_the_last_wherever_they_lie() -> None:
    layout = PackedLayout(8, desc=BASE + 0x1000, driver=BASE + 0x1800, device=BASE)
    assert layout.extent == Extent.between(BASE, BASE + 0x1804)
    assert layout.desc_at(7) == BASE + 0x1070
