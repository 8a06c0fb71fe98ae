"""Each peripheral script of the shipped platforms, compiled for Renode, against the script itself: random accesses."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import Engine, EngineOptions, Monitored
from orchestrator.engines.registry import create_engine
from orchestrator.engines.renode.compiled.models import Models
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.platform import load_platform
from orchestrator.platform.export import export
from orchestrator.platform.model import Peripheral, Platform

pytestmark = [pytest.mark.renode, pytest.mark.xdist_group("remote")]

ACCESSES = 150
WIDTHS = {1: "Byte", 2: "Word", 4: "DoubleWord"}
PLATFORMS = ("stm32h745", "nrf5340", "mps2_an521")


class Silent:
    """A board that a script may do anything to: which cores it holds is kept, as scripts ask for it."""

    def __init__(self, platform: Platform) -> None:
        self.held = {core.name: core.held for core in platform.cores}
        self.tables: dict[str, int] = defaultdict(int)

    def is_held(self, core: str) -> bool:
        return self.held[core]

    def hold(self, core: str, held: bool) -> None:
        self.held[core] = held

    def set_interrupt(self, nvic: str, line: int, level: bool) -> None: ...

    def is_in_deep_sleep(self, nvic: str) -> bool:
        return False

    def set_event(self, core: str) -> None: ...

    def vector_table(self, core: str) -> int:
        return self.tables[core]

    def set_vector_table(self, core: str, address: int) -> None:
        self.tables[core] = address

    def log(self, level: str, text: str) -> None: ...

    def unmodelled(self, offset: int, text: str) -> None: ...


@pytest.fixture(scope="module", params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> Platform:
    return load_platform(request.param)


@pytest.fixture(scope="module")
def renode(platform: Platform) -> Iterator[Engine]:
    try:
        discover()
    except EngineError as missing:
        pytest.skip(f"no Renode: {missing.what}")
    engine = create_engine("renode", platform, EngineOptions())
    yield engine
    engine.close()


def scripts(platform: Platform) -> list[Peripheral]:
    """Those that Renode has as classes."""
    models = Models()
    text = export(platform, models=models.name_of)[f"{platform.name}.repl"]
    return [each for each in platform.peripherals if f"\n{each.name}: Rptwin." in text]


def test_a_compiled_script_does_what_the_script_does(platform: Platform, renode: Engine) -> None:
    assert isinstance(renode, Monitored)
    compared = scripts(platform)
    assert len(compared) >= 10
    for peripheral in compared:
        board = Silent(platform)
        device = ScriptDevice(
            peripheral.script or "",
            peripheral.name,
            peripheral.size or 0x400,
            board,
            cores=[core.name for core in platform.cores],
            nvics=[core.nvic for core in platform.cores],
            initable=True,
        )
        chance = random.Random(peripheral.name)
        at = peripheral.registrations[0]
        cores = [core.name for core in platform.cores if at.seen_by(core.name)]
        offsets = sorted(chance.sample(range(0, peripheral.size or 0x400, 4), min(40, (peripheral.size or 0x400) // 4)))
        offsets += [offset for offset in known(peripheral) if offset not in offsets]
        for _ in range(ACCESSES):
            core, width = chance.choice(cores), chance.choice((4, 4, 4, 2, 1))
            offset = chance.choice(offsets)
            value = chance.getrandbits(8 * width) if chance.random() < 0.7 else 1 << chance.randrange(8 * width)
            where = f"{platform.name} {peripheral.name} {offset:#x}, {width} bytes, by {core}"
            if chance.random() < 0.5:
                device.write(offset, width, value, core)
                command = f"sysbus Write{WIDTHS[width]} {at.address + offset:#x} {value:#x} sysbus.{core}"
                assert renode.execute(command) == "", where
            else:
                said = renode.execute(f"sysbus Read{WIDTHS[width]} {at.address + offset:#x} sysbus.{core}")
                assert int(said, 16) == device.read(offset, width, core), where


def known(peripheral: Peripheral) -> list[int]:
    """Offsets that a script names."""
    found = {int(word, 16) for word in re.findall(r"0x[0-9A-Fa-f]{1,3}\b", peripheral.script or "")}
    return sorted(offset for offset in found if offset < (peripheral.size or 0x400) and offset % 4 == 0)
