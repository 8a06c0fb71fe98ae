"""Both cores of a chip played in Python on a real engine, with its real mailbox and no firmware."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.base.durations import Duration, parse_duration
from orchestrator.base.errors import RingError
from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.resource_entry import Profile
from orchestrator.host import Host
from orchestrator.host.player import CorePlayer
from orchestrator.observe.declared import find_declared
from orchestrator.observe.views import Views
from orchestrator.platform import load_platform
from orchestrator.platform.model import Platform

TABLE = 0x1004_0000

MakeRemote = Callable[[Platform, Views, "FakePeerControl"], CorePlayer]


class FakePeerControl:
    """What a board does for its players; here the other core is Python too."""

    def __init__(self, engine: UnicornEngine, peer: str) -> None:
        self.engine = engine
        self.peer = peer
        self.faults: list[RingError] = []

    def load(self) -> None:
        self.engine.reset(self.peer)
        self.engine.hold(self.peer)

    def hold(self) -> None:
        self.engine.hold(self.peer)

    def release(self) -> None:
        self.engine.start(self.peer)

    def end_run(self) -> None:
        self.engine.stop()

    def wait(self, is_so: Callable[[], bool], timeout: Duration) -> bool:
        end = self.engine.time_ns + parse_duration(timeout, "timeout")
        while not is_so() and self.engine.time_ns < end:
            self.engine.run(end - self.engine.time_ns)
        return is_so()

    def fault(self, time_ns: int, error: RingError, ring: str, role: str) -> None:
        self.faults.append(error)


class Duo:
    """An engine, the host on its main core, and what plays the remote."""

    def __init__(self, make_remote: MakeRemote, profile: Profile = Profile.NUTTX) -> None:
        platform = load_platform("stm32h745")
        self.engine = UnicornEngine(platform, EngineOptions())
        names = {role: platform.core(role).name for role in (MAIN, REMOTE)}
        self.views = Views.of({role: self.engine.memory(name) for role, name in names.items()}, platform)
        self.peer = FakePeerControl(self.engine, names[REMOTE])
        self.remote = make_remote(platform, self.views, FakePeerControl(self.engine, names[MAIN]))
        declared = find_declared({}, parse_locator(f"remote:{TABLE:#x}"))
        self.host = Host(platform, self.views, self.peer, {}, declared=declared, profile=profile, images={})
        self.host.attach(self.engine.play(names[MAIN], self.host))
        self.remote.attach(self.engine.play(names[REMOTE], self.remote))
        self.engine.hold(names[REMOTE])

    def run(self, time_ns: int = 1_000_000) -> None:
        self.engine.run(time_ns)
