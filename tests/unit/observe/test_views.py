"""Bytes under both cores' addresses: where each has memory for all of them, and how they lie to each other."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.views import Span, Views

PA, DA, SIZE = 0x3004_0000, 0x1004_0000, 0x100


@pytest.fixture
def views() -> Views:
    """A dump: main has one byte in front of what both share, the remote one behind it."""
    memories = {
        "main": BytesMemory("cpu_main", PA - 1, bytes(SIZE + 1)),
        "remote": BytesMemory("cpu_remote", DA, bytes(SIZE + 1)),
    }
    return Views.of(memories, given=(AddressRange(PA - 1, DA - 1, SIZE + 2),))


@pytest.mark.parametrize(
    ("offset", "size", "main", "remote"),
    [
        (0, SIZE, True, True),
        (-1, SIZE, True, False),
        (-2, 1, False, False),
        (1, SIZE, False, True),
        (SIZE, 1, False, True),
        (SIZE + 1, 1, False, False),
        (0, 0, False, False),
    ],
)
def test_a_core_reaches_what_it_has_both_ends_of(
    views: Views, offset: int, size: int, main: bool, remote: bool
) -> None:
    assert views.reaches("main", Extent(PA + offset, size)) is main
    assert views.reaches("remote", Extent(DA + offset, size)) is remote


def test_nothing_reaches_past_the_end_of_the_address_space() -> None:
    memory = BytesMemory("cpu", (1 << 32) - 16, bytes(32))
    views = Views.of({"main": memory, "remote": memory})
    assert views.reaches("main", Extent((1 << 32) - 16, 16))
    assert not views.reaches("main", Extent((1 << 32) - 16, 17))


def test_in_a_dump_without_a_map_both_cores_say_the_same_addresses() -> None:
    memory = BytesMemory("cpu", PA, bytes(SIZE))
    views = Views.of({"main": memory, "remote": memory})
    assert views.span_at_da("x", PA + 8, 16) == views.span_at_pa("x", PA + 8, 16) == Span("x", 16, PA + 8, PA + 8)


def test_an_address_of_either_core_gives_the_same_span(views: Views) -> None:
    span = Span("x", 16, PA + 8, DA + 8)
    assert views.span_at_pa("x", PA + 8, 16) == views.span_at_da("x", DA + 8, 16) == span
    assert views.span_at("main", "x", PA + 8, 16) == views.span_at("remote", "x", DA + 8, 16) == span
    assert views.span_at_pa("x", PA - 1, 2) == Span("x", 2, PA - 1, None)
    assert views.span_at_da("x", DA + SIZE, 1) == Span("x", 1, None, DA + SIZE)
    assert views.span_at_pa("x", PA + 0x5000, 1) == Span("x", 1, None, None)
    assert views.span_at_da("x", DA + 0x5000, 1) == Span("x", 1, None, None)


def test_a_span_is_seen_by_those_who_have_it() -> None:
    both, main = Span("x", 16, PA, DA), Span("x", 16, PA, None)
    assert both.extents == (Extent(PA, 16), Extent(DA, 16))
    assert main.extents == (Extent(PA, 16),)
    assert str(main) == f"main {Extent(PA, 16)}, remote nowhere"
    assert both.part("y", 4, 8) == Span("y", 8, PA + 4, DA + 4)
    assert main.part("y", 4, 8) == Span("y", 8, PA + 4, None)


@pytest.mark.parametrize(
    ("other", "overlaps", "contains"),
    [
        (Span("y", 16, PA, DA), True, True),
        (Span("y", 8, PA + 8, DA + 8), True, True),
        (Span("y", 9, PA + 8, DA + 8), True, False),
        (Span("y", 8, PA + 16, DA + 16), False, False),
        (Span("y", 8, PA - 8, DA - 8), False, False),
        (Span("y", 9, PA - 8, DA - 8), True, False),
        (Span("y", 8, PA, None), True, True),
        (Span("y", 8, None, DA), True, True),
        (Span("y", 8, None, DA + 16), False, False),
        (Span("y", 8, None, None), False, False),
    ],
)
def test_spans_share_bytes_by_whichever_address_both_have(other: Span, overlaps: bool, contains: bool) -> None:
    span = Span("x", 16, PA, DA)
    assert span.overlaps(other) is other.overlaps(span) is overlaps
    assert span.contains(other) is contains


def test_spans_of_one_core_each_share_nothing() -> None:
    main, remote = Span("x", 16, PA, None), Span("y", 16, None, DA)
    assert not main.overlaps(remote)
    assert not main.contains(remote)
