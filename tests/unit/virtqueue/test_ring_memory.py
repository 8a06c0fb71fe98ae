"""Memory of rings: halfwords in one access, and no byte outside."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import BytesMemory
from orchestrator.virtqueue.memory import BufferMemory, OrderedMemory, ordered

BASE = 0x3000


@pytest.fixture
def memory() -> BufferMemory:
    return BufferMemory("shared", BASE, bytearray(16))


def test_bytes_and_halfwords_are_the_same_memory(memory: BufferMemory) -> None:
    memory.store16(BASE + 2, 0x1234)
    memory.store16(BASE + 14, 0xFEDC)
    assert memory.read(BASE, 16) == b"\0\0\x34\x12" + bytes(10) + b"\xdc\xfe"
    memory.write(BASE + 3, b"\x56\x78")
    assert [memory.load16(BASE + at) for at in (2, 4, 14)] == [0x5634, 0x78, 0xFEDC]
    assert memory.extent.size == 16


@pytest.mark.parametrize(("start", "size"), [(BASE - 2, 2), (BASE + 15, 2), (BASE + 16, 1), (BASE, 17), (0, 4)])
def test_nothing_outside_is_read_or_written(memory: BufferMemory, start: int, size: int) -> None:
    for act in (lambda: memory.read(start, size), lambda: memory.write(start, bytes(size))):
        with pytest.raises(TranslationError, match="no memory") as caught:
            act()
        assert caught.value.where == f"shared at {start if not BASE <= start < BASE + 16 else BASE + 16:#010x}"
    if size == 2:
        with pytest.raises(TranslationError):
            memory.load16(start)
        with pytest.raises(TranslationError):
            memory.store16(start, 0)


def test_the_last_byte_is_inside(memory: BufferMemory) -> None:
    memory.write(BASE + 15, b"\x01")
    assert memory.read(BASE + 15, 1) == b"\x01"
    assert memory.read(BASE + 16, 0) == b""


@pytest.mark.parametrize(("base", "buffer"), [(BASE + 1, bytearray(16)), (BASE, memoryview(bytes(16)))])
def test_rings_need_even_and_writable_memory(base: int, buffer: bytearray | memoryview) -> None:
    with pytest.raises(UsageError, match="no memory for rings"):
        BufferMemory("shared", base, buffer)


def test_an_odd_byte_at_the_end_is_memory_and_no_halfword() -> None:
    memory = BufferMemory("shared", BASE, bytearray(3))
    memory.write(BASE + 2, b"\x07")
    assert memory.read(BASE, 3) == b"\0\0\x07"
    with pytest.raises(TranslationError):
        memory.load16(BASE + 2)


def test_memory_whose_users_take_turns_has_halfwords_too(memory: BufferMemory) -> None:
    assert ordered(memory) is memory
    plain = BytesMemory("plain", BASE, bytearray(4))
    made = ordered(plain)
    assert isinstance(made, OrderedMemory)
    assert made.view == "plain"
    made.store16(BASE + 2, 0xABCD)
    assert plain.read(BASE, 4) == b"\0\0\xcd\xab"
    assert made.load16(BASE + 2) == 0xABCD
    made.write(BASE, b"\x01")
    assert made.read(BASE, 1) == b"\x01"
