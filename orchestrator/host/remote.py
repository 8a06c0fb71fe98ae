"""Python as the remote, for a lone main image: a resource table, the device side of its vdevs, and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.base.durations import Duration
from orchestrator.base.errors import HostError, UsageError
from orchestrator.base.roles import REMOTE
from orchestrator.formats.nuttx_config import ConfigV11
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_DRIVER_OK,
    Carveout,
    CommandCode,
    CommandWord,
    Entry,
    Feature,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import build_table
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host.player import CorePlayer, PeerControl
from orchestrator.host.rpmsg import DeviceTransport, Endpoint, Link
from orchestrator.host.table import LiveTable, core_names
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.virtqueue import Negotiated, SplitDevice

__all__ = ["ECHO_NAME", "PythonRemote", "default_entries"]

ECHO_NAME = "rptwin-echo"
BUFFER_SIZE = 512
_POLL_NS = 1_000_000  # OpenAMP's device side looks at the status each millisecond
_CARVEOUT_OFFSET = 0x1000
_CARVEOUT_SIZE = 0x3000

OnMessage = Callable[[bytes], bytes | None]


def default_entries(table: int, vdevs: int = 1, *, num: int = 8, align: int = 16) -> tuple[Entry, ...]:
    """RPMsg vdevs, each with a carveout of 12 KB behind the table, as RPTUN pairs them."""
    entries: list[Entry] = []
    for index in range(vdevs):
        rings = [Vring(ANY, align, num, 2 * index + ring) for ring in range(2)]
        config = ConfigV11(BUFFER_SIZE, BUFFER_SIZE, (0,) * 14)
        head = VdevHeader(id=7, notifyid=2 * vdevs + index, dfeatures=Feature.NS | Feature.BUFSZ)
        entries.append(Vdev.of(head, rings, config.pack()))
        da = table + _CARVEOUT_OFFSET + _CARVEOUT_SIZE * index
        entries.append(Carveout(da=da, pa=ANY, len=_CARVEOUT_SIZE, name=f"vdev{index}buffer".encode()))
    return tuple(entries)


class PythonRemote(CorePlayer):
    """Plays the remote core: publishes a table at ``table`` (its own view), echoes, and has endpoints.

    ``entries`` default to one RPMsg vdev with an echo endpoint named :data:`ECHO_NAME`.
    """

    role = REMOTE

    def __init__(
        self,
        platform: Platform,
        views: Views,
        peer: PeerControl,
        notify: Mapping[str, int],
        *,
        table: int,
        entries: Sequence[Entry] | None = None,
    ) -> None:
        super().__init__(platform, views, peer, notify)
        self.table_address = table
        self._entries = tuple(entries) if entries is not None else default_entries(table)
        self._table: LiveTable | None = None
        self._links: dict[int, Link] = {}
        self._names: list[tuple[int, str, OnMessage | None]] = [(0, ECHO_NAME, lambda data: data)]

    def attach_names(self, names: Sequence[tuple[int, str, OnMessage | None]]) -> None:
        """What is announced whenever main brings a vdev up: vdev, name, and what answers a message at once."""
        self._names = list(names)

    @property
    def is_up(self) -> bool:
        """Main has brought every vdev up."""
        return self._table is not None and len(self._links) == len(self._table.layout.vdevs)

    @property
    def links(self) -> tuple[Link, ...]:
        """RPMsg on each vdev that is up."""
        return tuple(self._links.values())

    def endpoint(self, name: str, timeout: Duration = "1 s") -> Endpoint:
        """An endpoint of ours by its name, or one bound to a name that main announces; the board runs for it."""
        if not self.wait(lambda: self._find(name) is not None, timeout):
            raise HostError("no such endpoint, and main announces none", where=f"endpoint {name!r}")
        found = self._find(name)
        assert found is not None
        return found

    def announce(self, name: str, vdev: int = 0, on_message: OnMessage | None = None) -> Endpoint:
        """A new endpoint, told to main. UsageError while main has not brought the vdev up."""
        if vdev not in self._links:
            raise UsageError("main has not brought it up", where=f"vdev[{vdev}]")
        return self._links[vdev].announce(name, on_message)

    def _find(self, name: str) -> Endpoint | None:
        for link in self._links.values():
            own = next((each for each in link.endpoints.values() if each.name == name), None)
            if own is not None:
                return own
            if name in link.names:
                return link.bind(name)
        return None

    # turns

    def begin_again(self) -> None:
        self._table = None
        self._links.clear()

    def act(self) -> int | None:
        if self._table is None:
            self._publish()
        assert self._table is not None
        if CommandWord(self._table.get("header.reserved[0]")).code is CommandCode.STOP:
            self._links.clear()
            self._table.set("header.reserved[0]", CommandCode.ACK << 16)
            self.bell.ring()
            return None
        for index in range(len(self._table.layout.vdevs)):
            self._look_at(index)
        return None if self.is_up else self.time_ns + _POLL_NS

    def _publish(self) -> None:
        """Write the table, its version last, and say READY."""
        table = build_table(
            self._entries,
            view=self.views.name(REMOTE),
            address=self.table_address,
            align=8,
            reserved=(0, CommandCode.READY << 16),
        )
        data = table.encode()
        self.memory.write(self.table_address + 4, data[4:])
        self.memory.write(self.table_address, data[:4])
        self._table = LiveTable(table, self.memory)
        self.bell.ring()

    def _look_at(self, index: int) -> None:
        assert self._table is not None
        ready = bool(self._table.get(f"vdev[{index}].status") & VIRTIO_CONFIG_S_DRIVER_OK)
        if ready and index not in self._links:
            self._start(index)
        elif not ready:
            self._links.pop(index, None)
        if ready:
            for ring in self._links[index].poll():
                self.ring(f"vdev[{index}].vring[{ring}]")

    def _start(self, index: int) -> None:
        assert self._table is not None
        table = self._table
        features = table.get(f"vdev[{index}].gfeatures")
        negotiated = Negotiated(event_idx=bool(features & Feature.EVENT_IDX))
        sides = []
        for ring in range(2):
            path = f"vdev[{index}].vring[{ring}]"
            layout = RingLayout.legacy(table.get(f"{path}.da"), table.get(f"{path}.num"), table.get(f"{path}.align"))
            report = self.reporter(path)
            sides.append(SplitDevice(self.memory, layout, negotiated, name=path, report=report))
        transport = DeviceTransport(sides[0], sides[1], BUFFER_SIZE)
        host, own = core_names(table.rpmsg_config(index, features), features)
        ack = bool(features & Feature.ACK)
        link = Link(f"vdev[{index}]", transport, self.wait, self.wake, ack=ack, cores=(own, host))
        self._links[index] = link
        for vdev, name, on_message in self._names:
            if vdev == index:
                link.announce(name, on_message)
