"""What a played core of either role does alike: turns, the mailbox, waiting for something to be so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from orchestrator.base.durations import Duration
from orchestrator.base.errors import RingError, UsageError
from orchestrator.base.memory import Memory
from orchestrator.base.roles import REMOTE, other_role
from orchestrator.engines.contract import PlayedCore
from orchestrator.formats.translation import AddressEnvironment, AddressRange
from orchestrator.host.mailbox import Doorbell
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.virtqueue import Report

__all__ = ["CorePlayer", "PeerControl", "PlayersOfOneCore"]

_RETRY_NS = 100_000  # how soon a ring that nobody listens to yet is tried again


class PeerControl(Protocol):
    """What a board does for the core that is played on it."""

    def load(self) -> None:
        """Put the other core's image into memory, as before power-on."""
        ...

    def hold(self) -> None:
        """Stop the other core."""
        ...

    def release(self) -> None:
        """Let the other core start from its vector table."""
        ...

    def end_run(self) -> None:
        """End the current run after this turn."""
        ...

    def wait(self, is_so: Callable[[], bool], timeout: Duration) -> bool:
        """Run until something is so; whether it became so within this much virtual time."""
        ...

    def fault(self, time_ns: int, error: RingError, ring: str, role: str) -> None:
        """The core of this role broke a rule on a ring."""
        ...


class CorePlayer:
    """Plays the core of one role; a :class:`orchestrator.engines.contract.Player`."""

    role: str

    def __init__(self, platform: Platform, views: Views, peer: PeerControl, notify: Mapping[str, int]) -> None:
        self.platform = platform
        self.views = views
        self.time_ns = 0
        self._peer = peer
        self._notify = notify
        self.is_asked = False  # by a person, for something that it has not begun
        self._is_in_turn = False
        self._waiting_for: Callable[[], bool] | None = None
        self._access: PlayedCore | None = None
        self._bell: Doorbell | None = None
        self._aliases = AddressEnvironment(())

    def attach(self, access: PlayedCore) -> None:
        """Take the core."""
        own, peer = (self.platform.core(role).name for role in (self.role, other_role(self.role)))
        self._access = access
        self._bell = Doorbell(self.platform, own, peer, access, self._notify)

    @property
    def memory(self) -> Memory:
        """Memory as this core sees it."""
        assert self._access is not None
        return self._access.memory

    @property
    def bell(self) -> Doorbell:
        """The mailbox."""
        assert self._bell is not None
        return self._bell

    def wake(self) -> None:
        """Act in the next quantum; from any thread."""
        assert self._access is not None
        self.is_asked = self.is_asked or not self._is_in_turn
        self._access.wake()

    def prefer(self, aliases: Iterable[AddressRange]) -> None:
        """Say addresses of main by these names of the remote, where memory has several."""
        self._aliases = AddressEnvironment(tuple(aliases))

    def to_device(self, pa: int, size: int) -> int:
        """An address of main as the remote says it."""
        return self._aliases.then(self.views.environment).whole_pa_to_da(pa, size)

    def to_own(self, da: int, size: int) -> int:
        """An address as the table and descriptors say it, in this core's view."""
        return da if self.role == REMOTE else self.views.environment.whole_da_to_pa(da, size)

    # turns

    def turn(self, time_ns: int) -> int | None:
        """Hear the mailbox, act, ring it."""
        self.time_ns = time_ns
        self.is_asked = False
        self._is_in_turn = True
        try:
            self.bell.attend()
            planned = self.act()
            if self.bell.deliver():
                planned = min(planned or time_ns + _RETRY_NS, time_ns + _RETRY_NS)
        finally:
            self._is_in_turn = False
        if self._waiting_for is not None and self._waiting_for():
            self._peer.end_run()
        return planned

    def reset(self) -> None:
        """The chip was reset."""
        self.bell.reset()
        self.begin_again()

    def act(self) -> int | None:
        """What the core does in its turn; when it wants the next one at the latest."""
        raise NotImplementedError

    def begin_again(self) -> None:
        """Forget everything but what a person asked for."""
        raise NotImplementedError

    def ring(self, path: str) -> None:
        """Tell the other core of a vring, on its channel if that is known."""
        self.bell.ring(self._notify.get(path))

    def reporter(self, ring: str) -> Report:
        """What is called when the other core breaks a rule on a ring."""
        return lambda error: self._peer.fault(self.time_ns, error, ring, other_role(self.role))

    # waiting

    def wait(self, is_so: Callable[[], bool], timeout: Duration) -> bool:
        """Run the board until something is so; whether it became so. Not from within a turn."""
        if self._is_in_turn:
            raise UsageError("waits for the board in the middle of a turn", where=self.role, advice="use on_message")
        if is_so():
            return True
        self._waiting_for = is_so
        self.wake()
        try:
            return self._peer.wait(is_so, timeout)
        finally:
            self._waiting_for = None


class PlayersOfOneCore:
    """Several players in the place of one core, each towards another core, in one order in every turn."""

    def __init__(self, players: Sequence[CorePlayer]) -> None:
        self._players = tuple(players)

    def turn(self, time_ns: int) -> int | None:
        """Each has its turn; the next is when the first of them wants one."""
        planned = [each.turn(time_ns) for each in self._players]
        return min((time for time in planned if time is not None), default=None)

    def reset(self) -> None:
        """The chip was reset."""
        for each in self._players:
            each.reset()
