"""What the cores of the demo pair do to their shared memory, told access by access; and telling changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.base.memory import Extent
from orchestrator.engines.contract import EngineOptions, Observing
from orchestrator.engines.registry import create_engine
from orchestrator.events import Access, Accessed, Event
from orchestrator.formats.elf import load_elf
from orchestrator.platform import load_platform

# By platform: the table with everything behind it as the main core sees it, and the offsets of the first vring's
# available and used index.
PLACES = {
    "stm32h745": (Extent(0x3004_0000, 0x4000), 0x1082, 0x10A2),
    "nrf5340": (Extent(0x2007_0000, 0x4000), 0x1082, 0x10A2),
}
RUN_NS = 1_200_000  # bring-up and pings


def run(platform_name: str, firmware: Callable[..., Any], engine_name: str, *, observe: bool) -> dict[str, Any]:
    pair, platform = firmware("demo", platform_name), load_platform(platform_name)
    main, remote = platform.core("main").name, platform.core("remote").name
    engine = create_engine(engine_name, platform, EngineOptions())
    events: list[Event] = []
    try:
        engine.subscribe(events.append)
        for core, path in ((main, pair.main), (remote, pair.remote)):
            image = load_elf(path)
            engine.load(core, image, image.vector_table)
        extent = PLACES[platform_name][0]
        before = engine.memory(main).read(extent.start, extent.size)
        if observe:
            assert isinstance(engine, Observing)
            engine.observe("shared", main, extent)
        engine.run(RUN_NS)
        return {
            "before": before,
            "after": engine.memory(main).read(extent.start, extent.size),
            "accesses": [(e.core, a) for e in events if isinstance(e.detail, Accessed) for a in e.detail.accesses],
            "events": [each for each in events if not isinstance(each.detail, Accessed)],
            "registers": [engine.registers(core) for core in (main, remote)],
            "instructions": [engine.instructions(core) for core in (main, remote)],
            "consoles": {name: console.output for name, console in engine.consoles.items()},
        }
    finally:
        engine.close()


@pytest.mark.parametrize("platform", PLACES)
def test_observing_the_demo_pair_changes_nothing_and_explains_its_memory(
    firmware: Callable[..., Any], platform: str
) -> None:
    plain = run(platform, firmware, "unicorn", observe=False)
    seen = run(platform, firmware, "unicorn", observe=True)
    accesses: list[tuple[str, Access]] = seen.pop("accesses")
    assert plain.pop("accesses") == []
    assert seen == plain
    chip, (extent, available, used) = load_platform(platform), PLACES[platform]
    main, remote = chip.core("main").name, chip.core("remote").name
    start = chip.region_at(main, extent.start)
    assert start is not None
    region, base = start
    memory = bytearray(seen["before"])
    writes: dict[int, list[tuple[str, int]]] = {available: [], used: []}
    for core, access in accesses:
        found = chip.region_at(core, access.address)
        assert found is not None
        assert found[0] is region
        assert access.value is not None
        span = slice(found[1] - base, found[1] - base + access.size)
        assert int.from_bytes(memory[span], "little") == (access.before if access.writes else access.value)
        memory[span] = access.value.to_bytes(access.size, "little")
        if access.writes and span.start in writes:
            writes[span.start].append((core, access.value))
    assert memory == seen["after"]
    for offset, core in ((available, main), (used, remote)):
        cleared, *counted = writes[offset]
        assert cleared == (main, 0)
        assert len(counted) > 3
        assert counted == [(core, index + 1) for index in range(len(counted))]


def test_an_engine_in_a_process_of_its_own_tells_the_same(firmware: Callable[..., Any]) -> None:
    here, there = (run("stm32h745", firmware, name, observe=True) for name in ("unicorn", "unicorn-remote"))
    assert there == here
