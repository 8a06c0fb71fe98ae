"""A split ring word by word: what each side writes, when it tells the other, and what it says of its peer."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from orchestrator.base.errors import RingError, TranslationError, UsageError
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.virtqueue import Heap, Negotiated, Segment, SplitDevice, SplitDriver

BASE, NUM = 0x3004_0000, 4
BUFFERS = BASE + 0x1000
TABLES = Extent(BASE + 0x2000, 0x100)
NEXT, WRITE, INDIRECT = 1, 2, 4
NAME = "vdev[0].vring[1]"


class Holed(BytesMemory):
    """Memory that may have a hole."""

    hole = Extent(0, 0)

    def _check(self, address: int, size: int) -> None:
        if self.hole.overlaps(Extent(address, size)):
            raise TranslationError("no memory", where=f"{address:#x}")

    def read(self, address: int, size: int) -> bytes:
        self._check(address, size)
        return super().read(address, size)

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        super().write(address, data)


class Queue:
    """Both sides of a healthy queue of four; the words of its rings can be changed."""

    def __init__(self, *, indirect: bool = False, event_idx: bool = False, in_order: bool = False) -> None:
        self.memory = Holed("cpu_cm4", BASE, bytearray(0x4000))
        self.layout = RingLayout.legacy(BASE, NUM, 16)
        self.tables = Heap(TABLES)
        self.reported: list[RingError] = []
        negotiated = Negotiated(indirect, event_idx, in_order)
        report = self.reported.append
        self.driver = SplitDriver(self.memory, self.layout, negotiated, tables=self.tables, name=NAME, report=report)
        self.device = SplitDevice(self.memory, self.layout, negotiated, name=NAME, report=report)
        self.driver.reset()

    def start_at(self, index: int) -> None:
        """As after so many chains that went out and came back."""
        for side in (self.driver, self.device):
            side._next_avail = side._next_used = side._notified = index
        for at in (self.layout.avail_idx_at, self.layout.used_idx_at):
            self.poke16(at, index)

    def poke16(self, address: int, value: int) -> None:
        self.memory.write(address, value.to_bytes(2, "little"))

    def peek16(self, address: int) -> int:
        return int.from_bytes(self.memory.read(address, 2), "little")

    def desc(self, index: int) -> tuple[int, int, int, int]:
        addr, length, flags, following = struct.unpack("<QIHH", self.memory.read(self.layout.desc_at(index), 16))
        return addr, length, flags, following

    def used(self, slot: int) -> tuple[int, int]:
        head, length = struct.unpack("<II", self.memory.read(self.layout.used_ring_at(slot), 8))
        return head, length

    def offer(self, *writable: bool, token: object = None) -> bool:
        return self.driver.offer([Segment(BUFFERS + 64 * i, 64, each) for i, each in enumerate(writable)], token)

    def echo(self, count: int = 1) -> list[object]:
        """Chains go out and come back, whole; their tokens."""
        back: list[object] = []
        for _ in range(count):
            chain = self.device.take()
            assert chain is not None
            self.device.give_back(chain, chain.capacity)
            found = self.driver.pop()
            back.append(found and found.token)
        return back


def test_a_chain_is_descriptors_an_entry_and_an_index() -> None:
    queue = Queue()
    assert queue.offer(False, True)
    assert queue.desc(0) == (BUFFERS, 64, NEXT, 1)
    assert queue.desc(1) == (BUFFERS + 64, 64, WRITE, 0)
    assert queue.offer(True)
    assert queue.desc(2) == (BUFFERS, 64, WRITE, 0)
    assert [queue.peek16(queue.layout.avail_ring_at(slot)) for slot in range(2)] == [0, 2]
    assert queue.peek16(queue.layout.avail_idx_at) == 2
    assert (queue.driver.free_count, queue.driver.posted_count) == (1, 2)
    assert [queue.driver.owner(i) for i in range(NUM)] == ["device"] * 3 + ["driver"]
    queue.echo(2)
    assert [queue.used(slot) for slot in range(2)] == [(0, 64), (2, 64)]
    assert queue.peek16(queue.layout.used_idx_at) == 2
    assert (queue.driver.free_count, queue.driver.posted_count, queue.device.taken_count) == (4, 0, 0)


@pytest.mark.parametrize("event_idx", [False, True])
def test_the_indices_go_on_from_0_after_65535(event_idx: bool) -> None:
    queue = Queue(event_idx=event_idx)
    queue.start_at(0xFFFE)
    queue.device.want_notifications(True)
    queue.driver.want_notifications(True)
    for step in range(4):
        assert queue.offer(True, token=step)
        assert queue.driver.should_notify()
        assert queue.peek16(queue.layout.avail_idx_at) == (0xFFFF + step) & 0xFFFF
        chain = queue.device.take()
        assert chain is not None
        queue.device.give_back(chain, 1)
        assert queue.device.should_notify()
        assert queue.peek16(queue.layout.used_idx_at) == (0xFFFF + step) & 0xFFFF
        back = queue.driver.pop()
        assert back is not None
        assert (back.token, back.length) == (step, 1)
    assert queue.reported == []


def test_a_batch_goes_round_with_the_indices() -> None:
    queue = Queue(in_order=True)
    queue.start_at(0xFFFE)
    for step in range(3):
        assert queue.offer(True, token=step)
    chains = [chain for _ in range(3) if (chain := queue.device.take()) is not None]
    queue.device.give_back_batch(chains, 9)
    assert queue.used(2) == (2, 9)
    assert queue.peek16(queue.layout.used_idx_at) == 1
    back = [queue.driver.pop() for _ in range(4)]
    assert [each and (each.token, each.length) for each in back] == [(0, 64), (1, 64), (2, 9), None]
    assert queue.device.taken_count == 0


def test_a_batch_needs_in_order_and_chains_that_were_taken() -> None:
    queue, in_order = Queue(), Queue(in_order=True)
    for each in (queue, in_order):
        assert each.offer(True)
        chain = each.device.take()
        assert chain is not None
        if each is queue:
            with pytest.raises(UsageError, match="no batch"):
                each.device.give_back_batch([chain])
            continue
        for wrong in ([], [chain, chain]):
            if wrong:
                each.device.give_back_batch([chain])
            with pytest.raises(UsageError, match="no batch"):
                each.device.give_back_batch(wrong)


def test_an_indirect_chain_takes_one_descriptor_and_its_table_goes_back() -> None:
    queue = Queue(indirect=True)
    assert queue.offer(False, False, True)
    assert queue.desc(0) == (TABLES.start, 48, INDIRECT, 0)
    table = [struct.unpack("<QIHH", queue.memory.read(TABLES.start + at, 16)) for at in (0, 16, 32)]
    assert table == [(BUFFERS, 64, NEXT, 1), (BUFFERS + 64, 64, NEXT, 2), (BUFFERS + 128, 64, WRITE, 0)]
    assert queue.driver.free_count == 3
    chain = queue.device.take()
    assert chain is not None
    assert (chain.readable_size, chain.capacity, chain.slots) == (128, 64, 1)
    queue.device.give_back(chain, 7)
    back = queue.driver.pop()
    assert back is not None
    assert (back.length, queue.driver.free_count) == (7, 4)
    assert queue.tables.report().allocated == ()


def test_one_buffer_needs_no_table_and_without_a_table_or_a_descriptor_there_is_no_chain() -> None:
    queue = Queue(indirect=True)
    assert queue.offer(True)
    assert queue.tables.report().allocated == ()
    whole = queue.tables.allocate(TABLES.size)
    assert not queue.offer(True, True)
    assert queue.driver.free_count == 3
    assert queue.tables.free(whole or 0)
    assert all(queue.offer(True, True) for _ in range(3))
    assert not queue.offer(True, True)
    assert len(queue.tables.report().allocated) == 3


def test_a_chain_may_take_all_of_the_ring_and_no_more() -> None:
    queue = Queue()
    assert queue.offer(*[False] * NUM)
    chain = queue.device.take()
    assert chain is not None
    assert (chain.slots, len(chain.segments), queue.reported) == (NUM, NUM, [])
    assert not queue.offer(False)
    with pytest.raises(UsageError, match=r"1\.\.4, found 5"):
        queue.offer(*[False] * (NUM + 1))
    with pytest.raises(UsageError, match=r"1\.\.4, found 0"):
        queue.offer()
    with pytest.raises(UsageError, match="all readable buffers first, found buffer 2 of 3 is readable"):
        queue.offer(False, True, False)


def test_a_reset_takes_everything_back() -> None:
    queue = Queue(indirect=True)
    queue.driver.want_notifications(False)
    assert queue.offer(True, True)
    assert queue.offer(True, token="b")
    assert queue.driver.tokens == (None, "b")
    queue.driver.reset()
    assert queue.tables.report().allocated == ()
    assert (queue.driver.free_count, queue.driver.tokens) == (NUM, ())
    assert [queue.desc(i) for i in range(NUM)] == [(0, 0, 0, 0)] * NUM
    assert queue.peek16(queue.layout.avail_idx_at) == queue.peek16(queue.layout.used_idx_at) == 0
    assert queue.peek16(queue.layout.avail_flags_at) == 1
    assert not queue.driver.should_notify()
    queue.device.reset()
    assert queue.offer(True, token="again")
    assert queue.echo() == ["again"]


def test_under_event_idx_a_side_asks_for_what_comes_next_or_for_what_is_past() -> None:
    queue = Queue(event_idx=True)
    queue.offer(True)
    queue.echo()
    for side, at in ((queue.device, queue.layout.avail_event_at), (queue.driver, queue.layout.used_event_at)):
        assert queue.peek16(at) == 1
        side.want_notifications(False)
        assert queue.peek16(at) == 0
        side.want_notifications(True)
        assert queue.peek16(at) == 1
    queue.device.want_notifications(False)
    queue.driver.want_notifications(False)
    assert queue.driver.should_notify()
    assert queue.device.should_notify()
    queue.offer(True)
    assert not queue.driver.should_notify()
    queue.echo()
    assert not queue.device.should_notify()
    assert [queue.peek16(at) for at in (queue.layout.avail_event_at, queue.layout.used_event_at)] == [0, 0]
    queue.device.reset()
    queue.driver.reset()
    queue.device.want_notifications(False)
    assert queue.peek16(queue.layout.avail_event_at) == 0xFFFF


@pytest.mark.parametrize("event", range(4))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_event_is_passed_by_whom_steps_over_its_index(event: int, count: int) -> None:
    queue = Queue(event_idx=True)
    queue.device.want_notifications(False)
    queue.driver.want_notifications(False)
    queue.poke16(queue.layout.avail_event_at, event)
    queue.poke16(queue.layout.used_event_at, event)
    told: dict[str, list[bool]] = {"driver": [], "device": []}
    for _ in range(6 // count):
        for _ in range(count):
            assert queue.offer(True)
        told["driver"].append(queue.driver.should_notify())
        queue.echo(count)
        told["device"].append(queue.device.should_notify())
    assert told["driver"] == told["device"] == [step == event // count for step in range(6 // count)]


def test_a_fault_is_reported_once_and_kept() -> None:
    queue = Queue()
    for _ in range(2):
        queue.offer(True)
        queue.poke16(queue.layout.avail_ring_at(queue.driver._next_avail - 1), NUM)
        assert queue.device.take() is None
    (fault,) = queue.device.faults
    assert queue.reported == [fault]
    assert (fault.rule, fault.expected, fault.found) == ("ring.index-out-of-range", "0..3", NUM)
    assert str(queue.device.place(BASE, "desc[0]")) == f"cpu_cm4 at {BASE:#010x} ({NAME}.desc[0])"
    assert str(SplitDevice(queue.memory, queue.layout).place(BASE, "desc[0]")) == f"cpu_cm4 at {BASE:#010x} (desc[0])"


def test_a_head_that_the_device_has_is_named_as_such() -> None:
    queue = Queue()
    queue.offer(True)
    assert queue.device.take() is not None
    queue.offer(True)
    queue.poke16(queue.layout.avail_ring_at(1), 0)
    assert queue.device.take() is None
    (fault,) = queue.reported
    assert (fault.rule, fault.expected, fault.found) == ("ring.head-in-use", "a head that is not with the device", 0)
    assert fault.what == "made available again while the device has it"
    assert f"{NAME}.avail.ring[1]" in str(fault)


@pytest.mark.parametrize("base", [3, 0xFFFF])
def test_a_device_goes_on_in_a_ring_that_is_under_way(base: int) -> None:
    """As a back-end that is told where the one before it stopped (vhost-user: SET_VRING_BASE)."""
    queue = Queue()
    queue.start_at(base)
    assert queue.offer(True, token="before")
    queue.device.reset()
    queue.device.resume(base | 0xABCD_0000)
    assert queue.device.base == base
    assert queue.echo() == ["before"]
    assert queue.device.base == (base + 1) & 0xFFFF
    assert queue.device.should_notify()
    assert queue.reported == []
    # What it holds it forgets: the driver of a ring that goes on makes all of it available anew.
    assert queue.offer(True, token="held")
    assert queue.device.take() is not None
    queue.device.resume(queue.device.base - 1)
    assert queue.device.taken_count == 0
    assert queue.echo() == ["held"]
    # What the one before gave back is known by the used index, and is no news of this one's.
    queue.device.resume(queue.device.base)
    assert not queue.device.should_notify()
    assert queue.offer(True, token="after")
    assert queue.echo() == ["after"]


@pytest.mark.parametrize(("ahead", "is_broken"), [(3, False), (4, True)])
def test_with_one_chain_in_hand_a_device_takes_three_more_of_four(ahead: int, is_broken: bool) -> None:
    queue = Queue()
    assert all(queue.offer(True) for _ in range(NUM))
    assert queue.device.take() is not None
    queue.poke16(queue.layout.avail_idx_at, 1 + ahead)
    assert (queue.device.take() is None) is is_broken
    assert queue.device.is_broken is is_broken
    if is_broken:
        (fault,) = queue.reported
        assert (fault.rule, fault.expected, fault.found) == ("ring.avail-overrun", "at most 3 after 1", 5)


@pytest.mark.parametrize(("ahead", "is_broken"), [(2, False), (3, True)])
def test_a_driver_takes_back_what_it_has_out_and_no_more(ahead: int, is_broken: bool) -> None:
    queue = Queue()
    for _ in range(2):
        queue.offer(True)
    queue.memory.write(queue.layout.used_ring_at(0), struct.pack("<4I", 0, 1, 1, 2))
    queue.poke16(queue.layout.used_idx_at, ahead)
    back = [queue.driver.pop() for _ in range(2)]
    assert [each and each.length for each in back] == ([None, None] if is_broken else [1, 2])
    if is_broken:
        (fault,) = queue.reported
        assert (fault.rule, fault.expected, fault.found) == ("ring.used-ahead", "at most 2 after 0", 3)
        assert not queue.offer(True)


@pytest.mark.parametrize(
    ("writable", "length", "kept", "rules"),
    [(True, 64, 64, []), (True, 65, 64, ["ring.used-length"]), (False, 65, 0, [])],
)
def test_a_length_that_does_not_fit_is_cut_and_blamed_where_there_is_room_for_any(
    writable: bool, length: int, kept: int, rules: list[str]
) -> None:
    queue = Queue()
    queue.offer(writable)
    chain = queue.device.take()
    assert chain is not None
    queue.device.give_back(chain, length)
    back = queue.driver.pop()
    assert back is not None
    assert (back.length, [each.rule for each in queue.reported]) == (kept, rules)
    for each in queue.reported:
        at = queue.layout.used_ring_at(0) + 4
        assert str(each.place) == f"cpu_cm4 at {at:#010x} ({NAME}.used.ring[0].len)"


def test_after_an_element_that_is_no_head_the_next_one_is_taken() -> None:
    queue = Queue()
    for token in "ab":
        queue.offer(True, token=token)
    queue.memory.write(queue.layout.used_ring_at(0), struct.pack("<4I", 3, 1, 1, 2))
    queue.poke16(queue.layout.used_idx_at, 2)
    back = queue.driver.pop()
    assert back is not None
    assert (back.token, queue.driver.pop()) == ("b", None)
    (fault,) = queue.reported
    assert (fault.rule, fault.expected, fault.found) == ("ring.used-not-a-head", "one of 0, 1", 3)
    assert f"{NAME}.used.ring[0].id" in str(fault)


def test_of_the_heads_that_were_expected_eight_are_listed() -> None:
    memory = BytesMemory("cpu_cm4", BASE, bytearray(0x4000))
    driver = SplitDriver(memory, layout := RingLayout.legacy(BASE, 16, 16))
    assert all(driver.offer([Segment(BUFFERS, 4)]) for _ in range(9))
    memory.write(layout.used_idx_at, b"\1\0")
    memory.write(layout.used_ring_at(0), struct.pack("<2I", 12, 0))
    assert driver.pop() is None
    (fault,) = driver.faults
    assert fault.expected == "one of 0, 1, 2, 3, 4, 5, 6, 7"


def test_an_element_out_of_order_stops_the_driver_and_names_the_oldest() -> None:
    queue = Queue(in_order=True)
    for token in "abc":
        queue.offer(True, token=token)
    queue.memory.write(queue.layout.used_ring_at(0), struct.pack("<2I", 2, 1))
    queue.poke16(queue.layout.used_idx_at, 2)  # two at most, and the third is named
    queue.driver.pop()
    (fault,) = queue.reported
    assert (fault.rule, fault.expected, fault.found) == ("ring.used-out-of-order", "0, the oldest", 2)
    assert queue.driver.is_broken


def test_in_order_an_element_that_is_no_head_stands_for_itself_alone() -> None:
    queue = Queue(in_order=True)
    for token in "abc":
        queue.offer(True, token=token)
    queue.memory.write(queue.layout.used_ring_at(0), struct.pack("<4I", 3, 1, 0, 2))
    queue.poke16(queue.layout.used_idx_at, 2)
    back = queue.driver.pop()
    assert back is not None
    assert (back.token, queue.driver.pop()) == ("a", None)
    assert [each.rule for each in queue.reported] == ["ring.used-not-a-head"]


def test_what_is_given_back_without_a_length_was_not_written() -> None:
    queue = Queue(in_order=True)
    for _ in range(3):
        queue.offer(True)
    chains = [chain for _ in range(3) if (chain := queue.device.take()) is not None]
    queue.device.give_back(chains[0])
    queue.device.give_back_batch(chains[1:])
    assert [queue.used(slot) for slot in range(2)] == [(0, 0), (2, 0)]


def test_in_order_heads_go_round() -> None:
    queue = Queue(in_order=True)
    for _ in range(3):
        assert queue.offer(False, True)
        queue.echo()
    assert queue.reported == []
    queue.offer(False)
    queue.poke16(queue.layout.avail_ring_at(3), 3)
    assert queue.device.take() is not None
    (fault,) = queue.reported
    assert (fault.rule, fault.expected, fault.found) == ("ring.avail-out-of-order", 2, 3)
    queue.offer(False)
    queue.poke16(queue.layout.avail_ring_at(0), 0)  # behind descriptor 3 comes 0
    assert queue.device.take() is not None
    assert len(queue.reported) == 1


def test_what_a_chain_reads_is_joined_and_limited() -> None:
    queue = Queue()
    queue.memory.write(BUFFERS, bytes(range(128)))
    queue.offer(False, False, True)
    chain = queue.device.take()
    assert chain is not None
    assert chain.read() == bytes(range(128))
    for limit in (0, 1, 63, 64, 65, 127, 128, 129):
        assert chain.read(limit) == bytes(range(min(limit, 128)))


def test_what_a_chain_writes_ends_with_its_room() -> None:
    queue = Queue()
    queue.offer(False, True, True)
    chain = queue.device.take()
    assert chain is not None
    for size in (0, 1, 63, 64, 65, 127, 128):
        queue.memory.write(BUFFERS, bytes(256))
        data = bytes(range(1, size + 1))
        assert chain.write(data) == size
        assert queue.memory.read(BUFFERS + 64, 192) == data.ljust(192, b"\0")
    assert chain.write(b"x" * 129) == 128
    assert queue.memory.read(BUFFERS, 64) == bytes(64)
    assert queue.memory.read(BUFFERS + 192, 1) == b"\0"


@pytest.mark.parametrize("act", [lambda chain: chain.read() == b"", lambda chain: chain.write(b"x" * 100) == 0])
def test_a_hole_in_a_buffer_is_a_fault_where_the_buffer_is(act: Callable[[object], bool]) -> None:
    queue = Queue()
    queue.driver.offer([Segment(BUFFERS, 64), Segment(BUFFERS + 64, 64, is_writable=True)])
    chain = queue.device.take()
    assert chain is not None
    queue.memory.hole = Extent(BUFFERS + 32, 64)
    assert act(chain)
    (fault,) = queue.reported
    assert (fault.rule, fault.expected) == ("buffer.unreachable-by-device", "64 bytes of memory")
    assert "buffer of chain 0" in str(fault)


def test_a_buffer_may_be_the_last_byte_of_memory() -> None:
    queue = Queue()
    assert queue.driver.offer([Segment(BASE + 0x3FFF, 1)])
    chain = queue.device.take()
    assert chain is not None
    assert (chain.read(), queue.reported) == (b"\0", [])


@pytest.mark.parametrize("hole", [Extent(BUFFERS, 1), Extent(BUFFERS + 63, 1)], ids=["first", "last"])
def test_memory_is_needed_for_both_ends_of_a_buffer(hole: Extent) -> None:
    queue = Queue()
    queue.memory.hole = hole
    queue.driver.offer([Segment(BUFFERS, 64)])
    assert queue.device.take() is None
    (fault,) = queue.reported
    assert fault.rule == "buffer.unreachable-by-device"
    assert f"{NAME}.desc[0].addr" in str(fault)
    assert queue.used(0) == (0, 0)
    assert queue.peek16(queue.layout.used_idx_at) == 1


def test_of_a_chain_the_descriptor_without_memory_is_named() -> None:
    queue = Queue()
    queue.driver.offer([Segment(BUFFERS, 64), Segment(0x2000_0000, 64)])
    assert queue.device.take() is None
    (fault,) = queue.reported
    assert (fault.rule, f"{NAME}.desc[1].addr" in str(fault)) == ("buffer.unreachable-by-device", True)


def test_a_buffer_of_no_bytes_is_nowhere() -> None:
    queue = Queue()
    queue.driver.offer([Segment(0x2000_0000, 0)])
    assert queue.device.take() is not None
    assert queue.reported == []
