"""The platform's description against QEMU's own machine: every window of its memory tree, every wired interrupt."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.base.memory import Extent
from orchestrator.board import Board
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.qemu.engine import QemuEngine
from orchestrator.events import Event, GuestError
from orchestrator.platform import load_platform
from orchestrator.platform.model import Platform

pytestmark = pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")

NAME = "mps2_an521"
WINDOW = 0x1000  # of a peripheral whose type gives no size: what an APB slave has
PRIVATE = Extent(0xE000_0000, 0x10_0000)  # the processor's own (DDI0553 B8.1)
RANGE = re.compile(r"\s+(?P<first>[0-9a-f]{16})-(?P<last>[0-9a-f]{16}) \(prio -?\d+, (?P<kind>ram|i/o)\): (?P<name>.*)")
MEMORY = "tz-mpc-upstream"  # memories behind a protection controller
RAISED = re.compile(r"nvic_set_irq_level NVIC external irq (\d+) level set to 1$")
COMBINED = set(range(42, 47))  # one more interrupt of each UART, for both directions: Renode's UART has none
EXTERNAL = 16  # number of the first input
Window = tuple[Extent, str]  # "memory" or "device"


@pytest.fixture(scope="module")
def engine() -> Iterator[QemuEngine]:
    made = QemuEngine(load_platform(NAME), EngineOptions())
    yield made
    made.close()


def theirs(engine: QemuEngine, core: int) -> set[Window]:
    text = engine._link.qmp.execute("human-monitor-command", **{"command-line": "info mtree -f"})
    views = [view for view in text.split("FlatView #") if f'"cpu-memory-{core}"' in view]
    assert len(views) == 1
    found = set()
    for match in RANGE.finditer(views[0].replace("\r", "")):
        extent = Extent.between(int(match["first"], 16), int(match["last"], 16) + 1)
        if extent not in PRIVATE:
            is_memory = match["kind"] == "ram" or match["name"] == MEMORY
            found.add((extent, "memory" if is_memory else "device"))
    return found


def ours(platform: Platform, core: str) -> set[Window]:
    found = {(extent, "memory") for region in platform.regions for extent in region.extents(core)}
    found |= {(extent, "device") for _, extent, _ in platform.tags if extent.start not in PRIVATE}
    for each in platform.peripherals:
        for at in each.registrations:
            extent = Extent(at.address, at.size or each.size or WINDOW)
            if at.seen_by(core) and extent.start not in PRIVATE:
                found.add((extent, "device"))
    return found


def differences(platform: Platform, engine: QemuEngine) -> list[str]:
    names = []
    for number, core in enumerate(platform.cores):
        mine, other = ours(platform, core.name), theirs(engine, number)
        names += [f"{core.name}: QEMU has no {kind} {extent}" for extent, kind in sorted(mine - other)]
        names += [f"{core.name}: {platform.name} has no {kind} {extent}" for extent, kind in sorted(other - mine)]
    return names


def wired(platform: Platform, name: str, output: str) -> dict[str, int]:
    by_nvic = {core.nvic: core.name for core in platform.cores}
    peripheral = next(each for each in platform.peripherals if each.name == name)
    return {by_nvic[each.target]: each.line for each in peripheral.interrupts if each.output == output}


def test_every_window_is_where_qemu_has_it_and_none_is_missing(engine):
    assert differences(load_platform(NAME), engine) == []


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ("sysbus 0x30008000", "sysbus 0x30030000", "cpu0: QEMU has no memory 0x30030000..0x30038000"),
        ('Tag <0x40300000, 0x40300fff> "SCC_NS"', 'Tag <0x40304000, 0x40304fff> "SCC_NS"', "0x40304000..0x40305000"),
        ("sysbus 0x50021000", "sysbus 0x50024000", "cpu1: mps2_an521 has no device 0x50021000..0x50022000"),
    ],
)
def test_a_line_that_is_wrong_is_named(engine, tmp_path: Path, line, wrong, said):
    folder = load_platform(NAME).path.parent
    shutil.copytree(folder / NAME, tmp_path / NAME)
    text = (folder / f"{NAME}.repl").read_text()
    assert text.count(line) == 1
    (tmp_path / f"{NAME}.repl").write_text(text.replace(line, wrong))
    (tmp_path / f"{NAME}.toml").write_text((folder / f"{NAME}.toml").read_text())
    named = differences(load_platform(str(tmp_path / f"{NAME}.repl")), engine)
    assert any(said in each for each in named)


def test_mailboxes_and_uarts_raise_the_interrupts_that_the_platform_names(pair):
    """While a pair boots and both shells are typed to; each input of an NVIC that goes high is in QEMU's log."""
    platform, images, levels = load_platform(NAME), pair("demo", NAME), set()

    def note(event: Event) -> None:
        match = RAISED.match(event.detail.what) if isinstance(event.detail, GuestError) else None
        levels.update([int(match[1]) - EXTERNAL] if match else [])

    with Board(NAME, main=images.main, remote=images.remote, engine="qemu") as board:
        board.engine._link.qmp.execute("trace-event-set-state", name="nvic_set_irq_level", enable=True)
        board.subscribe(note)
        board.run("main:main> ")
        for role in ("main", "remote"):
            board.consoles[role].write(b"\r")
        board.run_for("5 ms")
    expected = {line.interrupt for line in platform.mailboxes[0].lines}
    for core, uart in platform.consoles.items():
        expected.add(wired(platform, uart, "RxInterrupt")[core])
    assert levels - COMBINED == expected
