"""What is kept of single accesses: the fields and words that they touch, byte by byte, from both sides of each edge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import DA, MAIN, PA, REMOTE, Bench, Script
from orchestrator.base.roles import Side
from orchestrator.observe.history import History
from orchestrator.observe.ring_traffic import Buffer
from orchestrator.observe.run import Run
from orchestrator.observe.views import Span

RX, TX = "vdev[0].vring[0]", "vdev[0].vring[1]"


@pytest.fixture
def bench() -> Bench:
    """After its run; main drives."""
    found = Bench(Script())
    found.run()
    found.observer.run.history = History()
    return found


def history_of(bench: Bench) -> History:
    run: Run = bench.observer.run
    return run.history


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vdev[0].status", 1),
        ("vdev[0].gfeatures", 4),
        ("vdev[0].notifyid", 4),
        (f"{TX}.da", 4),
        (f"{TX}.notifyid", 4),
        (f"{TX}.pa", 4),
    ],
)
@pytest.mark.parametrize("core", [MAIN, REMOTE])
def test_a_field_of_the_table_is_written_by_a_store_that_covers_its_first_byte(
    bench: Bench, core: str, name: str, size: int
) -> None:
    field = bench.table().field(name)
    assert field is not None
    start = field.at.address
    writes = history_of(bench).writes
    for at in (start - 1, start + size):
        bench.access(core, at, 1, before=1, value=2)
    bench.access(core, start, size)  # a read
    if size > 1:
        bench.access(core, start + 1, 1, before=1, value=2)  # what the whole was, nobody knows
    assert name not in writes
    mask = (1 << 8 * size) - 1
    bench.access(core, start, size, before=mask, value=mask - 1)
    bench.access(core, start - 1, 8, before=1 << 8 * size, value=mask << 8)
    role = "main" if core == MAIN else "remote"
    assert [(each.by.role, each.before, each.after) for each in writes[name]] == [
        (role, mask, mask - 1),
        (role, 1 << 8 * (size - 1), mask),
    ]


@pytest.mark.parametrize(
    ("before", "value", "is_back"),
    [(5, 5, False), (5, 6, False), (5, 4, True), (0xFFFF, 0, False), (0, 0xFFFF, True), (1, 0x8000, False),
     (1, 0x8001, True)],
)  # fmt: skip
def test_an_index_goes_back_where_that_is_the_shorter_way(bench: Bench, before: int, value: int, is_back: bool) -> None:
    """At DRIVER_OK; before that a ring is cleared."""
    name = f"{TX}.avail.idx"
    at = bench.sides[0].rings[1].avail + 2
    bench.access(MAIN, at, 2, before=before, value=value)
    found = history_of(bench).backward.get(name)
    assert (found and (found.path, found.before, found.after)) == ((name, before, value) if is_back else None)


def test_an_index_that_is_cleared_before_driver_ok_does_not_go_back(bench: Bench) -> None:
    status = bench.table().field("vdev[0].status")
    assert status is not None
    bench.access(MAIN, status.at.address, 1, before=7, value=3)
    bench.access(MAIN, bench.sides[0].rings[1].avail + 2, 2, before=5, value=0)
    assert history_of(bench).backward == {}


@pytest.mark.parametrize(
    ("offset", "size", "is_look"),
    [(-2, 2, False), (-1, 2, True), (0, 1, True), (0, 2, True), (1, 1, True), (-2, 8, True), (2, 2, False)],
)
@pytest.mark.parametrize(
    ("core", "side", "index"),
    [(MAIN, Side.DRIVER, lambda ring: ring.used + 2), (REMOTE, Side.DEVICE, lambda ring: ring.avail + 2)],
    ids=["driver", "device"],
)
def test_a_side_looks_where_it_reads_a_byte_of_the_others_index(
    bench: Bench, core: str, side: Side, index: Callable[[object], int], offset: int, size: int, is_look: bool
) -> None:
    ring = bench.sides[0].rings[1]
    bench.access(core, index(ring) + offset, size)
    history = history_of(bench)
    assert history.looked_ns == ({(TX, side): bench.time_ns} if is_look else {})
    is_counted = side is Side.DEVICE and not is_look
    assert history.reads == ({(TX, side): {(index(ring) + offset - ring.base, size): 1}} if is_counted else {})


def test_what_a_device_reads_is_counted_until_it_looks_at_the_index(bench: Bench) -> None:
    """Whether it looks elsewhere is asked of a device alone, and of one that has never looked there."""
    ring = bench.sides[0].rings[1]
    history = history_of(bench)
    for core in (MAIN, REMOTE):
        bench.access(core, ring.base, 4)
        bench.access(core, ring.base, 4)
    assert history.reads == {(TX, Side.DEVICE): {(0, 4): 2}}
    bench.access(REMOTE, ring.avail + 2, 2)
    bench.access(REMOTE, ring.base, 4)
    assert history.reads == {}


def test_of_reads_256_places_are_counted_and_each_as_often_as_it_is_read(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    for size in (1, 2, 4):
        for at in range(min(ring.size, 120)):
            bench.access(REMOTE, ring.base + at, size)
    bench.access(REMOTE, ring.base, 1)
    reads = history_of(bench).reads[TX, Side.DEVICE]
    assert (len(reads), reads[0, 1], reads[1, 1]) == (256, 2, 1)
    assert (reads[15, 4], reads[16, 4]) == (1, 0)


@pytest.mark.parametrize(
    ("core", "at", "is_wish"),
    [(REMOTE, "used", True), (MAIN, "used", False), (MAIN, "avail", False), (REMOTE, "avail", False)],
)
def test_the_device_says_in_used_flags_when_to_tell_it(bench: Bench, core: str, at: str, is_wish: bool) -> None:
    ring = bench.sides[0].rings[1]
    address = getattr(ring, at)
    bench.access(core, address, 2, before=0, value=1)
    assert history_of(bench).wishes == ({TX: {address - ring.base}} if is_wish else {})


def test_a_ring_is_the_same_by_every_address_that_its_core_has_for_it(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    for base in (PA, DA):
        bench.access_at(REMOTE, ring.avail - PA + base, 2)
    assert history_of(bench).reads == {(TX, Side.DEVICE): {(ring.avail - ring.base, 2): 2}}


def test_of_bytes_that_went_to_and_fro_in_two_buffers_the_last_passage_counts(bench: Bench) -> None:
    """A driver cuts its memory anew: the shorter buffer has come back, the longer one around it is the device's."""
    ring, buffer = bench.sides[0].rings[1], bench.sides[0].buffers[0]
    history = history_of(bench)

    def pass_on(head: int, at: int, size: int) -> None:
        ring.desc(head, at - PA + DA, size)
        posted = ring.posted

        def offer() -> None:
            ring.offer(head)
            bench.access(MAIN, ring.avail + 2, 2, before=posted, value=posted + 1)

        bench.turn(MAIN, offer)

    def come_back(head: int) -> None:
        device = bench.devices[0].rings[1]
        posted = device.posted

        def give_back() -> None:
            device.give_back(head)
            bench.access(REMOTE, ring.used + 4 + 8 * (posted % ring.num), 8, before=0, value=head)
            bench.access(REMOTE, ring.used + 2, 2, before=posted, value=posted + 1)

        bench.turn(REMOTE, give_back)

    pass_on(5, buffer + 8, 8)
    come_back(5)
    bench.access(MAIN, buffer + 8, 4, before=0, value=1)
    assert history.trespasses == {}
    pass_on(6, buffer, 64)
    bench.access(MAIN, buffer + 8, 4, before=0, value=1)
    assert [each.head for each in history.trespasses.values()] == [6]


def test_what_lies_between_the_parts_of_a_ring_is_nobodys(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    assert ring.avail + 6 + 2 * ring.num < ring.used - 4
    bench.access(MAIN, ring.used - 4, 4, before=0, value=1)
    assert history_of(bench) == History(told=True, tells=history_of(bench).tells)
    assert bench.observer.run.traffic.ring(TX).faults == {}


@pytest.mark.parametrize("distance", [0, 0x1000, 0x8000])
def test_where_nothing_lay_a_buffer_may_lie_later(bench: Bench, distance: int) -> None:
    """Close to the others, or far behind all that was known."""
    places = bench.observer.places
    assert places is not None
    known = bench.observer.run.traffic.buffers
    last = max(each.span.pa or 0 for each in known.values()) + 0x200 + distance
    assert places.find("main", last + 4, 4).buffers == ()
    assert places.find("main", last + 4, 4).says_nothing
    new = Buffer(last - PA + DA, Span("buffer", 64, last, last - PA + DA), TX, writable=False)
    places.add({**known, new.address: new})
    assert [each for _, each in places.find("main", last + 4, 4).buffers] == [new]
    assert not places.find("main", last + 4, 4).says_nothing
    assert places.find("main", last + 64, 4).buffers == ()
