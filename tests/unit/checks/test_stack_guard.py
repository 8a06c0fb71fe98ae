"""A stack that runs over its end is told from other stacks that lie below it."""

from __future__ import annotations

import random

import pytest

from orchestrator.base.memory import Extent
from orchestrator.events import Access, Accessed
from orchestrator.observe.history import Step
from orchestrator.observe.stacks import StackGuard

END = 0x2000_1000
PUSH, STRD, STORE, POP, RETURN_32 = 0x0800_0000, 0x0800_0010, 0x0800_0020, 0x0800_0030, 0x0800_0040
CODE = {PUSH: b"\x10\xb5\0\0", STRD: b"\xcd\xe9\x02\x01", STORE: b"\x08\x60\0\0", POP: b"\x10\xbd\0\0",
        RETURN_32: b"\xbd\xe8\xf0\x81"}  # fmt: skip


class Flash:
    view = "cpu"

    def read(self, address: int, size: int) -> bytes:
        return CODE[address][:size]

    def write(self, address: int, data: bytes) -> None:
        raise AssertionError("nobody writes code")


def access(pc: int, address: int, *, writes: bool = True, frame: bool = False) -> Access:
    return Access(1, 1, pc, address, 8, 1, writes, frame, 0, 0 if writes else None)


def push(address: int) -> Access:
    return access(PUSH, address)


def pop(address: int, pc: int = POP) -> Access:
    return access(pc, address, writes=False)


def guard_after(*turns: list[Access]) -> StackGuard:
    guard = StackGuard("remote", END, "__stack_limit", END + 0x1000, 0x2000_0000)
    for turn in turns:
        guard.see(turn, Flash())
    return guard


def test_pushes_from_above_the_end_to_below_it_run_over() -> None:
    guard = guard_after([push(END + 0x80), push(END + 8)], [push(END - 0x38), access(STRD, END - 0x98)])
    assert guard.crossed is not None
    assert (guard.crossed.pc, guard.deepest, guard.deepest_by) == (PUSH, END - 0x98, Step(1, "remote", STRD))


def test_the_frame_of_an_exception_runs_over_too() -> None:
    guard = guard_after([push(END + 8), access(STORE, END - 0x18, frame=True)])
    assert guard.crossed is not None


@pytest.mark.parametrize(
    "turn",
    [
        [push(END - 0x40)],  # another stack, all along
        [push(END + 8), pop(END + 8), push(END - 8)],  # came back, and another stack is in use
        [push(END + 8), pop(END + 8, RETURN_32), push(END - 8)],
        [push(END + 8), access(POP, END - 0x20, writes=False, frame=True), push(END - 8)],  # a switch of threads
        [push(END + 8), access(STORE, END - 8)],  # a store to a variable there
        [push(END + 0x40), push(END)],  # to the last byte
    ],
)
def test_what_other_stacks_and_variables_below_the_end_get_is_no_overflow(turn: list[Access]) -> None:
    assert guard_after(turn).crossed is None


def test_once_crossed_more_is_looked_at_for_the_deepest_push() -> None:
    guard = guard_after([push(END + 8), push(END - 8)])
    assert END - 0x1000 + 0x400 in guard.extent
    guard.see([push(END - 0x900)], Flash())
    assert guard.deepest == END - 0x900
    assert END - 0x900 not in guard_after([push(END + 8)]).extent


def test_an_engine_may_name_the_stack_by_another_address_of_its_memory() -> None:
    other = 0x1000_0000
    guard = StackGuard("remote", END, "__stack_limit", END + 0x1000, 0x2000_0000)
    guard.aliases = ((Extent(other, 0x10000), 0x2000_0000 - other),)
    guard.see([push(other + 0x1008), push(other + 0xFF8)], Flash())
    assert guard.deepest == END - 8


def test_a_small_stack_in_use_is_observed_closely_where_observing_is_slow() -> None:
    """An idle thread's: all that it does lies within a kilobyte of its end."""
    guard, one = guard_after([push(END + 0x300)]), Accessed.of([push(END + 0x300)])
    assert not guard.narrow(Accessed.of([push(END + 0x300)] * 1_998))
    assert not guard.narrow(one)
    assert not guard.narrow(Accessed.of([push(END + 0x400)]))  # not there
    assert guard.narrow(one)
    assert guard.extent == Extent.between(END - 0x400, END + 0x100)
    assert not guard.narrow(one)
    guard.see([push(END + 0x200), pop(END + 0x200)], Flash())  # out of sight
    guard.see([push(END + 0x80), push(END - 8)], Flash())
    assert guard.crossed is not None


def test_a_stack_that_ran_over_is_observed_as_before() -> None:
    guard = guard_after([push(END + 8), push(END - 8)] * 1_000)
    assert guard.extent == Extent.between(0x2000_0000, END + 0x400)  # down to where its memory begins
    assert not guard.narrow(Accessed.of([push(END + 8)] * 2_000))


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_out_of_a_turn_says_nothing(seed: int) -> None:
    """Random turns, mostly above the end, seen as a whole and as what :meth:`StackGuard.nearby` leaves of them."""
    chance = random.Random(seed)
    whole, left = guard_after(), guard_after()
    depth = chance.choice((0, 0, 0x20, 0x400))
    count = 0
    for _turn in range(60):
        turn = [
            access(
                chance.choice(list(CODE)),
                END + 4 * chance.randrange(-depth // 4, 0x140),
                writes=chance.random() < 0.6,
                frame=chance.random() < 0.1,
            )
            for _ in range(chance.randrange(8))
        ]
        whole.see(turn, Flash())
        told = Accessed.of(turn)
        near = left.nearby(told, set(told.what_is_touched()), Flash())
        count += len(near)
        left.see(near, Flash())
        for fact in ("near", "crossed", "deepest", "deepest_by", "extent"):
            assert getattr(left, fact) == getattr(whole, fact)
    assert count
