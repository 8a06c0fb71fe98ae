"""Ranges of addresses and what is free of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.memory import Extent

ranges = st.builds(Extent, st.integers(0, 40), st.integers(0, 12))


def test_gaps_are_what_nothing_takes_though_what_is_taken_is_nested_or_outside() -> None:
    taken = [Extent(12, 10), Extent(14, 2), Extent(5, 6), Extent(40, 9)]
    assert list(Extent(10, 20).gaps(taken)) == [Extent(11, 1), Extent(22, 8)]
    assert list(Extent(10, 20).gaps([])) == [Extent(10, 20)]
    assert list(Extent(10, 20).gaps([Extent(0, 99)])) == []


@given(ranges, st.lists(ranges))
def test_every_address_is_taken_or_in_one_gap(whole: Extent, taken: list[Extent]) -> None:
    gaps = list(whole.gaps(taken))
    for address in range(whole.start, whole.end):
        is_free = not any(address in each for each in taken)
        assert [address in gap for gap in gaps].count(True) == is_free
    assert all(gap in whole and gap.size for gap in gaps)
