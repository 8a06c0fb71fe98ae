"""The demo pair, traced once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytest

from orchestrator.board import Board
from orchestrator.trace import Trace, TraceCollector


class Pair(Protocol):
    main: object
    remote: object


@pytest.fixture(scope="session")
def traced(firmware: Callable[..., Pair]) -> Callable[..., Trace]:
    """``traced(variant, platform, engine, most)``: the trace of a run."""

    def run(variant: str, platform: str = "stm32h745", engine: str = "unicorn", most: int = 250_000) -> Trace:
        pair = firmware(variant, platform)
        with Board(platform, main=str(pair.main), remote=str(pair.remote), engine=engine) as board:
            collector = TraceCollector(board, most)
            board.run(timeout=1.0)
            return collector.trace()

    return run


@pytest.fixture(scope="session")
def demo(traced: Callable[..., Trace]) -> Trace:
    return traced("demo")
