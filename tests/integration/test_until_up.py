"""``--until up``: a run ends with the turn in which the pair came up, on every engine, and goes on from there."""

from __future__ import annotations

import pytest

from orchestrator.board import Board, EndReason

TURN_NS = 20_000


@pytest.mark.parametrize(
    ("platform", "engine"),
    [
        ("stm32h745", "unicorn"),
        ("stm32h745", "unicorn-remote"),
        ("nrf5340", "unicorn"),
        pytest.param("mps2_an521", "qemu", marks=pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")),
    ],
)
def test_a_run_until_up_ends_with_the_turn_in_which_it_is_up(pair, platform: str, engine: str) -> None:
    images = pair("demo", platform)
    with Board(platform, main=images.main, remote=images.remote, engine=engine) as board:
        end = board.run("up")
        up_ns = board.observer.run.up_ns
        assert (end.reason, board.is_up()) == (EndReason.CONDITION, True)
        assert up_ns is not None
        assert 0 <= end.time_ns - up_ns <= TURN_NS
        assert board.run().reason is EndReason.QUIET
        assert board.verdict().exit_code == 0


def test_a_stop_is_one_and_no_condition(pair) -> None:
    images = pair("demo")
    with Board("stm32h745", main=images.main, remote=images.remote) as board:
        board.stop()
        assert board.run("up").reason is EndReason.INTERRUPTED
