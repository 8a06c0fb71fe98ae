"""What is saved of a region and brought back, against copies of all its bytes."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.engines.unicorn.memory.saved_bytes import CHUNK, SavedBytes
from orchestrator.engines.unicorn.memory.store import new_store
from orchestrator.platform import load_platform
from orchestrator.platform.model import Region

SIZE = 2 * CHUNK + mmap.PAGESIZE
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "write", "save", "restore"]), st.integers(0, SIZE - 1), st.binary(max_size=8)),
    max_size=20,
)


def saved_bytes(*, writable: bool = True) -> tuple[SavedBytes, memoryview]:
    """Of a region, with its bytes."""
    store = new_store(Region("memory", SIZE, (), writable=writable, fill=0xFF), 1)
    return SavedBytes(store), store.view


@pytest.mark.parametrize("writable", [True, False])
@given(steps=STEPS)
def test_what_is_brought_back_is_what_was_there(writable, steps):
    saved, view = saved_bytes(writable=writable)
    taken = [(saved.save(), bytes(view))]
    for what, at, data in steps:
        if what == "write":
            view[at : at + len(data)] = data[: SIZE - at]
            saved.written()
        elif what == "save":
            taken.append((saved.save(), bytes(view)))
        else:
            chunks, whole = taken[at % len(taken)]
            before = bytes(view)
            for start, old, new in saved.restore(chunks):
                assert before[start : start + len(old)] == old != new
                before = before[:start] + new + before[start + len(new) :]
            assert bytes(view) == whole == before
        assert [saved.hold(chunks) for chunks, _ in taken] == [whole == bytes(view) for _, whole in taken]
    assert [b"".join(chunks) for chunks, _ in taken] == [whole for _, whole in taken]


def test_what_did_not_change_is_the_same_object():
    saved, view = saved_bytes()
    first = saved.save()
    assert saved.save() is first
    view[CHUNK] = 1
    second = saved.save()
    assert [one is other for one, other in zip(first, second, strict=True)] == [True, False, True]
    saved.restore(first)
    assert saved.save() is first


def test_memory_as_it_is_at_power_on_is_kept_once():
    saved, view = saved_bytes()
    view[0] = 1
    one, other, _ = saved.save()
    view[0] = 0xFF
    assert one is not other
    assert saved.save()[0] is other


def test_memory_that_the_host_alone_writes_is_saved_anew_once_it_did():
    engine = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    try:
        before = engine.snapshot()
        engine.memory("cpu_cm7").write(0x0800_0000, b"new")
        written = engine.snapshot()
        engine.restore(before)
        assert engine.memory("cpu_cm4").read(0x0800_0000, 3) == b"\xff\xff\xff"
        engine.restore(written)
        assert engine.memory("cpu_cm4").read(0x0800_0000, 3) == b"new"
    finally:
        engine.close()
