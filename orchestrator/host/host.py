"""The host: boots a lone remote as Linux's remoteproc, OpenAMP's, or RPTUN's master does, and talks to it.

| | linux | openamp | nuttx |
|---|---|---|---|
| table is edited | before the release | before the release | when the remote says READY, or after 20 ms without |
| rings and buffers | named carveouts, whole pages | named carveouts | the carveout of the vdev's index |
| notify ids | 0, 1, ... over all vrings | as given; the lowest free for ANY | as openamp |
| status | 3, 7 | 4 | 3, 7 |
| stop | status 0, hold | status 0x40, hold | command STOP, ACK awaited; status 0, hold |

A table that is not in memory before the remote runs, because its start-up copies or makes it, cannot be edited before
the release by anybody: such a remote is started as under nuttx whatever the profile.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

from orchestrator.base.durations import Duration
from orchestrator.base.errors import HostError, RptwinError, UsageError
from orchestrator.base.roles import MAIN
from orchestrator.formats.elf import Image
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import (
    CommandCode,
    CommandWord,
    Profile,
    Trace,
)
from orchestrator.formats.resource_table import Table
from orchestrator.host.allocation import Allocation
from orchestrator.host.devices import VirtioDevice
from orchestrator.host.player import CorePlayer, PeerControl
from orchestrator.host.rpmsg import Endpoint, Link
from orchestrator.host.table import LiveTable, TablePlace
from orchestrator.host.vdevs import Vdevs
from orchestrator.observe.declared import DeclaredTable
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform

__all__ = ["Host", "HostState"]

READY_NS = 20_000_000  # how long READY is awaited before a table that is there is taken as it is
STOP_NS = 100_000_000  # how long the answer to STOP is awaited
_POLL_NS = 1_000_000
_STARTING_POLL_NS = 200_000


class HostState(enum.StrEnum):
    """Where the remote's life cycle stands."""

    OFFLINE = "offline"
    STARTING = "starting"  # released; its table is awaited
    RUNNING = "running"
    STOPPING = "stopping"
    CRASHED = "crashed"
    FAILED = "failed"  # the host could not bring it up: ``failure`` says why


class Host(CorePlayer):
    """Plays the main core: RPTUN master, Linux's host. Calls that wait run the board; none may be made in a turn."""

    role = MAIN

    def __init__(
        self,
        platform: Platform,
        views: Views,
        peer: PeerControl,
        notify: Mapping[str, int],
        *,
        declared: DeclaredTable,
        profile: Profile,
        images: Mapping[str, Image],
        release: NuttxRelease | None = None,
    ) -> None:
        super().__init__(platform, views, peer, notify)
        self.profile = profile.host
        self.state = HostState.OFFLINE
        self.failure: RptwinError | None = None
        self.starts = 0
        self.allocation = Allocation(platform, views, images, self.profile)
        self._place = TablePlace(platform, views, declared)
        self._release = release
        self._wants_running = True
        self._is_loaded = True  # the board loads the image at power-on
        self._vdevs: Vdevs | None = None
        self._deadline_ns = 0
        self._given: dict[int, VirtioDevice] = {}

    # what a person asks

    def start(self, timeout: Duration = "1 s") -> None:
        """Boot the remote and bring its vdevs up. HostError says what it lacks."""
        self._wants_running = True
        if self.state in (HostState.FAILED, HostState.CRASHED):
            self._hold()
        self._until(HostState.RUNNING, timeout)

    def stop(self, timeout: Duration = "1 s") -> None:
        """Shut the remote down and hold its core; all buffers and rings come back."""
        self._wants_running = False
        self._until(HostState.OFFLINE, timeout)

    def restart(self, timeout: Duration = "1 s") -> None:
        """Stop, load again, start."""
        self.stop(timeout)
        self.start(timeout)

    def crash(self) -> None:
        """Take the remote for dead, at once and without a word to it, as a watchdog would."""
        self._wants_running = False
        self._close()
        self._peer.hold()
        self.state = HostState.CRASHED

    def recover(self, timeout: Duration = "1 s") -> None:
        """Load and start a crashed remote again."""
        self.start(timeout)

    def command(self, code: CommandCode, argument: int = 0) -> None:
        """Write a RPTUN command word for the remote and ring it."""
        self._need_vdevs().table.set("header.reserved[0]", (code << 16 | argument) & 0xFFFF_FFFF)
        self.bell.ring()
        self.wake()

    @property
    def commands(self) -> tuple[CommandWord, CommandWord]:
        """The command words in the table's header: the master's, the remote's."""
        table = self._need_vdevs().table
        return CommandWord(table.get("header.reserved[0]")), CommandWord(table.get("header.reserved[1]"))

    def endpoint(self, name: str, timeout: Duration = "1 s") -> Endpoint:
        """An endpoint bound to a name that the remote announces, for which the board runs if it has to."""
        if not self.wait(lambda: self._link_of(name) is not None, timeout):
            self._raise_failure()
            known = ", ".join(repr(each) for each in self.names) or "no name at all"
            raise HostError("not announced by the remote", where=f"endpoint {name!r}", expected=known)
        link = self._link_of(name)
        assert link is not None
        return link.bind(name)

    def announce(self, name: str, vdev: int = 0, on_message: Callable[[bytes], bytes | None] | None = None) -> Endpoint:
        """An endpoint of the host's own, told to the remote."""
        link = self._need_vdevs().links.get(vdev)
        if link is None:
            raise UsageError("no RPMsg there", where=f"vdev[{vdev}]")
        return link.announce(name, on_message)

    @property
    def names(self) -> tuple[str, ...]:
        """Names that the remote has announced."""
        return tuple(name for link in self.links for name in link.names)

    @property
    def links(self) -> tuple[Link, ...]:
        """RPMsg on each vdev that is up."""
        return tuple(self._vdevs.links.values()) if self._vdevs is not None else ()

    def device(self, vdev: int) -> VirtioDevice:
        """The Python device behind a vdev that is not RPMsg."""
        found = self._need_vdevs().devices.get(vdev)
        if found is None:
            raise UsageError("no virtio device of ours there", where=f"vdev[{vdev}]")
        return found

    def put_device(self, vdev: int, device: VirtioDevice) -> None:
        """Use this device behind a vdev from the next start on, instead of the one that its id gives."""
        self._given[vdev] = device

    def trace(self, index: int = 0) -> str:
        """The remote's trace buffer up to its first zero byte."""
        traces = self._need_vdevs().table.layout.of(Trace)
        if index >= len(traces):
            raise UsageError("no such trace entry", expected=f"fewer than {len(traces)}", found=index)
        entry = traces[index].value
        data = self.memory.read(self.to_own(entry.da, entry.len), entry.len)
        return data.partition(b"\0")[0].decode(errors="replace")

    def crashed(self) -> None:
        """The board saw the remote's core lock up."""
        if self.state in (HostState.STARTING, HostState.RUNNING):
            self.state = HostState.CRASHED
            self._wants_running = False

    @property
    def leaks(self) -> tuple[str, ...]:
        """What is still allocated of the heaps though nothing runs, and what they say was done wrong."""
        found = [str(fault) for heap in self.allocation.heaps for fault in heap.report().faults]
        if self._vdevs is None:
            for heap in self.allocation.heaps:
                found += [f"leak: {extent} ({label})" for extent, label in heap.report().allocated]
        return tuple(found)

    def _need_vdevs(self) -> Vdevs:
        if self._vdevs is None:
            self._raise_failure()
            raise UsageError("the remote is not up", where="host", expected="running", found=self.state.value)
        return self._vdevs

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _link_of(self, name: str) -> Link | None:
        return next((link for link in self.links if name in link.names), None)

    def _until(self, state: HostState, timeout: Duration) -> None:
        def over() -> bool:
            return self.state in (state, HostState.FAILED)

        reached = self.wait(over, timeout)
        if self.state is HostState.FAILED:
            self._raise_failure()
        if not reached:
            raise HostError(
                "the remote does not follow", where="host", expected=f"{state} within {timeout}", found=self.state.value
            )

    # turns

    def begin_again(self) -> None:
        self._close()
        self.state = HostState.OFFLINE
        self._is_loaded = False

    def act(self) -> int | None:
        if self.state is HostState.OFFLINE and self._wants_running:
            self._boot()
        elif self.state is HostState.RUNNING and not self._wants_running:
            self._ask_to_stop()
        elif self.state is HostState.CRASHED and self._vdevs is not None:
            self._close()
        if self.state is HostState.STARTING:
            self._look_for_table()
        if self.state is HostState.STOPPING:
            self._look_for_end()
        if self.state is HostState.RUNNING:
            self._hear_command()
            if self._vdevs is not None:
                self._vdevs.serve()
        return self._next_turn()

    def _next_turn(self) -> int | None:
        if self.state is HostState.STARTING:
            return self.time_ns + _STARTING_POLL_NS
        if self.state is HostState.STOPPING:
            return self.time_ns + _POLL_NS
        waits_for_driver = self._vdevs is not None and self._vdevs.waits_for_driver
        return self.time_ns + _POLL_NS if waits_for_driver else None

    def _boot(self) -> None:
        self.failure = None
        if not self._is_loaded:
            self._peer.load()
        self._is_loaded = False
        self.starts += 1
        self._deadline_ns = self.time_ns + READY_NS
        self.state = HostState.STARTING
        before = self.profile is not Profile.NUTTX and self._place.is_loaded
        if before:
            self._attempt(lambda: self._prepare(self._place.read(self.memory)))
        if self.state is HostState.FAILED:
            return
        self._peer.release()
        if before:
            self._bring_up()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except RptwinError as error:
            self.failure = error
            self._close()
            self.state = HostState.FAILED

    def _look_for_table(self) -> None:
        """Take the table when the remote vouches for it, or when it stands there and nobody does."""
        late = self.time_ns >= self._deadline_ns
        try:
            table = self._place.read(self.memory)
        except RptwinError as error:
            if late:
                self.failure = error
                self.state = HostState.FAILED
            return
        ready = CommandWord(table.header.reserved[1]).code is CommandCode.READY
        if not ready and not late:
            return
        if ready:
            LiveTable(table, self.memory).set("header.reserved[1]", CommandCode.ACK << 16)
        self._attempt(lambda: self._prepare(table))
        if self.state is HostState.STARTING:
            self._bring_up()

    def _prepare(self, table: Table) -> None:
        """Place rings and buffers; what was placed goes back in :meth:`_close`, also where the rest cannot be."""
        live = LiveTable(table, self.memory)
        self._vdevs = Vdevs(self, live, self.profile, self.allocation, self._release, self._given)
        self.prefer(self._place.names_of_memory(table))
        self._vdevs.prepare()

    def _bring_up(self) -> None:
        self._need_vdevs().say_ready()
        self.state = HostState.RUNNING

    # while it runs

    def _hear_command(self) -> None:
        table = self._need_vdevs().table
        word = CommandWord(table.get("header.reserved[1]"))
        if self.profile is not Profile.NUTTX or word.code in (None, CommandCode.NONE, CommandCode.ACK):
            return
        table.set("header.reserved[1]", CommandCode.ACK << 16)
        if word.code is CommandCode.PANIC:
            self.state = HostState.CRASHED
            self._wants_running = False
            self._close()
        elif word.code is CommandCode.READY:  # the remote was started again behind our back
            self._close()
            self.state = HostState.STARTING
            self._attempt(lambda: self._prepare(self._place.read(self.memory)))
            if self.state is HostState.STARTING:
                self._bring_up()
        elif word.code in (CommandCode.STOP, CommandCode.RESET):
            self._wants_running = word.code is CommandCode.RESET
            self._hold()

    # the end

    def _ask_to_stop(self) -> None:
        if self.profile is Profile.NUTTX:
            self._need_vdevs().table.set("header.reserved[0]", CommandCode.STOP << 16)
            self.bell.ring()
            self._deadline_ns = self.time_ns + STOP_NS
            self.state = HostState.STOPPING
        else:
            self._hold()

    def _look_for_end(self) -> None:
        word = CommandWord(self._need_vdevs().table.get("header.reserved[0]"))
        if word.code is CommandCode.ACK or self.time_ns >= self._deadline_ns:
            self._hold()

    def _hold(self) -> None:
        """Take the vdevs down and stop the core, whatever it says."""
        if self._vdevs is not None:
            self._vdevs.say_gone()
        self._close()
        self._peer.hold()
        self.state = HostState.OFFLINE

    def _close(self) -> None:
        """Give all memory back."""
        if self._vdevs is not None:
            self._vdevs.close()
        self._vdevs = None
