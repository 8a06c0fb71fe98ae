"""Cores are told what is observed, each time that it has changed."""

from __future__ import annotations

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.engines.unicorn.observed import ObservedExtents
from orchestrator.platform import load_platform

MAIN = "cpu_cm7"
HERE, THERE = Extent(0x3004_0000, 16), Extent(0x3004_0010, 16)


@pytest.fixture
def engine() -> UnicornEngine:
    engine = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    yield engine
    engine.close()


def test_what_is_observed_already_is_not_told_once_more(engine):
    class Told:
        def __init__(self) -> None:
            self.memory = engine.core(MAIN).memory
            self.parts = []

        def observe(self, parts) -> None:
            self.parts.append([(each.start, each.end, each.merge) for each in parts])

    told = Told()
    observed = ObservedExtents([told])
    observed.add("a", told, HERE, merge=False)
    observed.add("a", told, HERE, merge=False)
    assert told.parts == [[(0, 16, False)]]
    observed.add("a", told, HERE, merge=True)
    observed.add("a", told, THERE, merge=True)
    observed.remove("a")
    observed.remove("a")
    assert told.parts[1:] == [[(0, 16, True)], [(16, 32, True)], []]
