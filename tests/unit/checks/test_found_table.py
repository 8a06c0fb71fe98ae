"""A table that nobody has named is followed once the cores are seen to work with it, and an old one never."""

from __future__ import annotations

import pytest

from orchestrator.checks.verdict import judge
from orchestrator.events import Changed
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_table import Table, build_table
from orchestrator.observe.found import TableSearch
from tests.unit.checks.bench import (
    ANNOUNCEMENT,
    BUFFER,
    DA,
    MAIN,
    PA,
    REMOTE,
    Bench,
    Ring,
    Script,
    default_entries,
)

AT, OLD = 0x800, 0x7000  # where the table is in shared memory, and where one of an earlier run
RINGS, BUFFERS = (0x1000, 0x1200), 0x2000
STATUS = "vdev[0].status"


def table(offset: int = AT, **vring: int) -> Table:
    return build_table(default_entries(**vring), address=PA + offset)


@pytest.fixture
def bench() -> Bench:
    return Bench(Script(table_at_run_time=True))


def publish(bench: Bench, offset: int = AT, *, tells: bool = True, **vring: int) -> None:
    """The remote makes a table and tells main."""

    def act() -> None:
        bench.write(REMOTE, PA + offset, table(offset, **vring).encode())
        if tells:
            bench.ring(REMOTE)

    bench.turn(REMOTE, act)


def set_status(bench: Bench, value: int, offset: int = AT, *, tells: bool = False) -> None:
    """Main sets a vdev's status."""

    def act() -> None:
        field = table(offset).field(STATUS)
        assert field is not None
        bench.write(MAIN, field.at.address, bytes([value]))
        if tells:
            bench.ring(MAIN)

    bench.turn(MAIN, act)


def where(bench: Bench) -> int | None:
    """The place of the table that is followed, in shared memory."""
    found = bench.observer.live.table
    return None if found is None else found.address - PA


def test_a_table_is_followed_when_main_works_with_it(bench: Bench) -> None:
    publish(bench)
    assert where(bench) is None
    set_status(bench, 3)
    assert where(bench) == AT
    milestone = bench.observer.run.milestone("table found")
    assert milestone is not None
    assert milestone.detail == f"shared memory, where it was found at main:{PA + AT:#010x}"
    assert bench.observer.run.milestone("vdev[0] DRIVER") is not None
    set_status(bench, 7)
    assert bench.observer.run.milestone("vdev[0] DRIVER_OK") is not None
    bench.observer.finish(bench.time_ns, "timeout")
    verdict = judge(bench.observer)
    assert "table.missing" not in [each.rule for each in verdict.findings]
    assert verdict.to_json()["table"]["how"] == milestone.detail  # type: ignore[index, call-overload]


def test_nothing_is_looked_for_before_the_first_notification(bench: Bench) -> None:
    publish(bench, tells=False)
    set_status(bench, 3)
    assert (where(bench), bench.watches) == (None, {})
    set_status(bench, 3, tells=True)
    set_status(bench, 7)
    assert where(bench) == AT


def test_a_table_that_is_made_after_the_first_notification_is_found_at_a_later_one(bench: Bench) -> None:
    bench.turn(MAIN, lambda: bench.ring(MAIN))
    publish(bench)
    set_status(bench, 3)
    assert where(bench) == AT


def test_a_table_behind_one_that_was_found_before_is_found_too(bench: Bench) -> None:
    publish(bench)
    publish(bench, OLD)
    set_status(bench, 3, OLD)
    assert where(bench) == OLD


@pytest.mark.parametrize("is_stale", [True, False])
def test_a_table_of_an_earlier_run_is_not_followed(bench: Bench, is_stale: bool) -> None:
    stale = table(OLD, da=DA + RINGS[0])
    bench.remote.write(DA + OLD, stale.patched(STATUS, 7))
    if not is_stale:
        publish(bench)
        set_status(bench, 3)
    for _ in range(20):
        bench.turn(MAIN, lambda: bench.ring(MAIN))
        bench.turn(REMOTE, lambda: bench.ring(REMOTE))
    assert where(bench) == (None if is_stale else AT)


def test_rings_that_two_tables_name_speak_for_neither(bench: Bench) -> None:
    bench.remote.write(DA + OLD, table(OLD, da=DA + RINGS[0]).encode())
    publish(bench, da=DA + RINGS[0])
    bench.turn(MAIN, lambda: bench.write(MAIN, PA + RINGS[0], b"\1"))
    assert where(bench) is None
    set_status(bench, 3)
    assert where(bench) == AT


def test_what_is_no_table_any_more_is_found_again_where_it_is_made_anew(bench: Bench) -> None:
    bench.remote.write(DA + AT, table(da=DA + RINGS[0]).encode())
    bench.turn(MAIN, lambda: bench.ring(MAIN))
    bench.turn(REMOTE, lambda: bench.write(REMOTE, PA + AT, bytes(4)))
    assert where(bench) is None
    publish(bench)
    set_status(bench, 3)
    assert where(bench) == AT


def under_way(bench: Bench, begun: int) -> Ring:
    """A table at DRIVER_OK with four buffers offered, of which nobody knew; ``begun`` others were used before."""
    entries = table(da=DA + RINGS[0])
    data = bytearray(entries.patched(STATUS, 7))
    field = entries.field("vdev[0].vring[1].da")
    assert field is not None
    at = field.at.address - PA - AT
    data[at : at + 4] = (DA + RINGS[1]).to_bytes(4, "little")
    bench.write(REMOTE, PA + AT, bytes(data))
    ring = Ring(bench.main, PA + RINGS[0], 8, 16, posted=begun)
    for i in range(4):
        ring.desc((begun + i) % 8, DA + BUFFERS + i * BUFFER, BUFFER, 2)
        ring.offer((begun + i) % 8)
    ring.half(ring.used + 2, begun)
    return ring


@pytest.mark.parametrize("begun", [0, 3, 1000])
def test_what_is_under_way_in_its_rings_is_followed_from_there(bench: Bench, begun: int) -> None:
    under_way(bench, begun)
    bench.turn(REMOTE, lambda: bench.ring(REMOTE))

    def announce() -> None:
        device = Ring(bench.remote, DA + RINGS[0], 8, 16, posted=begun)
        bench.remote.write(DA + BUFFERS, ANNOUNCEMENT)
        device.give_back(begun % 8, len(ANNOUNCEMENT))

    bench.turn(REMOTE, announce)
    assert where(bench) == AT
    traffic = bench.observer.run.traffic
    ring = traffic.ring("vdev[0].vring[0]")
    assert (ring.posted, ring.used, len(ring.outstanding), ring.faults) == (4, 1, 3, {})
    assert [each.text for each in traffic.messages["vdev[0]"].announced] == ["create echo at 1024"]


def test_a_table_that_is_named_is_not_looked_for() -> None:
    bench = Bench(Script(table_at_run_time=True, locator=parse_locator(f"main:{PA + OLD:#x}")))
    publish(bench)
    set_status(bench, 3)
    assert bench.observer.run.milestone("table found") is None


def test_a_core_of_another_pair_does_not_speak_for_a_table(bench: Bench) -> None:
    publish(bench)
    names = list(bench.watches)
    field = table().field(STATUS)
    assert field is not None
    bench.write(MAIN, field.at.address, b"\3")
    for name in names:
        bench.emit("cpu_else", Changed(name))
    assert where(bench) is None


def test_a_snapshot_holds_what_was_found(bench: Bench) -> None:
    publish(bench)
    before, memory = bench.observer.snapshot(), {name: bytes(data) for name, data in bench.store.bytes.items()}

    def go_back() -> None:
        for name, data in memory.items():
            bench.store.bytes[name][:] = data
        bench.observer.restore(before)

    for _ in range(2):
        set_status(bench, 3)
        assert where(bench) == AT
        go_back()
        assert where(bench) is None


def test_looks_become_rare() -> None:
    search = TableSearch()
    assert [number for number in range(1, 10_000) if search.is_due()] == [1 << bit for bit in range(13)]
