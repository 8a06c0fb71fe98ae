"""`--order`: rings without one of their barriers, and the healthy pairs, of which nothing is said."""

from __future__ import annotations

import dataclasses
import json

import pytest
from support.golden_texts import findings_as_text
from test_variants import HEALTHY

from orchestrator.base.errors import CapabilityError
from orchestrator.board import Board
from orchestrator.checks.finding import Severity

BOARDS = ("stm32h745", "nrf5340", "mps2_an521")
GOOD = ("chained", "event-idx", "indirect", "queues-of-1024", "queues-of-two", "restarts", "three-vdevs")
WITHOUT = {
    "no-barrier-before-index": ("order.entry-before-index", "vq_driver_add", "vq_device_return"),
    "no-barrier-behind-look": ("order.index-before-entry", "vq_driver_reclaim", "vq_device_peek"),
    "no-barrier-before-flags": ("order.index-before-flags", "vq_driver_must_notify", "vq_device_must_interrupt"),
    "no-barrier-before-notification": ("order.index-before-notification", "vq_driver_add", "vq_device_return"),
}
RULES = {"order.published-early", *(rule for rule, _, _ in WITHOUT.values())}


def judged(images, platform="stm32h745", **options):
    with Board(platform, main=images.main, remote=images.remote, order=True, **options) as board:
        board.run(timeout="300 ms")
        return board.verdict()


@pytest.mark.parametrize("patch", WITHOUT)
def test_a_missing_barrier_is_named_with_both_accesses_and_by_what_the_core_needs(patched, patch, golden_texts):
    rule, by_main, by_remote = WITHOUT[patch]
    verdict = judged(patched(patch, "demo"))
    assert {each.rule for each in verdict.findings} == {rule}
    assert verdict.exit_code == 0  # it works on this board, in this run
    by_role = {role: [each for each in verdict.findings if each.core == role] for role in ("main", "remote")}
    assert {each.severity for each in by_role["main"]} == {Severity.WARNING}  # a Cortex-M7
    assert {each.severity for each in by_role["remote"]} == {Severity.NOTE}  # a Cortex-M4
    assert all(by_main in each.actual and "cortex-m7 may make them in another order" in each.actual
               for each in by_role["main"])  # fmt: skip
    assert all(by_remote in each.actual and "the architecture does not promise it" in each.actual
               for each in by_role["remote"])  # fmt: skip
    assert {each.subject for each in verdict.findings} == {"vdev[0].vring[0]", "vdev[0].vring[1]"}
    golden_texts("order").compare(patch, findings_as_text(verdict.findings))


def test_an_index_that_is_stored_first_is_an_error(patched, golden_texts):
    verdict = judged(patched("index-before-entry", "demo"))
    (cause,) = {each.finding.rule for each in verdict.causes}
    assert cause == "order.published-early"
    assert verdict.exit_code == 1
    first = verdict.findings[0]
    assert first.severity is Severity.ERROR
    assert "virtqueue.c" in first.actual
    assert "desc[0]" in first.expected
    golden_texts("order").compare("index-before-entry", findings_as_text(verdict.findings))


def test_what_is_said_is_known_of_every_patch(golden_texts):
    golden_texts("order").is_of([*WITHOUT, "index-before-entry"])


@pytest.mark.parametrize("platform", BOARDS)
def test_of_healthy_pairs_nothing_is_said(pair, platform):
    for variant in HEALTHY:
        verdict = judged(pair(variant, platform), platform)
        assert [each.rule for each in verdict.findings if each.rule.startswith("order.")] == [], variant
        assert verdict.run.orders.counted["main"].dmb > 0


@pytest.mark.parametrize("patch", GOOD)
def test_of_healthy_ways_to_use_a_ring_nothing_is_said(patched, patch):
    verdict = judged(patched(patch, "demo"))
    assert [each.rule for each in verdict.findings if each.rule.startswith("order.")] == []


def test_without_the_option_nothing_is_said_and_the_run_is_the_same(patched):
    images = patched("no-barrier-before-index", "demo")
    told = judged(images)
    with Board(main=images.main, remote=images.remote) as board:
        board.run(timeout="300 ms")
        plain = board.verdict()
    assert not plain.findings
    assert plain.milestones == told.milestones
    assert plain.run.ledger == told.run.ledger


def test_barriers_are_counted_and_a_run_from_a_snapshot_is_the_same(patched):
    images = patched("no-barrier-behind-look", "demo")
    with Board(main=images.main, remote=images.remote, order=True) as board:
        board.run_for("270 us")
        taken = board.snapshot()
        ends = []
        for _ in range(2):
            board.run(timeout="100 ms")
            verdict = board.verdict()
            ends.append((verdict.to_json(), dataclasses.astuple(verdict.run.orders)[2]))
            board.restore(taken)
    assert ends[0] == ends[1]
    assert ends[0][1]["main"].dmb > 20
    assert ends[0][1]["main"].dsb > 10


def test_it_is_an_option_of_the_command_line_and_its_counts_are_in_json(patched, rptwin, tmp_path):
    images, file = patched("no-barrier-before-flags", "demo"), tmp_path / "r.json"
    result = rptwin("run", "--order", images.main, images.remote, "--json", file)
    assert result.exit_code == 0
    assert "order.index-before-flags" in result.stdout
    report = json.loads(file.read_text())
    assert report["verdict"]["barriers"]["main"].keys() == {"dmb", "dsb", "isb", "exclusive"}
    assert report["verdict"]["barriers"]["remote"]["dmb"] > 0


def test_other_engines_refuse_by_name(pair):
    with pytest.raises(CapabilityError, match="tells no barriers"):
        judged(pair("demo"), engine="unicorn-remote")


def test_accesses_to_device_memory_keep_their_order(patched):
    """A region of main's MPU (RASR: TEX 0, C 0, B 1, full access, 64 KB) makes the rings Device memory."""
    images = patched("no-barrier-before-index", "demo")
    with Board(main=images.main, remote=images.remote, order=True) as board:
        board.run_for("20 us")
        for address, value in (
            (0xE000_ED98, 0),
            (0xE000_ED9C, 0x3004_0000),
            (0xE000_EDA0, 0x0301_001F),
            (0xE000_ED94, 5),
        ):
            board.engine.poke("cpu_cm7", address, value.to_bytes(4, "little"))
        board.run(timeout="300 ms")
        assert board.is_up()
        assert {each.core for each in board.findings} == {"remote"}
