"""A pair of cores on a board: its images, what is seen of it, and Python in the place of a core without firmware.

What plays a core is imported where one is played: most pairs have firmware for both.
"""

# ruff: noqa: PLC0415  # see above

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.base.errors import CapabilityError
from orchestrator.base.roles import MAIN, REMOTE, ROLES, other_role
from orchestrator.board.ends import EndReason
from orchestrator.board.images import VectorTable, table_of_a_python_remote
from orchestrator.checks.verdict import Verdict, judge
from orchestrator.engines.common.wall_time import WallTime
from orchestrator.engines.contract import Capability, Engine, Observing, Playing
from orchestrator.events import Event, Fault, Lockup, NotificationTaken, StateChanged
from orchestrator.formats.elf import Image
from orchestrator.observe.observer import ObserveOptions, Observer
from orchestrator.platform.model import Platform

if TYPE_CHECKING:
    from orchestrator.host import Host, PythonRemote
    from orchestrator.host.peer_control import EnginePeerControl
    from orchestrator.host.player import CorePlayer

__all__ = ["BoardPair", "pairs_of", "play_cores"]

_MOST_RESETS = 100  # by firmware: more are for ever
_TURNING = frozenset((StateChanged, NotificationTaken, Fault))  # events after which a pair may run in circles


class BoardPair:
    """A main core and a remote: ``platform`` has the roles of this pair; images and vector tables are by role."""

    def __init__(
        self,
        name: str,
        platform: Platform,
        images: Mapping[str, Image],
        vector_tables: Mapping[str, VectorTable],
        options: ObserveOptions,
        engine: Engine,
    ) -> None:
        self.name = name
        self.platform = platform
        self.images = images
        self.vector_tables = vector_tables
        memories = {core.name: engine.memory(core.name) for core in platform.cores}
        self.observer = Observer(
            platform,
            images,
            memories,
            options,
            watcher=engine,
            name=name,
            accesses=engine if isinstance(engine, Observing) and Capability.ACCESSES in engine.capabilities else None,
            vector_tables={role: table.address for role, table in vector_tables.items()},
        )
        self.host: Host | None = None
        self.python_remote: PythonRemote | None = None

    def on_event(self, event: Event) -> bool:
        """Take the next event of the board; whether the pair runs in circles from here on."""
        self.observer.on_event(event)
        return type(event.detail) in _TURNING and self.runs_in_circles() is not None

    def runs_in_circles(self) -> EndReason | None:
        """Why nothing will come of this pair any more, if it does the same again and again."""
        run = self.observer.run
        is_faulting = False
        for core in run.cores.values():
            if core.resets > _MOST_RESETS:
                return EndReason.RESETTING
            is_faulting = is_faulting or (core.fault_count > 0 and core.served.is_for_ever)
        if is_faulting:
            return EndReason.FAULTING
        for log in run.traffic.messages.values():
            if log.is_blank_for_ever:
                return EndReason.LIVELOCK
        return EndReason.INTERRUPTING if run.ledger.is_never_cleared(run.cores) else None

    def verdict(self) -> Verdict:
        """The verdict on everything up to now, from memory and events only."""
        return judge(self.observer, {role: table.address for role, table in self.vector_tables.items()})

    def players(
        self, engine: Engine, dead_end: Callable[[], str | None], bound: Callable[[], WallTime]
    ) -> Iterator[tuple[str, CorePlayer]]:
        """What plays the core that has no firmware, by the core's name."""
        for role in ROLES:
            if role not in self.images:
                _refuse_without_players(engine, role)
                from orchestrator.host.peer_control import EnginePeerControl

                peer = other_role(role)
                control = EnginePeerControl(
                    engine,
                    self.platform.core(peer).name,
                    self.images[peer],
                    self.vector_tables[peer].address,
                    lambda: self.observer,
                    dead_end,
                    bound,
                )
                yield self.platform.core(role).name, self._player(role, control)

    def _player(self, role: str, control: EnginePeerControl) -> CorePlayer:
        from orchestrator.host import Host, PythonRemote

        observer, options = self.observer, self.observer.options
        if role == MAIN:
            self.host = Host(
                self.platform,
                observer.views,
                control,
                options.notify,
                declared=observer.declared,
                profile=observer.profile,
                images=self.images,
                release=options.release,
            )
            return self.host
        table = table_of_a_python_remote(options.locator)
        self.python_remote = PythonRemote(self.platform, observer.views, control, options.notify, table=table)
        return self.python_remote

    def is_asked(self) -> bool:
        """The core that Python plays was asked for something that it has not begun."""
        return any(each is not None and each.is_asked for each in (self.host, self.python_remote))

    def tell_host(self, event: Event) -> None:
        """A core that locked up is dead to the host that boots it."""
        if self.host is not None and isinstance(event.detail, Lockup):
            self.host.crashed()


def pairs_of(
    platform: Platform,
    images: Mapping[str, Image],
    vector_tables: Mapping[str, VectorTable],
    options: ObserveOptions,
    engine: Engine,
) -> dict[str, BoardPair]:
    """The pair of main and remote, named "", and each further one of which a core without a role has an image.

    ``images`` and ``vector_tables`` are by role, and by name for cores without one.
    """
    own = {role: image for role, image in images.items() if role in ROLES}
    tables = {role: table for role, table in vector_tables.items() if role in ROLES}
    pairs = {"": BoardPair("", platform, own, tables, options, engine)}
    by_core = {platform.core(name).name: name for name in images}
    others = images.keys() - own.keys()
    mailboxes = {each.peripheral for each in platform.mailboxes}
    # Vrings and tables that were named are the first pair's.
    notify = {name: channel for name, channel in options.notify.items() if name in mailboxes}
    further = replace(options, locator=None, vrings=(), notify=notify)
    for name, roles in platform.pairs.items():
        if not others.isdisjoint(roles.values()):
            known = {role: by_core[core] for role, core in roles.items() if core in by_core}
            pairs[name] = BoardPair(
                name,
                platform.with_pair(name),
                {role: images[each] for role, each in known.items()},
                {role: vector_tables[each] for role, each in known.items()},
                further,
                engine,
            )
    return pairs


def play_cores(
    engine: Engine,
    pairs: Collection[BoardPair],
    dead_end: Callable[[], str | None],
    bound: Callable[[], WallTime],
) -> None:
    """Put Python in the place of every core without firmware; one core may be played towards those of several pairs."""
    players: dict[str, list[CorePlayer]] = {}
    for pair in pairs:
        for core, player in pair.players(engine, dead_end, bound):
            players.setdefault(core, []).append(player)
    for core, every in players.items():
        from orchestrator.host.player import PlayersOfOneCore

        assert isinstance(engine, Playing)
        access = engine.play(core, every[0] if len(every) == 1 else PlayersOfOneCore(every))
        for each in every:
            each.attach(access)
    for pair in pairs:
        if pair.host is not None:
            engine.hold(pair.platform.core(REMOTE).name)
            engine.subscribe(pair.tell_host)


def _refuse_without_players(engine: Engine, role: str) -> None:
    if not isinstance(engine, Playing) or Capability.PLAY not in engine.capabilities:
        raise CapabilityError(
            f"no firmware for {role}, and no core played in Python",
            where=f"engine {engine.name}",
            advice="the unicorn engine has it; or give firmware for both cores",
        )
