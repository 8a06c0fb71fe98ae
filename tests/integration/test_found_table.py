"""A pair whose images hold no table: the remote makes it while it starts."""

from __future__ import annotations

from orchestrator.board import Board


def test_a_table_that_firmware_makes_at_run_time_is_found_and_judged(patched):
    images = patched("table-made-at-run-time")
    with Board("stm32h745", main=images.main, remote=images.remote) as board:
        board.run(timeout="300 ms")
        verdict = board.verdict()
        table = board.observer.live.table
    assert (verdict.findings, verdict.exit_code) == ((), 0)
    assert table is not None
    assert verdict.to_json()["table"]["how"].endswith(f"main:{table.address:#010x}")
    traffic = board.observer.run.traffic.messages["vdev[0]"]
    assert traffic.sent_by("main") == 10
    assert traffic.sent_by("remote") == 11
