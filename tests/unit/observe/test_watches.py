"""What is watched of an engine, what is only observed, and whose accesses are told of all of it."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.observe.watches import Watched, WatchedKind, Watches

RING, CARVEOUT, BUFFERS, STACK = WatchedKind.RING, WatchedKind.CARVEOUT, WatchedKind.BUFFERS, WatchedKind.STACK
HERE, THERE = Extent(0x1004_0000, 64), Extent(0x1004_1000, 64)
MAIN, REMOTE = "cpu_main", "cpu_remote"


class Engine:
    """Keeps what it was asked for; ``tells`` are the cores whose accesses it tells, by what is observed."""

    def __init__(self, tells: dict[str, frozenset[str]] | None = None) -> None:
        self.watched: list[str] = []
        self.observed: dict[str, bool] = {}  # whether what is copied as a whole may be told as one
        self.tells = tells or {}
        self.gone: list[str] = []

    def watch(self, name: str, core: str, extent: Extent) -> None:
        self.watched.append(f"{name} of {core} at {extent}")

    def unwatch(self, name: str) -> None:
        self.gone.append(f"watch {name}")

    def unobserve(self, name: str) -> None:
        self.gone.append(f"accesses {name}")

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        self.observed[name] = merge
        return self.tells.get(name, frozenset((MAIN, REMOTE)))


@pytest.mark.parametrize(
    ("kind", "is_watched", "observed"),
    [
        (WatchedKind.TABLE, True, {"a": False}),
        (RING, True, {"a": False}),
        (WatchedKind.CANDIDATE, True, {"a": False}),
        (CARVEOUT, True, {}),
        (BUFFERS, False, {"a": True}),
        (STACK, False, {"a": False}),
    ],
)
def test_changes_are_watched_where_they_say_something_and_accesses_where_they_do(
    kind: WatchedKind, is_watched: bool, observed: dict[str, bool]
) -> None:
    engine = Engine()
    Watches(engine, "", engine).set(kind, "a", MAIN, HERE)
    assert bool(engine.watched) is is_watched
    assert engine.observed == observed


def test_a_watch_is_set_again_only_where_something_is_another() -> None:
    engine = Engine()
    watches = Watches(engine, "second: ")
    for kind, extent in (
        (RING, HERE),
        (RING, HERE),
        (RING, THERE),
        (CARVEOUT, THERE),
        (RING, None),
        (RING, Extent(0, 0)),
    ):
        watches.set(kind, "a", MAIN, extent)
    assert engine.watched == [f"second: a of {MAIN} at {each}" for each in (HERE, THERE, THERE)]
    assert watches.find("second: a") == Watched(CARVEOUT, THERE, MAIN)
    assert watches.find("a") is None


def test_what_has_come_since_is_watched_no_more() -> None:
    engine = Engine()
    watches = Watches(engine, "", engine)
    watches.set(RING, "a", MAIN, HERE)
    saved = watches.save()
    watches.set(RING, "a", MAIN, THERE)
    watches.set(RING, "b", MAIN, HERE)
    watches.set(WatchedKind.BUFFERS, "c", MAIN, HERE)
    watches.set(CARVEOUT, "d", MAIN, HERE)
    watches.restore(saved)
    assert watches.save() == saved
    assert engine.gone == ["watch b", "accesses b", "accesses c", "watch d"]
    assert engine.watched[-1] == f"a of {MAIN} at {HERE}"


def test_one_byte_is_watched() -> None:
    engine = Engine()
    Watches(engine).set(RING, "a", MAIN, Extent(0x1004_0000, 1))
    assert len(engine.watched) == 1


def test_accesses_are_told_of_those_cores_that_tell_all_that_is_shared() -> None:
    """A core's stack is its own: that the other one does not tell its accesses there says nothing."""
    engine = Engine({"b": frozenset((MAIN, "cpu_third")), "own": frozenset()})
    watches = Watches(engine, "", engine)
    assert watches.told is None
    watches.set(STACK, "own", MAIN, HERE)
    assert watches.told is None
    watches.set(RING, "a", MAIN, HERE)
    assert watches.told == {MAIN, REMOTE}
    watches.set(BUFFERS, "b", MAIN, HERE)
    assert watches.told == {MAIN}
    watches.set(STACK, "own", MAIN, THERE)
    assert watches.told == {MAIN}
