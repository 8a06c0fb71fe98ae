"""The scripts of the MPS2 AN521, register by register, with a host that records calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.script_host import ScriptHost

from orchestrator.base.memory import Extent
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.platform import load_platform

SCRIPTS = Path(__file__).parents[3] / "platforms/mps2_an521"


@pytest.fixture
def host() -> ScriptHost:
    """A board of two cores of which the second waits."""
    host = ScriptHost({"cpu0": False, "cpu1": True}, refuses=("set_event", "is_in_deep_sleep"))
    host.tables |= {"cpu0": 0x1000_0000, "cpu1": 0x1000_0000}
    return host


def device(name: str, host: ScriptHost) -> ScriptDevice:
    script = ScriptDevice(
        (SCRIPTS / f"{name}.py").read_text(),
        f"{name}.py",
        0x1000,
        host,
        cores=["cpu0", "cpu1"],
        nvics=["nvic0", "nvic1"],
    )
    script.reset()
    return script


@pytest.mark.parametrize(("name", "line"), [("mhu0", 6), ("mhu1", 7)])
@pytest.mark.parametrize(("core", "bank"), [("nvic0", 0x00), ("nvic1", 0x10)])
def test_a_bit_that_is_set_for_a_core_interrupts_it_until_it_is_cleared(
    host: ScriptHost, name: str, line: int, core: str, bank: int
) -> None:
    mhu = device(name, host)
    mhu.write(bank + 4, 4, 0x11, "cpu0")
    mhu.write(bank + 4, 4, 0x8, "cpu1")
    assert mhu.read(bank, 4, "cpu0") == 0x9  # four bits, and no more
    mhu.write(bank + 8, 4, 0x1, "cpu1")
    assert host.lines == [(core, line, True)]
    mhu.write(bank + 8, 4, 0xF, "cpu1")
    assert host.lines == [(core, line, True), (core, line, False)]
    assert mhu.read(bank, 4, None) == 0
    assert (host.logged, host.touched) == ([], [])


def test_a_reset_of_the_mhu_forgets_what_was_set(host: ScriptHost) -> None:
    mhu = device("mhu0", host)
    mhu.write(0x14, 4, 1, "cpu0")
    mhu.reset()
    assert mhu.read(0x10, 4, None) == 0


def test_cpu_1_boots_where_initsvtor1_says_when_cpuwait_lets_it_go(host: ScriptHost) -> None:
    sysctl = device("sysctl", host)
    assert sysctl.read(0x118, 4, "cpu0") == 2
    sysctl.write(0x114, 4, 0x1020_0000, "cpu0")
    assert (host.tables["cpu1"], host.held["cpu1"]) == (0x1020_0000, True)
    sysctl.write(0x118, 4, 0, "cpu0")
    assert not host.held["cpu1"]
    assert sysctl.read(0x118, 4, "cpu0") == 0


def test_cpuwait_does_not_stop_a_core_that_runs(host: ScriptHost) -> None:
    sysctl = device("sysctl", host)
    sysctl.write(0x118, 4, 0, "cpu0")
    sysctl.write(0x118, 4, 3, "cpu0")
    assert host.held == {"cpu0": False, "cpu1": False}


@pytest.mark.parametrize(("core", "identity"), [("cpu0", 0), ("cpu1", 1), (None, 0)])
def test_each_core_reads_its_own_identity(host: ScriptHost, core: str | None, identity: int) -> None:
    assert device("cpu_identity", host).read(0, 4, core) == identity


@pytest.mark.parametrize("name", ["mhu0", "mhu1", "sysctl", "sysinfo", "cpu_identity"])
def test_what_a_script_does_not_model_is_said(host: ScriptHost, name: str) -> None:
    script = device(name, host)
    script.read(0x800, 4, "cpu0")
    script.write(0x800, 4, 0, "cpu0")
    assert len([*host.logged, *host.touched]) == 2


def test_every_memory_has_a_secure_and_a_non_secure_alias() -> None:
    platform = load_platform("mps2_an521")
    for region in platform.regions:
        starts = {extent.start for extent in region.extents("cpu0")}
        if region.name != "psram":
            assert {start ^ 0x1000_0000 for start in starts} == starts, region.name
        assert region.extents("cpu0") == region.extents("cpu1")


@pytest.mark.parametrize("core", ["cpu0", "cpu1"])
@pytest.mark.parametrize(
    "address",
    [0x4008_1C00, 0x5008_1C00, 0x5002_EC00, 0x5000_0FFC,
     0xE000_0E80, 0xE000_1000, 0xE000_2000, 0xE004_0000],
)  # fmt: skip
def test_what_the_chip_has_and_nobody_models_is_no_hole(core: str, address: int) -> None:
    """WDOGLOCK (DDI0479D 4.5), a timer's identification, and what each core has
    for its debugger.
    """
    platform = load_platform("mps2_an521")
    windows = [
        Extent(at.address, at.size or each.size or 0)
        for each in platform.peripherals
        for at in each.registrations
        if at.seen_by(core)
    ]
    assert any(address in each for each in [*windows, *(extent for _, extent, _ in platform.tags)])
