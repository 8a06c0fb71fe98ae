"""What firmware does at run time and no image tells: faults that it lives with, a table that it makes."""

from __future__ import annotations

from orchestrator.board import Board, EndReason
from orchestrator.checks.finding import Severity


def test_svcs_that_become_hardfaults_and_are_served_are_a_note(patched):
    images = patched("svc-served")
    with Board("stm32h745", main=images.main, remote=images.remote) as board:
        board.run(timeout="300 ms")
        verdict, core = board.verdict(), board.observer.run.cores["remote"]
    (note,) = verdict.findings
    assert (note.rule, note.severity, verdict.exit_code) == ("core.fault-handled", Severity.NOTE, 0)
    assert core.fault_count >= 100
    assert note.actual.startswith(f"{core.fault_count} served, at one place")
    assert note.advice == "nothing to do, if the handler is meant to: the core went on with its work each time"


def test_a_fault_that_is_taken_for_ever_ends_the_run_as_its_cause(patched):
    images = patched("fault-for-ever")
    with Board("stm32h745", main=images.main, remote=images.remote) as board:
        end = board.run(timeout="2 s")
        verdict = board.verdict()
    assert end.reason is EndReason.FAULTING
    assert [cause.finding.rule for cause in verdict.causes] == ["core.fault"]
    assert "its handler returns to the instruction" in verdict.causes[0].finding.actual
    assert verdict.exit_code == 1


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
