"""The seam between what is stored and what a core sees of it: where a data cache would stand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.platform import load_platform

MAIN, REMOTE = "cpu_cm7", "cpu_cm4"
AT = 0x3004_0000


@pytest.fixture
def engine() -> UnicornEngine:
    engine = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    yield engine
    engine.close()


@pytest.fixture
def cached(engine: UnicornEngine) -> Callable[[bytes], None]:
    """Show main other bytes than are stored, from the start of the shared memory on."""

    def show(data: bytes) -> None:
        mapping = engine.core(MAIN).memory.mapping_at(AT)
        assert mapping is not None
        mapping.seen = memoryview(bytearray(data.ljust(mapping.extent.size, b"\0")))

    return show


def test_a_core_sees_what_its_mapping_shows_and_nobody_else_does(engine, cached):
    cached(b"cached")
    assert engine.memory(MAIN).read(AT, 6) == b"cached"
    assert engine.memory(REMOTE).read(AT, 6) == bytes(6)
    assert engine.core(MAIN).memory.stored.read(AT, 6) == bytes(6)


def test_devices_reach_what_is_stored(engine, cached):
    cached(b"cached")
    engine.wiring.view(MAIN).write(AT, b"device")
    assert engine.memory(MAIN).read(AT, 6) == b"cached"
    assert engine.memory(REMOTE).read(AT, 6) == b"device"


def test_a_watch_sees_what_is_stored(engine, cached):
    cached(b"cached")
    engine.watch("shared", MAIN, Extent(AT, 8))
    engine.core(MAIN).memory.write(AT, b"unseen")
    assert engine._watches.changed() == []
    engine.wiring.view(MAIN).write(AT, b"stored")
    assert engine._watches.changed() == ["shared"]
