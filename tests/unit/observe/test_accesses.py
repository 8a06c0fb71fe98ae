"""Whose stacks are observed, and by which of the addresses that a core has for them."""

from __future__ import annotations

import pytest

from bench import DA, FLASH, MAIN_RAM, PA, PLATFORM, REMOTE_RAM, SIZE, CoreMemory, Piece, Store, code, make_elf
from orchestrator.base.memory import Extent
from orchestrator.events import Access
from orchestrator.observe.accesses import AccessObserver
from orchestrator.observe.run import CoreRun, Run
from orchestrator.observe.stacks import StackGuard
from orchestrator.observe.views import Views
from orchestrator.observe.watches import Watches

CODE = {"main": FLASH, "remote": FLASH + 0x10_0000}
PUSH_R4_LR = b"\x10\xb5\0\0"


def guarded(role: str, stack: int) -> tuple[StackGuard | None, Views]:
    """A stack of 256 bytes at this address."""
    pieces = [
        code(CODE[role], stack + 0x100),
        Piece(CODE[role] + 0x2000, bytes(0x100), run=stack, flags=6, section=".stack"),
    ]
    names = {each: PLATFORM.core(each).name for each in ("main", "remote")}
    store = Store()
    views = Views.of({each: CoreMemory(store, name) for each, name in names.items()}, PLATFORM)
    watches = Watches(None)
    run = Run({each: CoreRun(each, name) for each, name in names.items()})
    observer = AccessObserver(PLATFORM, views, watches, {name: each for each, name in names.items()})
    observer.guard_stacks(run, {role: make_elf(f"{role}.elf", pieces)}, {})
    found = run.stacks.get(role)
    watched = watches.find(f"stack {role}")
    assert (watched and watched.extent) == (found and found.extent)
    return found, views


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
    guard, views = guarded(role, stack)
    assert guard is not None
    assert (guard.end, guard.aliases) == (stack, aliases)
    at = 0x2000_1000 if role == "main" else REMOTE_RAM + 0x1000  # in what this core alone has
    views.memories[role].write(at, PUSH_R4_LR)
    distance = aliases[0][1] if aliases else 0
    pushes = [Access(1, 1, at, address - distance, 8, 1, True, False, 0, 0) for address in (stack, stack - 8)]
    assert guard.see(pushes, views.memories[role])
    assert guard.deepest == stack - 8


@pytest.mark.parametrize("stack", [MAIN_RAM, FLASH + 0x8000], ids=["of the other core", "nothing to write"])
def test_a_stack_where_its_core_cannot_write_is_not_guarded(stack: int) -> None:
    assert guarded("remote", stack)[0] is None
