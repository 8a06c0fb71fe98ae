"""What a played core has of the other core, by a board's engine."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.durations import Duration, parse_duration
from orchestrator.base.errors import HostError, RingError
from orchestrator.engines.common.wall_time import WallTime
from orchestrator.engines.contract import Engine, StopReason
from orchestrator.formats.elf import Image
from orchestrator.observe.observer import Observer

__all__ = ["EnginePeerControl"]


class EnginePeerControl:
    """Implements :class:`orchestrator.host.player.PeerControl`; image and vector table are the other core's.

    ``dead_end`` says why a run that the board stopped leads nowhere; None when a person stopped it. ``bound`` makes the
    wall time that a wait may take.
    """

    def __init__(
        self,
        engine: Engine,
        peer: str,
        image: Image,
        vector_table: int,
        observer: Callable[[], Observer],
        dead_end: Callable[[], str | None],
        bound: Callable[[], WallTime],
    ) -> None:
        self._engine = engine
        self._peer = peer
        self._image = image
        self._vector_table = vector_table
        self._observer = observer
        self._dead_end = dead_end
        self._bound = bound
        self._ended = False

    def load(self) -> None:
        self._engine.hold(self._peer)
        self._engine.load(self._peer, self._image, self._vector_table)

    def hold(self) -> None:
        self._engine.hold(self._peer)

    def release(self) -> None:
        self._engine.start(self._peer)

    def end_run(self) -> None:
        self._ended = True
        self._engine.stop()

    def fault(self, time_ns: int, error: RingError, ring: str, role: str) -> None:
        self._observer().on_ring_fault(time_ns, error, ring, role)

    def wait(self, is_so: Callable[[], bool], timeout: Duration) -> bool:
        with self._bound() as wall:
            return self._wait(is_so, self._engine.time_ns + parse_duration(timeout, "timeout"), wall)

    def _wait(self, is_so: Callable[[], bool], deadline: int, wall: WallTime) -> bool:
        while not is_so():
            self._ended = False
            left = deadline - self._engine.time_ns
            if left <= 0:
                return False
            stop = self._engine.run(left)
            if stop.reason is StopReason.DEAD:
                return is_so()
            if stop.reason is StopReason.REQUESTED and not self._ended:
                reason = "wall time is up" if wall.is_up else self._dead_end()
                if reason is None:
                    raise KeyboardInterrupt
                advice = "`rptwin run` has the findings"
                raise HostError(f"the run leads nowhere: {reason}", where=self._peer, advice=advice)
        return True
