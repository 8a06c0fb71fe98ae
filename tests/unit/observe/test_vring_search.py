"""Vrings that no table describes, found in memory by what went through them."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.translation import AddressRange
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.observe.given import GivenVring
from orchestrator.observe.views import Views
from orchestrator.observe.vring_search import VringSearch, rings_in_memory

PA, DA, SIZE = 0x3004_0000, 0x1004_0000, 0x1_0000
BUFFERS = DA + 0x8000
WRITE = 2


class Shared:
    """Memory of both cores, and rings that a test makes in it."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        main, remote = BytesMemory("cpu_main", PA, self.data), BytesMemory("cpu_remote", DA, self.data)
        self.views = Views.of({"main": main, "remote": remote}, given=(AddressRange(PA, DA, SIZE, "shared"),))
        self.memory = main

    def poke(self, address: int, *halfwords: int) -> None:
        self.memory.write(address, struct.pack(f"<{len(halfwords)}H", *(each & 0xFFFF for each in halfwords)))

    def ring(
        self,
        offset: int,
        *,
        num: int = 4,
        align: int = 16,
        pool: bool = False,
        offered: int = 3,
        returned: int = 1,
        buffers: int = BUFFERS,
    ) -> RingLayout:
        """A ring through which chains went, from the head in the middle on, and returned in this order: so that no
        half of it reads as a ring.
        """
        layout = RingLayout.legacy(PA + offset, num, align)
        flags = WRITE if pool else 0
        for i in range(num):
            self.memory.write(layout.desc_at(i), struct.pack("<QIHH", buffers + 64 * i, 64, flags, 0))
        for i in range(max(0, offered - num), offered):
            self.poke(layout.avail_ring_at(i), (i + num // 2) % num)
        for i in range(max(0, returned - num), returned):
            self.memory.write(layout.used_ring_at(i), struct.pack("<II", (i + num // 2) % num, 0))
        self.poke(layout.avail_idx_at, offered)
        self.poke(layout.used_idx_at, returned)
        return layout

    def found(self) -> tuple[GivenVring, ...]:
        return tuple(each.vring for each in rings_in_memory(self.views))


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.mark.parametrize(("num", "align"), [(2, 16), (4, 16), (8, 64), (16, 4096), (64, 32)])
def test_two_rings_of_a_device_are_found_with_their_layout(shared: Shared, num: int, align: int) -> None:
    first = shared.ring(0, num=num, align=align, pool=True, offered=min(num, 3), returned=1)
    second = shared.ring(0x2000, num=num, align=align, offered=2, returned=2, buffers=BUFFERS + 0x4000)
    found = rings_in_memory(shared.views)
    assert [each.vring for each in found] == [
        GivenVring(DA, num, align),
        GivenVring(DA + 0x2000, num, align),
    ]
    assert [each.extent for each in found] == [first.extent, second.extent]
    assert [(each.used_idx, each.is_pool) for each in found] == [(1, True), (2, False)]


def test_the_one_that_carries_to_main_comes_first_wherever_it_lies(shared: Shared) -> None:
    shared.ring(0)
    shared.ring(0x200, pool=True, buffers=BUFFERS + 0x1000)
    assert [each.address for each in shared.found()] == [DA + 0x200, DA]


def test_two_devices_are_four_rings(shared: Shared) -> None:
    for i in range(4):
        shared.ring(0x200 * i, pool=i % 2 == 0, buffers=BUFFERS + 0x1000 * i)
    assert [each.address for each in shared.found()] == [DA + 0x200 * i for i in range(4)]


def one_alone(shared: Shared) -> None:
    shared.ring(0, pool=True)


def two_of_a_kind(shared: Shared) -> None:
    shared.ring(0, pool=True)
    shared.ring(0x200, pool=True, buffers=BUFFERS + 0x1000)


def far_apart(shared: Shared) -> None:
    shared.ring(0, pool=True, buffers=BUFFERS - 0x4000)
    shared.ring(0x4100, buffers=BUFFERS - 0x3000)


def broken(change: Callable[[Shared, RingLayout], None]) -> Callable[[Shared], None]:
    """A device whose second ring has something that no ring has."""

    def make(shared: Shared) -> None:
        shared.ring(0, pool=True)
        change(shared, shared.ring(0x200, buffers=BUFFERS + 0x1000))

    return make


NONE: dict[str, Callable[[Shared], None]] = {
    "one ring alone": one_alone,
    "two rings of one direction": two_of_a_kind,
    "rings further apart than 16 KiB": far_apart,
    "flags that there are not": broken(lambda shared, at: shared.poke(at.avail_flags_at, 2)),
    "used flags that there are not": broken(lambda shared, at: shared.poke(at.used_flags_at, 2)),
    "nothing returned": broken(lambda shared, at: shared.poke(at.used_idx_at, 0)),
    "more offered than there are": broken(lambda shared, at: shared.poke(at.avail_idx_at, 6)),
    "more returned than offered": broken(lambda shared, at: shared.poke(at.used_idx_at, 4)),
    "a head that is no descriptor": broken(lambda shared, at: shared.poke(at.avail_ring_at(1), 9)),
    "one head twice": broken(lambda shared, at: shared.poke(at.avail_ring_at(1), 0)),
    "an id that was never offered": broken(lambda shared, at: shared.poke(at.used_ring_at(0), 1)),
    "buffers of both directions": broken(lambda shared, at: shared.poke(at.desc_at(3) + 12, WRITE)),
    "a buffer of one core": broken(
        lambda shared, at: shared.memory.write(at.desc_at(3), struct.pack("<Q", DA + SIZE - 32))
    ),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_not_clear_is_not_found(shared: Shared, name: str) -> None:
    NONE[name](shared)
    assert shared.found() == ()


def test_as_much_as_a_ring_may_have_is_found(shared: Shared) -> None:
    """The limits of what is told apart above."""
    first = shared.ring(0, pool=True, offered=4, returned=1)
    second = shared.ring(0x200, offered=5, returned=1, buffers=BUFFERS + 0x1000)
    shared.poke(first.avail_flags_at, 1)
    shared.poke(second.used_flags_at, 1)
    shared.memory.write(second.desc_at(3), struct.pack("<Q", DA + SIZE - 64))
    assert len(shared.found()) == 2


def test_a_second_look_finds_something_new_or_not(shared: Shared) -> None:
    search = VringSearch()
    assert not search.look(shared.views)
    shared.ring(0, pool=True)
    second = shared.ring(0x200, buffers=BUFFERS + 0x1000)
    assert search.look(shared.views)
    assert not search.look(shared.views)
    assert search.changed(second.extent)
    assert not search.changed(Extent(second.extent.start, 1))
