"""What a core does that says nothing is passed over from the second time on: nobody may see a difference."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from bench import BUFFER, CARVEOUT, DA, FLASH, MAIN, MAIN_RAM, PA, REMOTE, Bench, Script
from orchestrator.base.roles import Side
from orchestrator.events import Access, Accessed
from orchestrator.observe.history import History, Places
from orchestrator.observe.stacks import StackGuard

RX, TX = "vdev[0].vring[0]", "vdev[0].vring[1]"
_EVERYWHERE = (PA, DA)  # the remote has shared memory by both


@pytest.fixture
def bench() -> Bench:
    """After its run; main drives."""
    found = Bench(Script(tells_looks=False))
    found.run()
    found.observer.run.history = History()
    return found


def places_of(bench: Bench) -> Places:
    bench.access(MAIN, PA + CARVEOUT, 4)
    found = bench.observer.places
    assert found is not None
    return found


def left_of(bench: Bench, core: str, address: int, size: int, *, writes: bool) -> int:
    """How much of an access is left where what is known to say nothing is not told."""
    role = "main" if core == MAIN else "remote"
    access = Access(0, 0, FLASH, bench.seen_by(core, address), size, 1, writes, False, 0, 0)
    return len(places_of(bench).without_idle(role, Accessed.of([access])))


def test_a_side_that_reads_the_others_entries_says_nothing_and_one_that_writes_them_does(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    bench.access(MAIN, ring.used + 4, 4)
    assert left_of(bench, MAIN, ring.used + 4, 4, writes=False) == 0
    assert left_of(bench, MAIN, ring.used + 4, 4, writes=True) == 1
    bench.access(MAIN, ring.used + 4, 4, before=0, value=1)
    assert left_of(bench, MAIN, ring.used + 4, 4, writes=True) == 1
    assert "ring.wrong-writer" in bench.observer.run.traffic.ring(TX).faults


def test_a_device_says_something_by_what_it_reads_until_it_looks_at_the_index(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    bench.access(REMOTE, ring.base, 4)
    assert left_of(bench, REMOTE, ring.base, 4, writes=False) == 1
    bench.access(REMOTE, ring.avail + 2, 2)
    bench.access(REMOTE, ring.base, 4)
    assert left_of(bench, REMOTE, ring.base, 4, writes=False) == 0
    assert left_of(bench, REMOTE, ring.avail + 2, 2, writes=False) == 1


def test_where_a_buffer_comes_to_lie_an_access_says_something_again(bench: Bench) -> None:
    at = PA + CARVEOUT + 0x2E00
    bench.access(REMOTE, at, 4)
    assert left_of(bench, REMOTE, at, 4, writes=False) == 0
    ring = bench.sides[0].rings[1]
    ring.desc(5, at - PA + DA, 64)
    bench.turn(MAIN, lambda: ring.offer(5))
    bench.emit(MAIN, Accessed.of([]))
    assert left_of(bench, REMOTE, at, 4, writes=False) == 1


def test_another_history_is_told_everything_again(bench: Bench) -> None:
    """One that was restored, and in which a device has not looked yet."""
    ring = bench.sides[0].rings[1]
    bench.access(REMOTE, ring.avail + 2, 2)
    bench.access(REMOTE, ring.base, 4)
    bench.access(REMOTE, ring.base, 4)
    bench.observer.run.history = History()
    bench.access(REMOTE, ring.base, 4)
    assert bench.observer.run.history.reads == {(TX, Side.DEVICE): {(0, 4): 1}}


def test_a_push_below_the_end_of_a_stack_says_something_once_another_lay_above_it(bench: Bench) -> None:
    end = MAIN_RAM + 0x1000
    guard = StackGuard("main", end, "__stack_limit", end + 0x1000, MAIN_RAM)
    bench.observer.run.stacks["main"] = guard
    bench.main.write(FLASH + 0x100, b"\x10\xb5")  # PUSH {R4, LR}, by which all that is told is done
    for at in (end - 8, end - 8, end + 8):
        bench.access_at(MAIN, at, 8, before=0, value=1)
    assert guard.crossed is None
    bench.access_at(MAIN, end - 8, 8, before=0, value=1)
    assert guard.crossed is not None


def turns(bench: Bench, chance: random.Random) -> Iterator[tuple[str, list[Access]]]:
    """Accesses by chance, many of them again and again: to the table, the rings, the buffers and around them."""
    table = bench.table().field("vdev[0].status")
    assert table is not None
    rings = bench.sides[0].rings
    starts = [table.at.address - 8, *(ring.base - 4 for ring in rings), *(ring.avail for ring in rings)]
    starts += [ring.used for ring in rings] + [bench.sides[0].buffers[0] + BUFFER * each for each in range(3)]
    known = [
        (chance.choice(starts) + chance.randrange(0, 24), chance.choice((1, 2, 4, 8)), chance.random() < 0.4)
        for _ in range(60)
    ]
    for number in range(150):
        core = chance.choice((MAIN, REMOTE))
        base = PA if core == MAIN else chance.choice(_EVERYWHERE)
        yield (
            core,
            [
                Access(
                    number * 1_000 + each,
                    number * 1_000 + each + chance.randrange(3),
                    FLASH + 0x100 + 2 * chance.randrange(9),
                    address - PA + base,
                    size,
                    chance.randrange(1, 4),
                    writes,
                    chance.random() < 0.05,
                    chance.randrange(1 << min(16, 8 * size)),
                    chance.randrange(1 << min(16, 8 * size)),
                )
                for each, (address, size, writes) in enumerate(chance.choices(known, k=chance.randrange(12)))
            ],
        )


@pytest.mark.parametrize("seed", range(12))
def test_what_is_passed_over_says_nothing(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The same turns, told to one observer that passes over what it may and to one that looks at everything."""
    script = Script(tells_looks=seed % 2 == 0, pings=seed % 3)
    quick, slow = Bench(script), Bench(script)
    quick.run()
    with monkeypatch.context() as patched:
        patched.setattr(Places, "pass_over", lambda *_, **__: None)
        slow.run()
    left = whole = 0
    chance = random.Random(seed)
    for core, turn in turns(quick, chance):
        told = Accessed.of(turn)
        quick.emit(core, told)
        with monkeypatch.context() as patched:
            patched.setattr(Places, "pass_over", lambda *_, **__: None)
            slow.emit(core, told)
        places = quick.observer.places
        assert places is not None
        left += len(places.without_idle("main" if core == MAIN else "remote", told))
        whole += len(turn)
        if chance.random() < 0.1:
            ring, at = chance.randrange(2), CARVEOUT + 0x10 * chance.randrange(0x200)
            for each in (quick, slow):
                side = each.sides[0].rings[ring]
                side.desc(7, DA + at, 48)
                each.turn(MAIN, lambda side=side: side.offer(7))  # type: ignore[misc]
        assert quick.observer.run.history == slow.observer.run.history
    assert left < whole
    one, other = quick.observer.run, slow.observer.run
    assert one.stacks == other.stacks
    assert one.traffic.buffers == other.traffic.buffers
    for ring in (RX, TX):
        assert one.traffic.ring(ring).faults == other.traffic.ring(ring).faults
