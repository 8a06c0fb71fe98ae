"""A vdev that the remote drives (RPTUN's ``VdevRole``), with real firmware: the pairs of `firmware/`, roles exchanged.

The image that drives runs as the remote and the one that has the table as main: what is found is the same as with main
as the driver, and the core that did it is named by its role.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.base.roles import Side
from orchestrator.board import Board, EndReason
from orchestrator.formats.elf import load_elf
from orchestrator.formats.resource_entry import VdevRole
from orchestrator.formats.resource_table import scan_table_bytes
from orchestrator.platform import load_platform

CHIP = "nrf5340"  # both cores call shared memory by the same addresses
ROLE = 26  # offset of vdev.reserved[0]

BLAMED = {
    "leak": ("buffer.not-returned", "main"),
    "no-driver-ok": ("vdev.driver-ok-not-reached", "remote"),
    "past-carveout": ("vring.outside-carveout", ""),
    "used-align": ("ring.layout-disagreement", "remote"),
    "wrong-channel": ("notification.missing", "remote"),
}


@pytest.fixture
def board(pair, tmp_path):
    """``board(variant)``: at power-on, with a table that says that main is the device."""
    boards = []

    def make(variant):
        images = pair(variant, CHIP)
        platform = load_platform(CHIP)
        swapped = replace(platform, roles={"main": platform.roles["remote"], "remote": platform.roles["main"]})
        table = load_elf(images.remote).resource_table().data
        changed = bytearray(table)
        for vdev in scan_table_bytes(bytes(table), view="remote.elf", address=0).table.vdevs:
            changed[vdev.at.address + ROLE] = VdevRole.DEVICE
        device = tmp_path / "device.elf"
        device.write_bytes(images.remote.read_bytes().replace(table, bytes(changed)))
        boards.append(Board(swapped, main=device, remote=images.main))
        return boards[-1]

    yield make
    for each in boards:
        each.close()


@pytest.mark.parametrize("variant", ["demo", "static", "two-vdevs"])
def test_a_healthy_pair_comes_up_and_nothing_is_found(board, variant):
    rig = board(variant)
    end = rig.run()
    verdict = rig.verdict()
    assert (verdict.exit_code, verdict.findings, verdict.no_traffic) == (0, (), ())
    assert end.reason is EndReason.QUIET
    assert {vdev.role_of(Side.DRIVER) for vdev in rig.live.vdevs} == {"remote"}
    assert verdict.run.milestone("vdev[0] DRIVER_OK").core == "remote"
    assert {each.sender for each in rig.messages if each.text} == {"main"}  # the device announces


@pytest.mark.parametrize("variant", BLAMED)
def test_a_broken_pair_has_its_cause_and_the_core_that_did_it(board, variant):
    rig = board(variant)
    rig.run(timeout="2 s")
    (cause,) = rig.verdict().causes
    assert (cause.finding.rule, cause.finding.core) == BLAMED[variant]
