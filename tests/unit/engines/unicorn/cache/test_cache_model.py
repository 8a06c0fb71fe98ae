"""The model of a data cache against the statements of the manuals, one by one, without a CPU.

`cpu` has the cache, `peer` reaches the same memory past it. Each access is one of an instruction of its own.
"""

from __future__ import annotations

import ctypes
import mmap
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import EngineError
from orchestrator.engines.common.memory_protection import Caching, caching_v7
from orchestrator.engines.unicorn.cache.model import (
    CLEAN,
    CLEAN_INVALIDATE,
    INVALIDATE,
    LINE_BYTES,
    CacheModel,
    Geometry,
    Step,
    Tracked,
)
from orchestrator.engines.unicorn.native.abi import CoreState, Window, hooks
from orchestrator.events import IncoherenceKind

BASE = 0x3004_0000
SIZE = 64 * 1024
M7 = Geometry(128, 4)
STALE, STAYED, DESTROYED, OVERWRITES, EARLY = (
    IncoherenceKind.STALE_READ,
    IncoherenceKind.WRITE_STAYED,
    IncoherenceKind.INVALIDATE_DESTROYED,
    IncoherenceKind.WRITE_BACK_OVERWRITES,
    IncoherenceKind.INVALIDATED_EARLY,
)
WRITE_ALLOCATE = ((0, Caching.WRITE_ALLOCATE),)


class TwoMasters:
    """Memory, a core with a cache in front of it, and one without."""

    def __init__(self, *, is_real: bool, seed: int = 1) -> None:
        self.memory = mmap.mmap(-1, SIZE)
        pointer = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.cpu, self.peer = CoreState(), CoreState()
        self.model = CacheModel(self.cpu, M7, [Tracked(BASE, SIZE, pointer)], is_real=is_real, seed=seed)
        self._grown = ctypes.c_uint32()
        self._windows = (Window * 1)()
        self._windows[0].start, self._windows[0].end, self._windows[0].bytes = BASE, BASE + SIZE, pointer
        self._windows[0].tracked = ctypes.addressof(self.model.tracked_at(0))
        for number, core in enumerate((self.cpu, self.peer)):
            core.number = number
            core.grown = ctypes.addressof(self._grown)
            core.guard.windows, core.guard.window_count = ctypes.addressof(self._windows), 1
        self.now = 0
        self.turn_on(WRITE_ALLOCATE)

    def turn_on(self, caching: tuple[tuple[int, Caching], ...], *, is_on: bool = True) -> None:
        self.model.set_up(is_on=is_on, caching=caching)

    def _acts(self, core: CoreState, pc: int) -> None:
        self.now += 1
        core.executed, core.address = self.now, pc

    def read(self, core: CoreState, offset: int, size: int = 1, pc: int = 0x100) -> int:
        self._acts(core, pc)
        value = ctypes.c_uint64(int.from_bytes(self.memory[offset : offset + size], "little"))
        hooks.cache_load(ctypes.addressof(core), BASE + offset, size, ctypes.byref(value))
        return value.value & (1 << 8 * size) - 1

    def write(self, core: CoreState, offset: int, value: int, size: int = 1, pc: int = 0x200) -> None:
        self._acts(core, pc)
        if not hooks.cache_store(ctypes.addressof(core), BASE + offset, size, value):
            self.memory[offset : offset + size] = value.to_bytes(size, "little")

    def maintain(self, offset: int, what: int, pc: int = 0x300) -> None:
        self._acts(self.cpu, pc)
        self.model.maintain(BASE + offset, what)

    def kinds(self) -> list[IncoherenceKind]:
        return [each.kind for each in self.model.take()]


@pytest.fixture
def two() -> TwoMasters:
    return TwoMasters(is_real=False)


@pytest.fixture
def real() -> TwoMasters:
    return TwoMasters(is_real=True)


# --- geometry (DDI0403E B4.8.3, B3.2.3)


def test_the_size_register_of_the_stm32h7_gives_128_sets_of_4_ways() -> None:
    assert Geometry.of(0xF00FE019) == (128, 4)
    assert 128 * 4 * LINE_BYTES == 16 * 1024


def test_lines_of_another_size_are_refused() -> None:
    with pytest.raises(EngineError, match=r"expected 32 bytes, found 64"):
        Geometry.of(0xF00FE01A)


def test_a_way_stands_in_the_top_bits_and_a_set_from_bit_5_on() -> None:
    assert M7.place(3 << 30 | 127 << 5) == (127, 3)
    assert M7.place(1 << 30 | 5 << 5) == (5, 1)


# --- attributes (DDI0403E table B3-1, B3-13, B3-14; DDI0489F 5.2)

NORMAL_RW = 3 << 24 | 1


def caching_of(tex: int, c: int, b: int, s: int = 0, **given: bool) -> Caching:
    rasr = NORMAL_RW | 14 << 1 | tex << 19 | s << 18 | c << 17 | b << 16
    found = caching_v7(((BASE, rasr),), enabled=True, background=True, **given)
    return next(kind for start, kind in reversed(found) if start <= BASE)


@pytest.mark.parametrize(
    ("tex", "c", "b", "expected"),
    [
        (0, 0, 0, Caching.UNCACHED),  # Strongly-ordered
        (0, 0, 1, Caching.UNCACHED),  # Device
        (0, 1, 0, Caching.WRITE_THROUGH),
        (0, 1, 1, Caching.WRITE_BACK),
        (1, 0, 0, Caching.UNCACHED),
        (1, 1, 1, Caching.WRITE_ALLOCATE),
        (2, 0, 0, Caching.UNCACHED),
        (4, 0, 0, Caching.UNCACHED),
        (5, 0, 1, Caching.WRITE_ALLOCATE),
        (6, 1, 0, Caching.WRITE_THROUGH),
        (7, 1, 1, Caching.WRITE_BACK),
    ],
)
def test_tex_c_and_b_choose_the_policy_of_the_inner_cache(tex: int, c: int, b: int, expected: Caching) -> None:
    assert caching_of(tex, c, b) is expected


def test_shareable_memory_is_not_cached_unless_siwt_says_so() -> None:
    assert caching_of(1, 1, 1, s=1) is Caching.UNCACHED
    assert caching_of(1, 1, 1, s=1, shareable_through=True) is Caching.WRITE_THROUGH
    assert caching_of(1, 0, 0, s=1, shareable_through=True) is Caching.UNCACHED


def test_forcewt_makes_write_back_memory_write_through() -> None:
    assert caching_of(1, 1, 1, all_through=True) is Caching.WRITE_THROUGH
    assert caching_of(1, 0, 0, all_through=True) is Caching.UNCACHED


def test_the_default_map_decides_where_no_region_does() -> None:
    found = caching_v7((), enabled=False, background=False)
    assert [(f"{start:#x}", kind.name) for start, kind in found] == [
        ("0x0", "WRITE_THROUGH"),
        ("0x20000000", "WRITE_ALLOCATE"),
        ("0x40000000", "UNCACHED"),
        ("0x60000000", "WRITE_ALLOCATE"),
        ("0x80000000", "WRITE_THROUGH"),
        ("0xa0000000", "UNCACHED"),
    ]


# --- what a sanitizer says (memory stays coherent)


def test_a_line_that_another_wrote_to_since_it_was_fetched_is_stale(two: TwoMasters) -> None:
    two.read(two.cpu, 4, pc=0x10)
    two.write(two.peer, 5, 7, pc=0x20)
    assert two.read(two.cpu, 5, pc=0x30) == 7  # the core sees memory as it is
    (found,) = two.model.take()
    assert found.kind is STALE
    assert (found.line, found.mask) == (BASE, 1 << 5)
    assert found.by == Step(0, 0x30, 3)
    assert found.of == Step(1, 0x20, 2)
    assert found.since == Step(0, 0x10, 1)


def test_of_a_stale_line_the_bytes_that_nobody_wrote_are_not_stale(two: TwoMasters) -> None:
    two.read(two.cpu, 4)
    two.write(two.peer, 5, 7)
    two.read(two.cpu, 4)
    assert two.kinds() == []


def test_a_stale_byte_is_told_once_for_each_write(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.read(two.cpu, 0)
    two.read(two.cpu, 0)
    assert two.kinds() == [STALE]
    two.write(two.peer, 0, 2)
    two.read(two.cpu, 0)
    assert two.kinds() == [STALE]


def test_the_last_writer_of_a_word_is_named(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1, pc=0x20)
    two.write(two.peer, 4, 1, pc=0x24)
    two.read(two.cpu, 0)
    assert [found.of.pc for found in two.model.take()] == [0x20]


@pytest.mark.parametrize("what", [INVALIDATE, CLEAN_INVALIDATE])
def test_an_invalidated_line_is_fetched_anew(two: TwoMasters, what: int) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.maintain(31, what)  # any address of the line
    two.read(two.cpu, 0)
    assert two.kinds() == []


def test_cleaning_does_not_make_a_line_fresh(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.maintain(0, CLEAN)
    two.read(two.cpu, 0)
    assert two.kinds() == [STALE]


def test_the_line_beside_it_stays_as_it_is(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.maintain(LINE_BYTES, INVALIDATE)
    two.read(two.cpu, 0)
    assert two.kinds() == [STALE]


def test_a_write_stays_in_the_cache_until_it_is_cleaned(two: TwoMasters) -> None:
    two.write(two.cpu, 8, 1, size=4, pc=0x10)
    two.read(two.peer, 8, size=4, pc=0x20)
    (found,) = two.model.take()
    assert found.kind is STAYED
    assert (found.mask, found.by.pc, found.of.pc) == (0xF << 8, 0x20, 0x10)


@pytest.mark.parametrize("what", [CLEAN, CLEAN_INVALIDATE])
def test_a_cleaned_line_is_seen_by_others(two: TwoMasters, what: int) -> None:
    two.write(two.cpu, 8, 1)
    two.maintain(8, what)
    two.read(two.peer, 8)
    assert two.kinds() == []


def test_a_write_after_the_clean_stays_again(two: TwoMasters) -> None:
    two.write(two.cpu, 8, 1)
    two.maintain(8, CLEAN)
    two.write(two.cpu, 8, 2)
    two.read(two.peer, 8)
    assert two.kinds() == [STAYED]


def test_bytes_that_the_core_did_not_write_are_in_memory(two: TwoMasters) -> None:
    two.write(two.cpu, 8, 1)
    two.read(two.peer, 9)
    assert two.kinds() == []


def test_write_through_leaves_nothing_in_the_cache_alone(two: TwoMasters) -> None:
    two.turn_on(((0, Caching.WRITE_THROUGH),))
    two.read(two.cpu, 8)
    two.write(two.cpu, 8, 1)
    two.read(two.peer, 8)
    assert two.kinds() == []


def test_write_through_lines_go_stale_as_others_do(two: TwoMasters) -> None:
    two.turn_on(((0, Caching.WRITE_THROUGH),))
    two.read(two.cpu, 8)
    two.write(two.peer, 8, 1)
    two.read(two.cpu, 8)
    assert two.kinds() == [STALE]


def test_without_write_allocate_a_store_that_misses_goes_to_memory(two: TwoMasters) -> None:
    two.turn_on(((0, Caching.WRITE_BACK),))
    two.write(two.cpu, 8, 1)
    two.read(two.peer, 8)
    assert two.kinds() == []
    two.read(two.cpu, 8)  # and one that hits does not
    two.write(two.cpu, 8, 2)
    two.read(two.peer, 8)
    assert two.kinds() == [STAYED]


def test_memory_that_is_not_cached_is_coherent(two: TwoMasters) -> None:
    two.turn_on(((0, Caching.WRITE_ALLOCATE), (BASE, Caching.UNCACHED), (BASE + 0x400, Caching.WRITE_ALLOCATE)))
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.read(two.cpu, 0)
    two.write(two.cpu, 0, 2)
    two.read(two.peer, 0)
    assert two.kinds() == []
    two.read(two.cpu, 0x400)
    two.write(two.peer, 0x400, 1)
    two.read(two.cpu, 0x400)
    assert two.kinds() == [STALE]


def test_nothing_is_cached_before_the_cache_is_on(two: TwoMasters) -> None:
    two.turn_on(WRITE_ALLOCATE, is_on=False)
    two.read(two.cpu, 0)
    two.write(two.peer, 0, 1)
    two.read(two.cpu, 0)
    assert two.kinds() == []


def test_a_cache_that_is_turned_off_keeps_what_is_dirty(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1)
    two.turn_on(WRITE_ALLOCATE, is_on=False)
    two.read(two.cpu, 0)  # past the cache, which has it
    assert two.kinds() == [STAYED]


def test_invalidating_destroys_dirty_bytes_that_are_read_later(two: TwoMasters) -> None:
    two.write(two.cpu, 16, 1, pc=0x10)  # a neighbour of what is received at 0
    two.maintain(0, INVALIDATE, pc=0x20)
    two.read(two.cpu, 0)
    assert two.kinds() == []
    two.read(two.cpu, 16, pc=0x30)
    (found,) = two.model.take()
    assert found.kind is DESTROYED
    assert (found.of.pc, found.since.pc, found.by.pc) == (0x10, 0x20, 0x30)


def test_destroyed_bytes_count_for_others_too(two: TwoMasters) -> None:
    two.write(two.cpu, 16, 1)
    two.maintain(0, INVALIDATE)
    two.read(two.peer, 16)
    assert two.kinds() == [DESTROYED]


@pytest.mark.parametrize("writer", ["cpu", "peer"])
def test_what_is_written_again_before_it_is_read_is_no_loss(two: TwoMasters, writer: str) -> None:
    """A buffer that was cleared, and is invalidated before it is given away: its zeroes were of no use."""
    two.write(two.cpu, 16, 0)
    two.maintain(16, INVALIDATE)
    two.write(getattr(two, writer), 16, 5)
    if writer == "peer":
        two.maintain(16, INVALIDATE)
    two.read(two.cpu, 16)
    assert two.kinds() == []


def test_cleaning_before_invalidating_destroys_nothing(two: TwoMasters) -> None:
    two.write(two.cpu, 16, 1)
    two.maintain(0, CLEAN_INVALIDATE)
    two.read(two.cpu, 16)
    two.read(two.peer, 16)
    assert two.kinds() == []


def test_a_dirty_line_overwrites_what_another_writes_beside_it(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1, pc=0x10)
    two.write(two.peer, 16, 1, pc=0x20)
    (found,) = two.model.take()
    assert found.kind is OVERWRITES
    assert (found.mask, found.by.pc, found.of.pc) == (1 << 16, 0x10, 0x20)


def test_a_line_that_becomes_dirty_over_stale_bytes_overwrites_them(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.write(two.peer, 16, 1, pc=0x20)
    two.write(two.cpu, 0, 1, pc=0x30)
    (found,) = two.model.take()
    assert (found.kind, found.mask, found.by.pc, found.of.pc) == (OVERWRITES, 1 << 16, 0x30, 0x20)


def test_a_clean_line_overwrites_nothing(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1)
    two.maintain(0, CLEAN)
    two.write(two.peer, 16, 1)
    assert two.kinds() == []


def test_a_line_that_is_invalidated_before_the_write_only_may_come_back(two: TwoMasters) -> None:
    two.read(two.cpu, 0)
    two.maintain(0, INVALIDATE, pc=0x10)
    two.write(two.peer, 0, 1, pc=0x20)
    two.read(two.cpu, 0, pc=0x30)
    (found,) = two.model.take()
    assert found.kind is EARLY
    assert (found.since.pc, found.of.pc, found.by.pc) == (0x10, 0x20, 0x30)


def test_a_line_that_is_invalidated_before_and_after_the_write_is_right(two: TwoMasters) -> None:
    two.maintain(0, INVALIDATE)
    two.write(two.peer, 0, 1)
    two.maintain(0, INVALIDATE)
    two.read(two.cpu, 0)
    assert two.kinds() == []


def test_a_device_is_another_as_a_core_is(two: TwoMasters) -> None:
    two.read(two.cpu, 40)
    two.write(two.cpu, 0, 1, pc=0x10)
    two.model.other(0, 0, 64, Step(None, 0, 9), writes=False)
    two.model.other(0, 40, 8, Step(None, 0, 10), writes=True)
    two.read(two.cpu, 40)
    first, second = two.model.take()
    assert (first.kind, first.by, first.of.pc) == (STAYED, Step(None, 0, 9), 0x10)
    assert (second.kind, second.of) == (STALE, Step(None, 0, 10))


def test_by_set_and_way_every_line_is_reached(two: TwoMasters) -> None:
    for line in range(0, SIZE, LINE_BYTES):
        two.write(two.cpu, line, 1)
    for set_ in range(128):
        for way in range(4):
            two.model.maintain_way(way << 30 | set_ << 5, CLEAN)
    for line in range(0, SIZE, LINE_BYTES):
        two.read(two.peer, line)
    assert two.kinds() == []


def test_a_reset_forgets_every_line(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1)
    two.model.reset()
    two.read(two.peer, 0)
    assert two.kinds() == []


def test_a_snapshot_brings_back_what_is_held(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1)
    saved = two.model.save()
    two.maintain(0, CLEAN)
    two.model.restore(saved)
    two.read(two.peer, 0)
    assert two.kinds() == [STAYED]


def test_what_ran_before_is_not_looked_at_again(two: TwoMasters) -> None:
    two.write(two.cpu, 0, 1)
    two.model.pause(paused=True)
    two.read(two.peer, 0)
    two.model.pause(paused=False)
    assert two.kinds() == []


# --- what the core sees (real)


def test_the_core_sees_stale_bytes(real: TwoMasters) -> None:
    assert real.read(real.cpu, 0) == 0
    real.write(real.peer, 0, 7)
    assert real.read(real.cpu, 0) == 0
    real.maintain(0, INVALIDATE)
    assert real.read(real.cpu, 0) == 7
    assert real.kinds() == [STALE]


def test_others_do_not_see_what_is_dirty(real: TwoMasters) -> None:
    real.write(real.cpu, 0, 7)
    assert real.read(real.peer, 0) == 0
    assert real.read(real.cpu, 0) == 7
    real.maintain(0, CLEAN)
    assert real.read(real.peer, 0) == 7


def test_invalidating_loses_what_is_dirty(real: TwoMasters) -> None:
    real.write(real.cpu, 0, 7)
    real.maintain(0, INVALIDATE)
    assert real.read(real.cpu, 0) == 0
    assert real.kinds() == [DESTROYED]


def test_a_write_back_brings_back_the_whole_line(real: TwoMasters) -> None:
    real.write(real.cpu, 0, 7)
    real.write(real.peer, 16, 9)
    real.maintain(0, CLEAN)
    assert (real.memory[0], real.memory[16]) == (7, 0)
    assert real.kinds() == [OVERWRITES]


def test_a_fifth_line_of_a_set_drives_one_out_which_is_written_back(real: TwoMasters) -> None:
    stride = 128 * LINE_BYTES
    for index in range(5):
        real.write(real.cpu, index * stride, index + 1)
    in_memory = [real.memory[index * stride] for index in range(5)]
    assert sum(map(bool, in_memory)) >= 1
    assert [real.read(real.cpu, index * stride) for index in range(5)] == [1, 2, 3, 4, 5]


def test_the_same_seed_drives_out_the_same_lines() -> None:
    def run(seed: int) -> bytes:
        board = TwoMasters(is_real=True, seed=seed)
        for index in range(3000):
            board.write(board.cpu, index * 52 % SIZE & ~3, index & 0xFFFF, size=4)
        return bytes(board.memory)

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_by_set_and_way_every_line_is_written_back(real: TwoMasters) -> None:
    for line in range(0, 16 * 1024, LINE_BYTES):
        real.write(real.cpu, line, line // LINE_BYTES & 0xFF)
    for set_ in range(128):
        for way in range(4):
            real.model.maintain_way(way << 30 | set_ << 5, CLEAN_INVALIDATE)
    assert all(real.memory[line] == line // LINE_BYTES & 0xFF for line in range(0, 16 * 1024, LINE_BYTES))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_core_that_is_alone_sees_what_it_wrote(seed: int) -> None:
    """Whatever is driven out, cleaned or fetched anew: for one master a cache cannot be told from memory."""
    chance, board = random.Random(seed), TwoMasters(is_real=True, seed=seed)
    plain = bytearray(SIZE)
    for _ in range(300):
        offset = chance.randrange(0, SIZE // 4) * 4
        if chance.random() < 0.5:
            offset = chance.randrange(8) * 4 + chance.randrange(6) * 128 * LINE_BYTES
        match chance.randrange(4):
            case 0 | 1:
                value = chance.getrandbits(32)
                plain[offset : offset + 4] = value.to_bytes(4, "little")
                board.write(board.cpu, offset, value, size=4)
            case 2:
                assert board.read(board.cpu, offset, size=4) == int.from_bytes(plain[offset : offset + 4], "little")
            case _:
                board.maintain(offset, chance.choice((CLEAN, CLEAN_INVALIDATE)))
    assert board.kinds() == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_with_maintenance_two_masters_agree_and_nothing_is_found(seed: int) -> None:
    """Clean after writing, invalidate before reading, whole lines each: as if there were no cache."""
    chance, board = random.Random(seed), TwoMasters(is_real=True, seed=seed)
    plain = bytearray(SIZE)
    for _ in range(300):
        line = chance.randrange(8) * LINE_BYTES + chance.randrange(6) * 128 * LINE_BYTES
        at, value = line + chance.randrange(8) * 4, chance.getrandbits(32)
        match chance.randrange(4):
            case 0:
                board.maintain(at, INVALIDATE)
                board.write(board.cpu, at, value, size=4)
                board.maintain(at, CLEAN)
                plain[at : at + 4] = value.to_bytes(4, "little")
            case 1:
                board.write(board.peer, at, value, size=4)
                plain[at : at + 4] = value.to_bytes(4, "little")
            case 2:
                board.maintain(at, INVALIDATE)
                assert board.read(board.cpu, at, size=4) == int.from_bytes(plain[at : at + 4], "little")
            case _:
                assert board.read(board.peer, at, size=4) == int.from_bytes(plain[at : at + 4], "little")
    assert board.kinds() == []
