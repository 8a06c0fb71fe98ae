"""Virtio devices other than RPMsg, each as plain Python behind a vdev's queues: network, block, console, entropy.

A device takes chains and gives them back; it never sees the board. What a request says is read from the driver's
buffers with care: a bad one is answered as the specification says, or comes back empty.
"""

from __future__ import annotations

import random
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from orchestrator.virtqueue import Chain, PackedDevice, SplitDevice

__all__ = ["Block", "Console", "Network", "Queue", "Rng", "VirtioDevice", "create_device"]

VIRTIO_ID_NET = 1
VIRTIO_ID_BLOCK = 2
VIRTIO_ID_CONSOLE = 3
VIRTIO_ID_RNG = 4


Queue = SplitDevice | PackedDevice
"""A queue from the device's side, of either kind."""

_MRG_RXBUF, _VERSION_1 = 1 << 15, 1 << 32  # either makes a network header 12 bytes long (virtio 1.3, 5.1.6)


class VirtioDevice:
    """A device behind the queues of one vdev; ``features`` are those it offers, ``config`` its config space."""

    id: ClassVar[int]
    queue_count: ClassVar[int]
    features: int = 0

    def __init__(self) -> None:
        self._queues: Sequence[Queue] = ()
        self.wake: Callable[[], None] = lambda: None  # of who serves it: it has something to say; from any thread

    @property
    def config(self) -> bytes:
        """The config space (virtio 1.3, 5)."""
        return b""

    def write_config(self, offset: int, data: bytes) -> bool:
        """The driver writes to the config space; False where the device has nothing to write there."""
        del offset, data
        return False

    def negotiate(self, features: int) -> None:
        """The driver has accepted these of the features offered; called before :meth:`start`."""

    def start(self, queues: Sequence[Queue]) -> None:
        """The driver is ready."""
        self._queues = queues

    def stop(self) -> None:
        """The driver is gone."""
        self._queues = ()

    def poll(self) -> None:
        """Serve what the driver made available."""
        raise NotImplementedError

    def rings_to_ring(self) -> tuple[int, ...]:
        """Indices of the queues whose driver wants to hear of what was given back since the last call."""
        return tuple(index for index, queue in enumerate(self._queues) if queue.should_notify())

    @staticmethod
    def _each(queue: Queue, serve: Callable[[Chain], int]) -> None:
        while (chain := queue.take()) is not None:
            queue.give_back(chain, serve(chain))


class Rng(VirtioDevice):
    """Entropy, repeatable: the same seed gives the same bytes (virtio 1.3, 5.4)."""

    id = VIRTIO_ID_RNG
    queue_count = 1

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.given = 0  # bytes

    def poll(self) -> None:
        self._each(self._queues[0], self._fill)

    def _fill(self, chain: Chain) -> int:
        written = chain.write(self._random.randbytes(min(chain.capacity, 0x10000)))
        self.given += written
        return written


class Console(VirtioDevice):
    """A console of one port: ``output`` is what the driver printed, ``write`` types into it (virtio 1.3, 5.3)."""

    id = VIRTIO_ID_CONSOLE
    queue_count = 2  # 0: receiveq, to the driver; 1: transmitq

    def __init__(self, columns: int = 80, rows: int = 25) -> None:
        super().__init__()
        self.output = bytearray()
        self._size = (columns, rows)
        self._input = bytearray()

    @property
    def config(self) -> bytes:
        return struct.pack("<2H2I", *self._size, 1, 0)

    def write(self, data: bytes) -> None:
        """Type; it reaches the driver when it offers room."""
        self._input += data

    def poll(self) -> None:
        self._each(self._queues[1], self._print)
        while self._input and (chain := self._queues[0].take()) is not None:
            written = chain.write(bytes(self._input))
            del self._input[:written]
            self._queues[0].give_back(chain, written)

    def _print(self, chain: Chain) -> int:
        self.output += chain.read()
        return 0


class Network(VirtioDevice):
    """A network card: ``sent`` holds the driver's frames, ``deliver`` gives it one (virtio 1.3, 5.1).

    ``taps`` are told of each frame that passes, and whether the driver sent it.

    Each frame stands behind a header of 12 bytes under VERSION_1, of 10 for a legacy driver.
    """

    id = VIRTIO_ID_NET
    queue_count = 2  # 0: receiveq1, to the driver; 1: transmitq1
    features = 1 << 5  # MAC

    def __init__(self, mac: bytes = b"\x52\x54\x00\x12\x34\x56") -> None:
        super().__init__()
        self.sent: deque[bytes] = deque(maxlen=4096)
        self.on_frame: Callable[[bytes], bytes | None] | None = None  # an answer to deliver, if any
        self.taps: list[Callable[[bytes, bool], None]] = []
        self._mac = mac
        self._header_size = 10  # of a driver that has accepted nothing
        self._frames: deque[bytes] = deque()

    @property
    def config(self) -> bytes:
        return self._mac + struct.pack("<2H", 1, 1)  # status: link up; one pair of queues

    def negotiate(self, features: int) -> None:
        self._header_size = 12 if features & (_VERSION_1 | _MRG_RXBUF) else 10

    def deliver(self, frame: bytes) -> None:
        """Give the driver a frame, from any thread; it goes when there is room."""
        self._frames.append(bytes(frame))
        self.wake()

    def poll(self) -> None:
        self._each(self._queues[1], self._transmit)
        while self._frames and (chain := self._queues[0].take()) is not None:
            header = bytes(10) + struct.pack("<H", 1)[: self._header_size - 10]  # VERSION_1: num_buffers
            frame = self._frames.popleft()
            self._queues[0].give_back(chain, chain.write(header + frame))
            self._tell(frame, sent=False)

    def _tell(self, frame: bytes, *, sent: bool) -> None:
        for tap in self.taps:
            tap(frame, sent)

    def _transmit(self, chain: Chain) -> int:
        frame = chain.read()[self._header_size :]
        self.sent.append(frame)
        self._tell(frame, sent=True)
        answer = self.on_frame(frame) if self.on_frame is not None else None
        if answer is not None:
            self._frames.append(answer)
        return 0


class Block(VirtioDevice):
    """A disk over bytes at hand (virtio 1.3, 5.2): requests of a header, sectors of 512 bytes and a status byte."""

    id = VIRTIO_ID_BLOCK
    queue_count = 1
    features = 1 << 9  # FLUSH

    SECTOR = 512
    _IN, _OUT, _FLUSH, _GET_ID = 0, 1, 4, 8
    _OK, _IOERR, _UNSUPPORTED = 0, 1, 2

    def __init__(self, disk: bytearray, identity: bytes = b"rptwin") -> None:
        super().__init__()
        self.disk = disk
        self._identity = identity[:20].ljust(20, b"\0")

    @property
    def config(self) -> bytes:
        return struct.pack("<Q", len(self.disk) // self.SECTOR)

    def poll(self) -> None:
        self._each(self._queues[0], self._serve)

    def _serve(self, chain: Chain) -> int:
        request = chain.read()
        room = chain.capacity - 1  # the last writable byte is the status
        if len(request) < 16 or room < 0:
            return 0
        kind, _reserved, sector = struct.unpack_from("<2IQ", request)
        data, status = self._do(kind, sector * self.SECTOR, request[16:], room)
        return chain.write(data.ljust(room, b"\0") + bytes([status]))

    def _do(self, kind: int, at: int, payload: bytes, room: int) -> tuple[bytes, int]:
        if kind == self._FLUSH:
            return b"", self._OK
        if kind == self._GET_ID:
            return self._identity[:room], self._OK
        if kind not in (self._IN, self._OUT):
            return b"", self._UNSUPPORTED
        size = room if kind == self._IN else len(payload)
        if size % self.SECTOR or at + size > len(self.disk):
            return b"", self._IOERR
        if kind == self._IN:
            return bytes(self.disk[at : at + size]), self._OK
        self.disk[at : at + size] = payload
        return b"", self._OK


_DEFAULTS: dict[int, Callable[[], VirtioDevice]] = {
    VIRTIO_ID_NET: Network,
    VIRTIO_ID_BLOCK: lambda: Block(bytearray(64 * 1024)),
    VIRTIO_ID_CONSOLE: Console,
    VIRTIO_ID_RNG: Rng,
}


def create_device(virtio_id: int) -> VirtioDevice | None:
    """A device for a vdev of this id; None for a kind that there is none of."""
    make = _DEFAULTS.get(virtio_id)
    return make() if make is not None else None
