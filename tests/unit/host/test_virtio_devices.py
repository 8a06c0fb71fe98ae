"""Virtio devices in Python, driven by a remote that plays the driver's side of each: they come up and do their work."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from duo import TABLE, Duo, FakePeerControl

from orchestrator.formats.resource_entry import ANY, Carveout, CommandCode, Entry, Vdev, VdevHeader, VdevRole, Vring
from orchestrator.formats.resource_table import build_table
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.host import Block, Console, Network, Rng
from orchestrator.host.player import CorePlayer
from orchestrator.host.table import LiveTable
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform
from orchestrator.virtqueue import Returned, Segment, SplitDriver

KINDS = {"net": (1, 2), "block": (2, 1), "console": (3, 2), "rng": (4, 1)}
BUFFERS = TABLE + 0x5000


class Drivers(CorePlayer):
    """A remote with a driver for each of four vdevs: publishes the table, waits for rings, sets DRIVER_OK."""

    role = "remote"

    def __init__(self, platform: Platform, views: Views, peer: FakePeerControl) -> None:
        super().__init__(platform, views, peer, {})
        self.queues: dict[str, list[SplitDriver]] = {}
        self.table: LiveTable | None = None

    def begin_again(self) -> None:
        self.table = None
        self.queues.clear()

    def act(self) -> int | None:
        if self.table is None:
            self._publish()
        elif not self.queues and all(self.table.get(f"vdev[{i}].vring[0].da") != ANY for i in range(len(KINDS))):
            self._start()
        for queues in self.queues.values():
            if any(queue.should_notify() for queue in queues):
                self.bell.ring()
        return None if self.queues else self.time_ns + 100_000

    def _publish(self) -> None:
        entries: list[Entry] = []
        for index, (kind, queues) in enumerate(KINDS.values()):
            rings = [Vring(ANY, 16, 8, 2 * index + i) for i in range(queues)]
            head = VdevHeader(id=kind, notifyid=20 + index, reserved=(VdevRole.DEVICE, 0))
            entries += [Vdev.of(head, rings, bytes(16)), Carveout(da=TABLE + 0x1000 + 0x800 * index, len=0x800)]
        table = build_table(entries, address=TABLE, align=8, reserved=(0, CommandCode.READY << 16))
        self.memory.write(TABLE, table.encode())
        self.table = LiveTable(table, self.memory)
        self.bell.ring()

    def _start(self) -> None:
        assert self.table is not None
        for index, (name, (_kind, count)) in enumerate(KINDS.items()):
            self.queues[name] = []
            for ring in range(count):
                da = self.table.get(f"vdev[{index}].vring[{ring}].da")
                queue = SplitDriver(self.memory, RingLayout.legacy(da, 8, 16))
                queue.reset()
                self.queues[name].append(queue)
            self.table.set(f"vdev[{index}].status", 7)
        self.bell.ring()


class Chip(Duo):
    def __init__(self) -> None:
        super().__init__(Drivers)
        self.host.start()
        self.run(5_000_000)

    def drivers(self, name: str) -> list[SplitDriver]:
        assert isinstance(self.remote, Drivers)
        return self.remote.queues[name]

    def request(self, name: str, queue: int, out: bytes, room: int) -> Returned:
        """Make one chain available and wait for it to come back."""
        memory = self.views.memories["remote"]
        memory.write(BUFFERS, out)
        segments = [Segment(BUFFERS, len(out))] * bool(out)
        segments += [Segment(BUFFERS + 0x1000, room, is_writable=True)] * bool(room)
        driver = self.drivers(name)[queue]
        assert driver.offer(segments, "request")
        self.remote.wake()
        self.run()
        back = driver.pop()
        assert back is not None
        return back

    def answer(self, size: int) -> bytes:
        return self.views.memories["remote"].read(BUFFERS + 0x1000, size)


@pytest.fixture
def chip() -> Iterator[Chip]:
    chip = Chip()
    yield chip
    assert chip.peer.faults == []
    chip.engine.close()


def test_entropy_fills_the_drivers_buffer_the_same_in_each_run(chip: Chip) -> None:
    assert chip.request("rng", 0, b"", 32).length == 32
    first = chip.answer(32)
    assert isinstance(chip.host.device(3), Rng)
    assert first != bytes(32)
    again = Chip()
    again.request("rng", 0, b"", 32)
    assert again.answer(32) == first


def test_the_console_prints_and_is_typed_into(chip: Chip) -> None:
    console = chip.host.device(2)
    assert isinstance(console, Console)
    chip.request("console", 1, b"login: ", 0)
    assert bytes(console.output) == b"login: "
    console.write(b"root\n")
    chip.host.wake()
    assert chip.request("console", 0, b"", 64).length == 5
    assert chip.answer(5) == b"root\n"


def test_the_network_takes_frames_and_delivers_answers(chip: Chip) -> None:
    network = chip.host.device(0)
    assert isinstance(network, Network)
    network.on_frame = lambda frame: b"re:" + frame
    chip.request("net", 1, bytes(10) + b"frame", 0)
    assert list(network.sent) == [b"frame"]
    assert chip.request("net", 0, b"", 100).length == 10 + 8
    assert chip.answer(18)[10:] == b"re:frame"


def test_the_disk_reads_what_was_written_and_refuses_what_it_does_not_have(chip: Chip) -> None:
    sector = bytes(range(256)) * 2
    block = chip.host.device(1)
    assert isinstance(block, Block)
    assert chip.request("block", 0, struct.pack("<2IQ", 1, 0, 3) + sector, 1).length == 1
    assert (chip.answer(1), bytes(block.disk[3 * 512 : 4 * 512])) == (b"\0", sector)
    assert chip.request("block", 0, struct.pack("<2IQ", 0, 0, 3), 513).length == 513
    assert chip.answer(513) == sector + b"\0"
    chip.request("block", 0, struct.pack("<2IQ", 0, 0, 1 << 40), 513)
    assert chip.answer(513)[-1:] == b"\1"  # IOERR
    chip.request("block", 0, struct.pack("<2IQ", 8, 0, 0), 21)
    assert chip.answer(21) == b"rptwin".ljust(20, b"\0") + b"\0"
    chip.request("block", 0, struct.pack("<2IQ", 77, 0, 0), 1)
    assert chip.answer(1) == b"\2"  # UNSUPP
    assert chip.request("block", 0, b"short", 8).length == 0


def test_the_config_space_is_the_devices(chip: Chip) -> None:
    assert isinstance(chip.remote, Drivers)
    table = chip.remote.table
    assert table is not None
    assert table.get("vdev[1].config") & 0xFFFF_FFFF == 128  # sectors
    assert table.get("vdev[0].dfeatures") & 1 << 5  # MAC


def test_a_disk_of_ones_own_takes_the_place_of_the_default() -> None:
    chip = Chip()
    chip.host.put_device(1, Block(bytearray(b"\xaa" * 512)))
    chip.host.restart()
    chip.run(5_000_000)
    chip.request("block", 0, struct.pack("<2IQ", 0, 0, 0), 513)
    assert chip.answer(513) == b"\xaa" * 512 + b"\0"
