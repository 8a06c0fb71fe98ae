"""An example of each rule that a peer can break against a virtqueue of ours: a healthy queue with one thing changed.

The check catalogue shows what is found; the tests require that it is found, alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from orchestrator.base.memory import BytesMemory
from orchestrator.checks.finding import Finding
from orchestrator.checks.rules.rings import ring_finding
from orchestrator.formats.virtqueue import Descriptor, RingLayout
from orchestrator.virtqueue import Negotiated, Segment, SplitDevice, SplitDriver

__all__ = ["HOSTILE_PEERS"]

BASE = 0x3004_0000
BUFFERS = BASE + 0x1000
SIZE = 0x4000
NUM = 8
ALL = Negotiated(indirect=True)
IN_ORDER = Negotiated(in_order=True)


class Queue:
    """Both sides of a healthy queue of eight; the words of its rings can be changed."""

    def __init__(self, negotiated: Negotiated | None = None) -> None:
        self.memory = BytesMemory("cpu_cm4", BASE, bytearray(SIZE))
        self.layout = RingLayout.legacy(BASE, NUM, 16)
        name = "vdev[0].vring[1]"
        self.driver = SplitDriver(self.memory, self.layout, negotiated, name=name)
        self.device = SplitDevice(self.memory, self.layout, negotiated, name=name)
        self.driver.reset()

    def offer(self, *writable: bool) -> None:
        """Make a chain of buffers of 64 bytes available."""
        self.driver.offer([Segment(BUFFERS + 64 * i, 64, each) for i, each in enumerate(writable)])

    def poke16(self, address: int, value: int) -> None:
        """Change a halfword."""
        self.memory.write(address, value.to_bytes(2, "little"))

    def describe(self, index: int, addr: int, length: int, flags: int, following: int = 0) -> None:
        """Change a descriptor of the table."""
        self.memory.write(self.layout.desc_at(index), Descriptor(addr, length, flags, following).pack())

    def seen_by_device(self) -> Finding:
        """What the device finds, once; it must survive it."""
        while (chain := self.device.take()) is not None:
            self.device.give_back(chain)
        (fault,) = self.device.faults
        return ring_finding(fault, self.device.name)

    def seen_by_driver(self) -> Finding:
        """What the driver finds, once."""
        while self.driver.pop() is not None:
            pass
        (fault,) = self.driver.faults
        return ring_finding(fault, self.driver.name)


def _avail_overrun() -> Finding:
    queue = Queue()
    queue.poke16(queue.layout.avail_idx_at, NUM + 1)
    return queue.seen_by_device()


def _head_in_use() -> Finding:
    queue = Queue()
    queue.offer(False)
    queue.device.take()
    queue.poke16(queue.layout.avail_ring_at(1), 0)
    queue.poke16(queue.layout.avail_idx_at, 2)
    return queue.seen_by_device()


def _index_out_of_range() -> Finding:
    queue = Queue()
    queue.offer(False)
    queue.poke16(queue.layout.avail_ring_at(0), 0x80)
    return queue.seen_by_device()


def _loop() -> Finding:
    queue = Queue()
    queue.offer(False, False)
    queue.describe(1, BUFFERS, 64, 1, 0)
    return queue.seen_by_device()


def _table(queue: Queue, *entries: tuple[int, int, int, int]) -> None:
    """An indirect table at the start of the buffers."""
    data = b"".join(Descriptor(*each).pack() for each in entries)
    queue.memory.write(BUFFERS, data)
    queue.offer(False)
    queue.describe(0, BUFFERS, len(data), 4)


def _chain_too_long() -> Finding:
    queue = Queue(ALL)
    _table(queue, *[(BUFFERS + 0x400, 16, 1, i + 1) for i in range(NUM)], (BUFFERS + 0x400, 16, 0, 0))
    return queue.seen_by_device()


def _indirect_next() -> Finding:
    queue = Queue(ALL)
    queue.offer(False, False)
    queue.describe(0, BUFFERS, 16, 5, 1)
    return queue.seen_by_device()


def _indirect_nested() -> Finding:
    queue = Queue(ALL)
    _table(queue, (BUFFERS + 0x400, 16, 4, 0))
    return queue.seen_by_device()


def _indirect_length() -> Finding:
    queue = Queue(ALL)
    queue.offer(False)
    queue.describe(0, BUFFERS, 24, 4)
    return queue.seen_by_device()


def _indirect_address() -> Finding:
    queue = Queue(ALL)
    queue.offer(False)
    queue.describe(0, 0x2000_0000, 32, 4)
    return queue.seen_by_device()


def _indirect_not_negotiated() -> Finding:
    queue = Queue()
    _table(queue, (BUFFERS + 0x400, 16, 0, 0))
    return queue.seen_by_device()


def _readable_after_writable() -> Finding:
    queue = Queue()
    queue.offer(False, True)
    queue.describe(0, BUFFERS, 64, 1 | 2, 1)
    queue.describe(1, BUFFERS + 64, 64, 0)
    return queue.seen_by_device()


def _buffer_address() -> Finding:
    queue = Queue()
    queue.offer(False)
    queue.describe(0, 0x2000_0000, 64, 0)
    return queue.seen_by_device()


def _avail_out_of_order() -> Finding:
    queue = Queue(IN_ORDER)
    queue.offer(False)
    queue.describe(3, BUFFERS, 64, 0)
    queue.poke16(queue.layout.avail_ring_at(0), 3)
    return queue.seen_by_device()


def _used_ahead() -> Finding:
    queue = Queue()
    queue.offer(True)
    queue.poke16(queue.layout.used_idx_at, 2)
    return queue.seen_by_driver()


def _used(queue: Queue, identity: int, length: int) -> Finding:
    queue.memory.write(queue.layout.used_ring_at(0), struct.pack("<2I", identity, length))
    queue.poke16(queue.layout.used_idx_at, 1)
    return queue.seen_by_driver()


def _used_not_a_head() -> Finding:
    queue = Queue()
    queue.offer(True)
    return _used(queue, 5, 16)


def _used_length() -> Finding:
    queue = Queue()
    queue.offer(True)
    return _used(queue, 0, 512)


def _used_out_of_order() -> Finding:
    queue = Queue(IN_ORDER)
    queue.offer(True)
    queue.offer(True)
    return _used(queue, 1, 16)


HOSTILE_PEERS: dict[str, Callable[[], Finding]] = {
    "ring.avail-overrun": _avail_overrun,
    "ring.head-in-use": _head_in_use,
    "ring.index-out-of-range": _index_out_of_range,
    "ring.desc-loop": _loop,
    "ring.chain-too-long": _chain_too_long,
    "ring.indirect-next": _indirect_next,
    "ring.indirect-nested": _indirect_nested,
    "ring.indirect-length": _indirect_length,
    "ring.indirect-address": _indirect_address,
    "ring.indirect-not-negotiated": _indirect_not_negotiated,
    "ring.readable-after-writable": _readable_after_writable,
    "buffer.unreachable-by-device": _buffer_address,
    "ring.avail-out-of-order": _avail_out_of_order,
    "ring.used-ahead": _used_ahead,
    "ring.used-not-a-head": _used_not_a_head,
    "ring.used-length": _used_length,
    "ring.used-out-of-order": _used_out_of_order,
}
