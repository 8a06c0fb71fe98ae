"""Driver and device against each other: any interleaving conserves buffers and delivers data in order."""

from __future__ import annotations

import struct
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.virtqueue import (
    BufferMemory,
    Chain,
    Heap,
    Negotiated,
    PackedDevice,
    PackedDriver,
    Segment,
    SplitDevice,
    SplitDriver,
)

BASE = 0x3004_0000
SIZE = 0x10000
POOL = Extent(BASE + 0x4000, 0x8000)
TABLES = Extent(BASE + 0xC000, 0x2000)
SHIFT = 0x2000_0000  # device addresses lie so much lower

Driver = SplitDriver | PackedDriver
Device = SplitDevice | PackedDevice


def to_device(address: int, size: int) -> int:
    del size
    return address - SHIFT


def translate(address: int, size: int) -> int:
    if Extent(address + SHIFT, size) not in Extent(BASE, SIZE):
        raise TranslationError("no memory", found=address)
    return address + SHIFT


def sides(kind: str, num: int, negotiated: Negotiated, memory: BufferMemory) -> tuple[Driver, Device, Heap]:
    tables = Heap(TABLES)
    if kind == "packed":
        packed = PackedLayout.contiguous(BASE, num)
        packed_driver = PackedDriver(memory, packed, negotiated, to_device=to_device, tables=tables)
        packed_driver.reset()
        return packed_driver, PackedDevice(memory, packed, negotiated, translate=translate), tables
    layout = {
        "legacy": RingLayout.legacy(BASE, num, 64),
        "flexible": RingLayout(num, BASE + 0x2000, BASE + 0x100, BASE + 0x1004),
    }[kind]
    driver = SplitDriver(memory, layout, negotiated, to_device=to_device, tables=tables)
    driver.reset()
    return driver, SplitDevice(memory, layout, negotiated, translate=translate), tables


def start_at(driver: Driver, device: Device, index: int) -> None:
    """As after so many chains that went out and came back."""
    for side in (driver, device):
        assert isinstance(side, SplitDriver | SplitDevice)
        side._next_avail = side._next_used = side._notified = index
        for at in (side.layout.avail_idx_at, side.layout.used_idx_at):
            side._memory.store16(at, index)
        side.want_notifications(True)


class Interleaving(RuleBasedStateMachine):
    """Requests carry a number out and bring one back; whatever the order, none is lost, doubled or mixed up."""

    @initialize(
        kind=st.sampled_from(["legacy", "flexible", "packed"]),
        num=st.sampled_from([1, 2, 4, 8, 16]),
        indirect=st.booleans(),
        event_idx=st.booleans(),
        in_order=st.booleans(),
        start=st.sampled_from([0, 0xFFF0]),
    )
    def build(self, kind: str, num: int, indirect: bool, event_idx: bool, in_order: bool, start: int) -> None:
        self.negotiated = Negotiated(indirect, event_idx, in_order)
        self.memory = BufferMemory("shared", BASE, bytearray(SIZE))
        self.driver, self.device, self.tables = sides(kind, num, self.negotiated, self.memory)
        self.heap = Heap(POOL)
        self.num = num
        self.number = 0
        self.sent: deque[int] = deque()
        self.held: list[tuple[Chain, int]] = []
        self.done: list[int] = []
        self.driver_signal = self.device_signal = False
        if kind != "packed":
            start_at(self.driver, self.device, start)

    @rule(extra=st.integers(0, 3), room=st.integers(0, 2))
    def offer(self, extra: int, room: int) -> None:
        buffers = [self.heap.allocate(8) for _ in range(1 + extra + room)]
        assert None not in buffers
        addresses = [each for each in buffers if each is not None]
        segments = [Segment(each, 8, is_writable=index > extra) for index, each in enumerate(addresses)]
        self.memory.write(addresses[0], struct.pack("<Q", self.number))
        if len(segments) > self.num or not self.driver.offer(segments, (self.number, addresses, room)):
            for each in addresses:
                self.heap.free(each)
            return
        self.sent.append(self.number)
        self.number += 1
        self.device_signal |= self.driver.should_notify()

    @rule()
    def take(self) -> None:
        chain = self.device.take()
        if chain is None:
            assert not self.sent
            return
        (number,) = struct.unpack("<Q", chain.read()[:8])
        assert number == self.sent.popleft()
        self.held.append((chain, number))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        which = 0 if self.negotiated.in_order else data.draw(st.integers(0, len(self.held) - 1))
        chain, number = self.held.pop(which)
        self.device.give_back(chain, chain.write(struct.pack("<Q", number ^ 0xFFFF)))
        self.done.append(number)
        self.driver_signal |= self.device.should_notify()

    @rule()
    def pop(self) -> None:
        back = self.driver.pop()
        if back is None:
            assert not self.done
            return
        number, addresses, room = back.token  # type: ignore[misc]
        assert number == self.done.pop(0)
        assert back.length == (8 if room else 0)
        if room:
            written = self.memory.read(addresses[-room], 8)
            assert struct.unpack("<Q", written) == (number ^ 0xFFFF,)
        for each in addresses:
            assert self.heap.free(each)

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "driver"):
            return
        assert self.driver.posted_count == len(self.sent) + len(self.held) + len(self.done)
        assert self.device.taken_count == len(self.held)
        assert self.driver.faults == ()
        assert self.device.faults == ()
        assert self.heap.report().faults == ()

    def teardown(self) -> None:
        if not hasattr(self, "driver"):
            return
        while self.sent:
            self.take()
        while self.held:
            chain, number = self.held.pop(0)
            self.device.give_back(chain, chain.write(struct.pack("<Q", number ^ 0xFFFF)))
            self.done.append(number)
        while self.done:
            self.pop()
        assert self.heap.report().allocated == ()
        assert self.tables.report().allocated == ()
        assert self.driver.free_count == self.num


Interleaving.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestInterleaving = Interleaving.TestCase


def pair(num: int = 4, negotiated: Negotiated | None = None, kind: str = "legacy") -> tuple[Driver, Device]:
    memory = BufferMemory("shared", BASE, bytearray(SIZE))
    driver, device, _tables = sides(kind, num, negotiated or Negotiated(), memory)
    return driver, device


def test_an_entry_chains_buffers_and_is_seen_only_when_published() -> None:
    driver, device = pair()
    assert isinstance(driver, SplitDriver)
    entry = driver.entry("token").read_only(POOL.start, 16).writable(POOL.start + 64, 32)
    assert device.take() is None
    assert entry.publish()
    chain = device.take()
    assert chain is not None
    assert (chain.readable_size, chain.capacity) == (16, 32)
    assert [driver.owner(index) for index in range(3)] == ["device", "device", "driver"]


@pytest.mark.parametrize("kind", ["legacy", "packed"])
def test_a_full_queue_refuses_and_takes_again_after_a_pop(kind: str) -> None:
    driver, device = pair(2, kind=kind)
    assert [driver.offer([Segment(POOL.start, 4)], i) for i in range(3)] == [True, True, False]
    chain = device.take()
    assert chain is not None
    device.give_back(chain)
    assert not driver.offer([Segment(POOL.start, 4)])
    assert driver.pop() is not None
    assert driver.offer([Segment(POOL.start, 4)])


@pytest.mark.parametrize("kind", ["legacy", "packed"])
def test_a_side_that_wants_no_notification_gets_none(kind: str) -> None:
    driver, device = pair(kind=kind)
    device.want_notifications(False)
    driver.want_notifications(False)
    driver.offer([Segment(POOL.start, 4)])
    assert not driver.should_notify()
    chain = device.take()
    assert chain is not None
    device.give_back(chain)
    assert not device.should_notify()
    device.want_notifications(True)
    driver.want_notifications(True)
    driver.offer([Segment(POOL.start, 4)])
    assert driver.should_notify()
    assert not driver.should_notify()  # nothing new since


def test_with_event_idx_only_the_passing_of_the_event_notifies() -> None:
    driver, device = pair(8, Negotiated(event_idx=True))
    device.want_notifications(True)
    driver.offer([Segment(POOL.start, 4)])
    assert driver.should_notify()
    driver.offer([Segment(POOL.start, 4)])
    assert not driver.should_notify()  # the device has not looked since
    while device.take() is not None:
        pass
    driver.offer([Segment(POOL.start, 4)])
    assert driver.should_notify()


def test_a_packed_ring_notifies_at_the_descriptor_that_was_asked_for() -> None:
    driver, device = pair(4, Negotiated(event_idx=True), "packed")
    assert isinstance(device, PackedDevice)
    device.want_notification_at(2 | 0x8000)
    told = []
    for _ in range(3):
        driver.offer([Segment(POOL.start, 4)])
        told.append(driver.should_notify())
    assert told == [False, False, True]
    with pytest.raises(UsageError):
        pair(kind="packed")[1].want_notification_at(1)  # type: ignore[union-attr]


def test_in_order_one_used_element_returns_a_batch() -> None:
    driver, device = pair(8, Negotiated(in_order=True))
    assert isinstance(device, SplitDevice)
    for index in range(3):
        driver.offer([Segment(POOL.start + 64 * index, 64, is_writable=True)], index)
    chains = [chain for _ in range(3) if (chain := device.take()) is not None]
    device.give_back_batch(chains, written=5)
    back = [driver.pop() for _ in range(4)]
    assert [(each.token, each.length) for each in back if each] == [(0, 64), (1, 64), (2, 5)]


def test_a_chain_is_given_back_once() -> None:
    driver, device = pair()
    driver.offer([Segment(POOL.start, 4)])
    chain = device.take()
    assert chain is not None
    device.give_back(chain)
    with pytest.raises(UsageError, match="does not have"):
        device.give_back(chain)


def test_features_choose_what_is_negotiated() -> None:
    assert Negotiated.of(Feature.EVENT_IDX | Feature.IN_ORDER | Feature.NS) == Negotiated(
        indirect=False, event_idx=True, in_order=True
    )


class StoreLog(BytesMemory):
    """Notes each store, whole."""

    def __init__(self) -> None:
        super().__init__("log", BASE, bytearray(SIZE))
        self.stores: list[tuple[int, int]] = []

    def write(self, address: int, data: bytes) -> None:
        self.stores.append((address, len(data)))
        super().write(address, data)


@pytest.mark.parametrize("kind", ["legacy", "packed"])
def test_what_publishes_a_chain_is_one_halfword_stored_last(kind: str) -> None:
    memory = StoreLog()
    num = 4
    driver: Driver
    if kind == "packed":
        packed = PackedLayout.contiguous(BASE, num)
        driver, published = PackedDriver(memory, packed), packed.desc_at(0) + 14
    else:
        split = RingLayout.legacy(BASE, num, 16)
        driver, published = SplitDriver(memory, split), split.avail_idx_at
    driver.reset()
    memory.stores.clear()
    driver.offer([Segment(POOL.start, 4), Segment(POOL.start + 8, 4, is_writable=True)])
    assert memory.stores[-1] == (published, 2)
    assert (published, 2) not in memory.stores[:-1]
