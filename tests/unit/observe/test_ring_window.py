"""The heads of a vdev's rings are looked at together where they lie close together: nobody may see a difference."""

from __future__ import annotations

import random

import pytest

from bench import DA, MAIN, REMOTE, Bench, Script, default_entries
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.virtqueue import RingLayout, SplitRing
from orchestrator.observe.follow import _Window
from orchestrator.observe.traffic import heads_of

BUFFERS = 0x8000  # from the start of shared memory: nobody else's


def ring_at(memory: BytesMemory, base: int, num: int = 8) -> SplitRing:
    return SplitRing(memory, RingLayout.legacy(base, num, 16))


@pytest.mark.parametrize("num", [1, 2, 8, 32])
def test_a_window_shows_the_heads_of_every_ring(num: int) -> None:
    memory = BytesMemory("bench", 0, bytearray(random.Random(num).randbytes(0x1000)))
    rings = [ring_at(memory, base, num) for base in (0x300, 0, 0x600)]
    window = _Window.of(rings)
    assert window is not None
    seen = window.read()
    assert seen is not None
    assert window.heads(seen) == [heads_of(ring) for ring in rings]


def test_a_window_ends_with_the_last_head_and_holds_2048_bytes_at_most() -> None:
    memory = BytesMemory("bench", 0, bytearray(0x4000))
    first = ring_at(memory, 0)
    window = _Window.of([first])
    assert window is not None
    assert (window.start, window.start + window.size) == (first.layout.avail, first.layout.used + 4)
    last = 0x800 - 4 + first.layout.avail - first.layout.used  # from there on it ends with the window
    assert _Window.of([first, ring_at(memory, last)]) is not None
    assert _Window.of([first, ring_at(memory, last + 1)]) is None
    assert _Window.of([]) is None


def test_rings_of_two_memories_have_no_window() -> None:
    one, other = (BytesMemory("bench", 0, bytearray(0x1000)) for _ in range(2))
    assert _Window.of([ring_at(one, 0), ring_at(one, 0x200)]) is not None
    assert _Window.of([ring_at(one, 0), ring_at(other, 0x200)]) is None


def test_what_a_window_cannot_read_is_asked_of_each_ring() -> None:
    window = _Window.of([ring_at(BytesMemory("bench", 0, bytearray(0x80)), 0)])
    assert window is not None
    assert window.read() is None


def step(bench: Bench, chance: random.Random) -> None:
    """One turn of a core, which does to a ring what it should or should not."""
    core = chance.choice((MAIN, REMOTE))
    mine, theirs = (bench.sides[0], bench.devices[0]) if core == MAIN else (bench.devices[0], bench.sides[0])
    ring, peer = chance.choice(list(zip(mine.rings, theirs.rings, strict=True)))
    head, at = chance.randrange(8), DA + BUFFERS + 0x40 * chance.randrange(16)
    wrong, value = chance.random(), chance.randrange(1 << 16)

    def act() -> None:
        if wrong < 0.03:
            ring.half(ring.avail + 2 if value & 1 else ring.used + 2, value)
        elif wrong < 0.06:
            ring.clear()
            ring.posted = ring.seen = peer.posted = peer.seen = 0
        elif wrong < 0.09:
            bench.poke("vdev[0].status", chance.choice((0, 3, 7)))
        elif wrong < 0.14:
            ring.half(ring.used if value & 1 else ring.avail, value >> 1 & 1)  # the flags
        elif core == MAIN:
            ring.desc(head, at, 48, value & 2)
            ring.offer(head)
        elif ring.offered() is not None:
            ring.give_back(head if wrong < 0.2 else (ring.seen - 1) % 8, 4)
        if value & 0x18:
            bench.ring(core)

    bench.turn(core, act)


@pytest.mark.parametrize("seed", range(8))
def test_rings_are_followed_alike_with_a_window_and_without(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    entries = default_entries(2 if seed % 3 == 0 else 1)
    quick = Bench(Script(entries=entries, pings=seed % 4))
    quick.run()
    with monkeypatch.context() as patched:
        patched.setattr(_Window, "of", lambda _rings: None)
        slow = Bench(Script(entries=entries, pings=seed % 4))
        slow.run()
        for number in range(60):
            step(slow, random.Random(f"{seed}.{number}"))
    for number in range(60):
        step(quick, random.Random(f"{seed}.{number}"))
    one, other = quick.observer.run, slow.observer.run
    assert {vdev.window is None for vdev in quick.observer._follower._vdevs} == {False}
    assert [each.to_json() for each in one.milestones] == [each.to_json() for each in other.milestones]
    assert one.ledger == other.ledger
    assert one.traffic.messages == other.traffic.messages
    assert one.traffic.buffers == other.traffic.buffers
    assert one.traffic.rings.keys() == other.traffic.rings.keys()
    for path, ring in one.traffic.rings.items():
        same = other.traffic.rings[path]
        assert (ring.to_json(), ring.faults, ring.late) == (same.to_json(), same.faults, same.late)
        assert (ring.oldest_unseen_ns, ring.outstanding) == (same.oldest_unseen_ns, same.outstanding)
