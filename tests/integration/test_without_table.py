"""Vrings that no table describes: given, or found from what the cores do, and judged like others."""

from __future__ import annotations

import json

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.board import Board

VRINGS = ("0x10040800:8:16", "0x10040a00:8:16")

FAULTS = {
    "leak": ("buffer.not-returned", "vdev[0].vring[1]"),
    "used-align": ("ring.layout-disagreement", "vdev[0].vring[0]"),
    "wrong-channel": ("notification.missing", "vdev[0].vring[0]"),
}


@pytest.mark.parametrize("given", [VRINGS, ()], ids=["given", "found"])
def test_a_healthy_pair_without_a_table_comes_up_and_nothing_is_found(patched, given):
    images = patched("no-table")
    with Board(main=images.main, remote=images.remote, vrings=given) as board:
        board.run()
        verdict = board.verdict()
        places = [(ring.span.pa, ring.entry.num, ring.entry.align) for ring in board.live.rings]
    assert places == [(0x3004_0800, 8, 16), (0x3004_0A00, 8, 16)]
    assert (verdict.up, verdict.exit_code, verdict.findings, verdict.no_traffic) == (True, 0, (), ())
    assert verdict.headline == "RPTUN is up"


@pytest.mark.parametrize("variant", FAULTS)
def test_a_fault_of_a_pair_without_a_table_is_named(patched, variant):
    images = patched("no-table", variant)
    with Board(main=images.main, remote=images.remote, vrings=VRINGS) as board:
        board.run(timeout="500 ms")
        verdict = board.verdict()
    assert [(each.finding.rule, each.finding.subject) for each in verdict.causes] == [FAULTS[variant]]
    assert verdict.exit_code == 1


def test_vrings_in_the_wrong_place_are_said_so(patched):
    images = patched("no-table")
    with Board(main=images.main, remote=images.remote, vrings=("0x10044000:8:16", "0x10044400:8:16")) as board:
        board.run(timeout="100 ms")
        (cause,) = board.verdict().causes
    assert cause.finding.rule == "vdev.driver-ok-not-reached"
    assert "both indices are 0" in cause.finding.actual
    assert "0x10044000" in str(cause.finding.at[0])


def test_where_they_are_not_found_the_report_says_how_to_name_them(patched, rptwin):
    images = patched("no-table", "leak")
    result = rptwin("run", "-q", "--timeout", "100 ms", images.main, images.remote)
    assert result.exit_code == 1
    assert "--vrings ADDRESS:NUM:ALIGN" in " ".join(result.stdout.split())


def test_the_command_and_the_file_take_vrings_and_the_json_has_them(patched, rptwin, tmp_path):
    images = patched("no-table")
    (tmp_path / "rptwin.toml").write_text(f"vrings = {json.dumps(VRINGS)}\n")
    result = rptwin("run", "--json", "out.json", images.main, images.remote)
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "out.json").read_text())
    assert facts["parameters"]["vrings"] == list(VRINGS)
    rings = facts["verdict"]["table"]["vdevs"][0]["vrings"]
    assert [(each["da"], each["num"], each["align"]) for each in rings] == [(0x10040800, 8, 16), (0x10040A00, 8, 16)]
    typed = rptwin("inspect", "--vrings", VRINGS[0], "--vrings", "0x1001f800:8:16", images.remote)
    assert typed.exit_code == 1
    assert "vring.memory-in-use" in typed.stdout  # over the stack of the remote


@pytest.mark.parametrize(
    "given", [("0x10040800:8:16",), ("0x10040800:6:16", VRINGS[1]), ("here:8:16", VRINGS[1]), ("0x10040800", VRINGS[1])]
)
def test_what_is_no_pair_of_vrings_is_refused(firmware, given):
    images = firmware("demo")
    with pytest.raises(UsageError, match="vring"):
        Board(main=images.main, remote=images.remote, vrings=given)


# memory beside the chip's


def test_memory_of_the_board_is_there_for_both_cores(firmware, rptwin, tmp_path):
    images = firmware("demo")
    with Board(main=images.main, remote=images.remote, memory=("0xd0000000:8M",)) as board:
        main, remote = (board.engine.memory(board.platform.core(role).name) for role in ("main", "remote"))
        main.write(0xD07F_FFFC, b"both")
        assert remote.read(0xD07F_FFFC, 4) == b"both"
        board.run()
        assert board.verdict().findings == ()
    result = rptwin("run", "--memory", "0xd0000000:0x800000", "--json", "out.json", images.main, images.remote)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out.json").read_text())["parameters"]["memory"] == ["0xd0000000:0x800000"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0x24000000:64K", "axi_sram at 0x24000000"),
        ("0x52004000:4K", "FMC at 0x52004000"),
        ("0xd0000000:0", "multiples"),
        ("0xffff0000:1M", "up to 4 GB"),
        ("0xd0000000", "ADDRESS:SIZE"),
    ],
)
def test_memory_where_something_is_or_that_is_none_is_refused(firmware, text, words):
    images = firmware("demo")
    with pytest.raises(UsageError, match=words):
        Board(main=images.main, remote=images.remote, memory=(text,))


def test_an_engine_with_a_machine_of_its_own_takes_no_memory(firmware):
    images = firmware("demo")
    with pytest.raises(UsageError, match="its memory is its own"):
        Board(main=images.main, remote=images.remote, engine="renode", memory=("0xd0000000:8M",))


def test_an_access_to_memory_that_a_board_may_have_says_how_to_give_it(patched):
    images = patched("external-memory")
    with Board(main=images.main, remote=images.remote) as board:
        board.run(timeout="50 ms")
        (cause,) = board.verdict().causes
    assert cause.finding.rule == "core.fault"
    assert "in FMC SDRAM bank 2" in cause.finding.actual
    assert "--memory ADDRESS:SIZE" in cause.finding.actual
    assert "nothing" not in cause.finding.actual
    with Board(main=images.main, remote=images.remote, memory=("0xd0000000:8M",)) as board:
        board.run()
        assert board.verdict().findings == ()
