"""Whose stacks are observed, and by which of the addresses that a core has for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import (
    BUFFER,
    CARVEOUT,
    CARVEOUT_SIZE,
    DA,
    FLASH,
    MAIN,
    MAIN_RAM,
    PA,
    PLATFORM,
    REMOTE,
    REMOTE_RAM,
    SIZE,
    Bench,
    CoreMemory,
    Piece,
    Script,
    Store,
    code,
    make_elf,
)
from orchestrator.base.memory import Extent
from orchestrator.events import Access
from orchestrator.observe.accesses import AccessObserver
from orchestrator.observe.run import CoreRun, Run
from orchestrator.observe.stacks import StackGuard
from orchestrator.observe.traffic import Buffer
from orchestrator.observe.views import Span, Views
from orchestrator.observe.watches import Watched, WatchedKind, Watches

CODE = {"main": FLASH, "remote": FLASH + 0x10_0000}
STORE = Store()
VIEWS = Views.of({each: CoreMemory(STORE, PLATFORM.core(each).name) for each in ("main", "remote")}, PLATFORM)
PUSH_R4_LR = b"\x10\xb5\0\0"


def stack_pieces(role: str, stack: int) -> list[Piece]:
    """A program with a stack of 256 bytes at this address."""
    return [
        code(CODE[role], stack + 0x100),
        Piece(CODE[role] + 0x2000, bytes(0x100), run=stack, flags=6, section=".stack"),
    ]


def observer_and_run() -> tuple[AccessObserver, Run, Watches]:
    names = {each: PLATFORM.core(each).name for each in ("main", "remote")}
    watches = Watches(None)
    observer = AccessObserver(PLATFORM, VIEWS, watches, {name: each for each, name in names.items()})
    return observer, Run({each: CoreRun(each, name) for each, name in names.items()}), watches


def guarded(role: str, stack: int) -> StackGuard | None:
    observer, run, watches = observer_and_run()
    observer.guard_stacks(run, {role: make_elf(f"{role}.elf", stack_pieces(role, stack))}, {})
    found = run.stacks.get(role)
    watched = watches.find(f"stack {role}")
    assert (watched and watched.extent) == (found and found.extent)
    return found


@pytest.mark.parametrize(
    ("role", "stack", "aliases"),
    [
        ("remote", DA + 0x8000, ((Extent(PA, SIZE), DA - PA),)),
        ("remote", PA + 0x8000, ((Extent(DA, SIZE), PA - DA),)),
        ("main", PA + 0x8000, ()),
        ("main", MAIN_RAM + 0x8000, ()),
        ("remote", REMOTE_RAM + 0x8000, ()),
    ],
)
def test_a_stack_is_guarded_by_every_address_that_its_core_has_for_it(
    role: str, stack: int, aliases: tuple[tuple[Extent, int], ...]
) -> None:
    guard = guarded(role, stack)
    assert guard is not None
    assert (guard.end, guard.aliases) == (stack, aliases)
    at = 0x2000_1000 if role == "main" else REMOTE_RAM + 0x1000  # in what this core alone has
    VIEWS.memories[role].write(at, PUSH_R4_LR)
    distance = aliases[0][1] if aliases else 0
    pushes = [Access(1, 1, at, address - distance, 8, 1, True, False, 0, 0) for address in (stack, stack - 8)]
    assert guard.see(pushes, VIEWS.memories[role])
    assert guard.deepest == stack - 8


def test_a_core_without_firmware_has_no_stack_and_the_other_one_has() -> None:
    """A core that is played in Python comes with an image that brings nothing."""
    image = make_elf("remote.elf", stack_pieces("remote", REMOTE_RAM + 0x8000))
    images = {"main": replace(image, name="main.py", segments=()), "remote": image}
    observer, run, _ = observer_and_run()
    observer.guard_stacks(run, images, {})
    assert list(run.stacks) == ["remote"]


@pytest.mark.parametrize("stack", [MAIN_RAM, FLASH + 0x8000], ids=["of the other core", "nothing to write"])
def test_a_stack_where_its_core_cannot_write_is_not_guarded(stack: int) -> None:
    assert guarded("remote", stack) is None


def test_buffers_are_observed_as_soon_as_a_descriptor_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """As each core addresses them, those side by side as one."""
    observed: dict[str, tuple[str, Extent]] = {}

    def observe(self: Bench, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        if merge:
            observed[name] = core, extent
        return frozenset((MAIN, REMOTE))

    monkeypatch.setattr(Bench, "observe", observe)
    bench = Bench(Script(pings=0))
    assert observed == {}
    bench.run()
    pool = bench.sides[0].buffers[0] - 8 * BUFFER - PA  # eight for the device to fill, and eight to send with
    assert observed == {
        "buffers main 0": (MAIN, Extent(PA + pool, 8 * BUFFER)),
        "buffers remote 0": (REMOTE, Extent(DA + pool, 8 * BUFFER)),
    }
    at = CARVEOUT + CARVEOUT_SIZE - 0x200
    ring = bench.sides[0].rings[1]
    ring.desc(5, DA + at, 20)
    bench.turn(MAIN, lambda: ring.offer(5))
    assert observed["buffers main 1"] == (MAIN, Extent(PA + at, 20))
    assert observed["buffers remote 1"] == (REMOTE, Extent(DA + at, 20))


def test_of_buffers_all_over_the_place_64_are_observed() -> None:
    observer, run, watches = observer_and_run()
    for number in range(70):
        at = 0x1000 + 0x100 * number
        span = Span("buffer", 64, PA + at, DA + at)
        run.traffic.buffers[DA + at] = Buffer(DA + at, span, "vdev[0].vring[1]", writable=False)
    observer.observe_buffers(run, Bench(Script()).observer.live)
    found = [watches.find(f"buffers {role} {number}") for role in ("main", "remote") for number in (0, 63, 64)]
    assert found == [
        Watched(WatchedKind.BUFFERS, Extent(PA + 0x1000, 64), MAIN),
        Watched(WatchedKind.BUFFERS, Extent(PA + 0x1000 + 0x3F00, 64), MAIN),
        None,
        Watched(WatchedKind.BUFFERS, Extent(DA + 0x1000, 64), REMOTE),
        Watched(WatchedKind.BUFFERS, Extent(DA + 0x1000 + 0x3F00, 64), REMOTE),
        None,
    ]
