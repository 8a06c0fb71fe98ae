"""Which bytes of what reads as a table speak for it when they change, and which say that it is none any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bench import DA, PA, default_entries
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.elf import Image
from orchestrator.formats.resource_table import build_table
from orchestrator.formats.translation import AddressEnvironment, AddressRange
from orchestrator.observe.found import TableSearch
from orchestrator.observe.search import name_of
from orchestrator.observe.views import Views
from orchestrator.observe.watches import Watches

AT = 0x100
TABLE = build_table(default_entries(da=DA + 0x1000), address=PA + AT)
FIXED = 16 + 4 * len(TABLE.offsets)  # bytes of header and offsets


@pytest.fixture
def views() -> Views:
    data = bytearray(0x4000)
    data[AT : AT + TABLE.size] = TABLE.encode()
    memories = {"main": BytesMemory("cpu_main", PA, data), "remote": BytesMemory("cpu_remote", DA, data)}
    return Views.of(memories, given=(AddressRange(PA, DA, len(data)),))


@pytest.fixture
def search(views: Views) -> TableSearch:
    found = TableSearch()
    found.look(views, {}, Watches(None))
    assert list(found.candidates) == [PA + AT]
    return found


@pytest.mark.parametrize(
    ("offset", "is_fixed"),
    [
        (0, True),
        (7, True),
        (8, False),
        (15, False),
        (16, True),
        (FIXED - 1, True),
        (FIXED, False),
        (TABLE.size - 1, False),
    ],
    ids=[
        "version",
        "number",
        "reserved",
        "last reserved",
        "offsets",
        "the last offset",
        "entries",
        "the last byte",
    ],
)
def test_a_table_whose_header_changes_is_none_and_one_whose_entries_do_is_in_use(
    search: TableSearch, views: Views, offset: int, is_fixed: bool
) -> None:
    """RPTUN talks in the reserved words."""
    place = Extent(PA + AT, TABLE.size)
    assert search.changed(views, place) is None  # nothing has
    before = views.memories["main"].read(PA + AT + offset, 1)[0]
    views.memories["main"].write(PA + AT + offset, bytes([before ^ 0x40]))
    found = search.changed(views, place)
    assert (found is None, PA + AT in search.candidates) == (is_fixed, not is_fixed)


@pytest.mark.parametrize(
    ("start", "size", "is_of_it"),
    [(0x1000, None, True), (0x1000, 4, False), (0x1004, None, False), (0x3000, 16, False)],
)
def test_a_ring_speaks_for_the_table_that_names_it(
    search: TableSearch, views: Views, start: int, size: int | None, is_of_it: bool
) -> None:
    candidate = search.candidates[PA + AT]
    ring = candidate.live.rings[0]
    assert ring.span is not None
    found = search.changed(views, Extent(PA + start, ring.span.size if size is None else size))
    assert (found is candidate) is is_of_it
    assert dict(candidate.begun) == {"vdev[0].vring[0]": 0, "vdev[0].vring[1]": 0}


def test_a_place_is_named_by_the_symbol_of_any_address_that_main_has_for_it() -> None:
    """Main has the memory twice, as the remote's addresses tell; its image names the second place."""
    alias = PA + 0x100_0000
    ranges = tuple(AddressRange(start, DA, 0x4000) for start in (PA, alias))
    memories = {"main": BytesMemory("cpu_main", PA, bytes(16)), "remote": BytesMemory("cpu_remote", DA, bytes(16))}
    views = Views(memories, AddressEnvironment(ranges))
    image = cast(Image, SimpleNamespace(symbols={"t": SimpleNamespace(name="t", address=alias + AT, size=64)}))
    assert [name_of(views, {"main": image}, PA + AT + at) for at in (0, 8, 63, 64)] == [
        "main:t",
        "main:t+0x8",
        "main:t+0x3f",
        f"main:{PA + AT + 64:#010x}",
    ]
