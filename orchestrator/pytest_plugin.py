"""The pytest plugin: ``rptwin_board``, a board that fails a test with the findings as the message.

::

    def test_our_firmware_comes_up(rptwin_board):
        board = rptwin_board("stm32h745", main="main.elf", remote="remote.elf")
        board.run()

A board that is not up when the test ends, or has an error among its findings, fails the test; with ``judge=False`` the
test alone decides.
"""
# ruff: noqa: PLC0415  # every pytest run of every project loads this module: it must cost nothing until it is used

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from orchestrator.board import Board

__all__ = ["rptwin_board"]


@pytest.fixture
def rptwin_board() -> Iterator[Callable[..., Board]]:
    """Makes boards: takes the arguments of ``orchestrator.board.Board``, and ``judge=False`` to judge by oneself."""
    from orchestrator.board import Board

    judged: list[Board] = []
    with ExitStack() as opened:

        def make(*args: Any, judge: bool = True, **options: Any) -> Board:
            board = opened.enter_context(Board(*args, **options))
            if judge:
                judged.append(board)
            return board

        yield make
        for board in judged:
            _judge(board)


def _judge(board: Board) -> None:
    from orchestrator.report.plain import plain_findings

    if board.end is not None and board.end.reason.is_cut:
        pytest.fail(f"the run is not over: {board.end}\n{plain_findings(board.findings)}", pytrace=False)
    when = str(board.end) if board.end else "the board never ran"
    for name, pair in board.pairs.items():
        verdict = pair.verdict()
        if verdict.exit_code:
            which = f"pair {name}: " if name else ""
            pytest.fail(f"{which}{verdict.headline} ({when})\n{plain_findings(verdict.findings)}", pytrace=False)
