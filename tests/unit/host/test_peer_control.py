"""What a player waits for, on an engine that runs until somebody stops it."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from orchestrator.base.errors import HostError
from orchestrator.engines.common.wall_time import WallTime
from orchestrator.engines.contract import Stop, StopReason
from orchestrator.host.peer_control import EnginePeerControl


class Endless:
    """A run of it ends only when it is stopped."""

    time_ns = 0

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def run(self, timeout_ns: int) -> Stop:
        self.stopped.wait()
        self.stopped.clear()
        return Stop(StopReason.REQUESTED, self.time_ns)

    def stop(self) -> None:
        self.stopped.set()


def control(engine: Endless, limit_ns: int | None) -> EnginePeerControl:
    nothing = cast(Any, None)
    return EnginePeerControl(
        cast(Any, engine), "cpu_cm4", nothing, 0, nothing, lambda: None, lambda: WallTime(limit_ns, engine.stop)
    )


def test_a_wait_ends_when_wall_time_is_up() -> None:
    with pytest.raises(HostError, match="cpu_cm4: the run leads nowhere: wall time is up"):
        control(Endless(), 1_000_000).wait(lambda: False, "5 s")


def test_without_a_limit_it_is_a_person_who_ends_it() -> None:
    engine = Endless()
    threading.Timer(0.05, engine.stop).start()
    with pytest.raises(KeyboardInterrupt):
        control(engine, None).wait(lambda: False, "5 s")
