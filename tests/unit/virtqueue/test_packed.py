"""A packed ring word by word: what each side writes, when it tells the other, and a driver that breaks a rule."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from orchestrator.base.errors import RingError, UsageError
from orchestrator.base.memory import BytesMemory, Extent
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.virtqueue import Heap, Negotiated, PackedDevice, PackedDriver, Segment

BASE, NUM = 0x3004_0000, 4
BUFFERS = BASE + 0x1000
TABLES = Extent(BASE + 0x2000, 0x100)
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 1 << 7, 1 << 15
NAME = "vdev[0].vring[1]"


class Queue:
    """Both sides of a healthy packed queue of four; the words of its ring can be changed."""

    def __init__(self, *, indirect: bool = False, event_idx: bool = False, in_order: bool = False) -> None:
        self.memory = BytesMemory("cpu_cm4", BASE, bytearray(0x4000))
        self.layout = PackedLayout.contiguous(BASE, NUM)
        self.tables = Heap(TABLES)
        negotiated = Negotiated(indirect, event_idx, in_order)
        self.driver = PackedDriver(self.memory, self.layout, negotiated, tables=self.tables, name=NAME)
        self.device = PackedDevice(self.memory, self.layout, negotiated, name=NAME)
        self.driver.reset()

    def offer(self, *writable: bool, token: object = None) -> bool:
        return self.driver.offer([Segment(BUFFERS + 64 * i, 64, each) for i, each in enumerate(writable)], token)

    def describe(self, at: int, addr: int, length: int, identity: int, flags: int) -> None:
        self.memory.write(at, struct.pack("<QIHH", addr, length, identity, flags))

    def desc(self, index: int) -> tuple[int, int, int, int]:
        addr, length, identity, flags = struct.unpack("<QIHH", self.memory.read(self.layout.desc_at(index), 16))
        return addr, length, identity, flags

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

    def fault(self) -> RingError:
        """What the device finds, once, and nothing is left with it."""
        assert self.device.take() is None
        assert self.device.taken_count == 0
        (fault,) = self.device.faults
        return fault


def test_the_flags_turn_round_with_the_ring() -> None:
    queue = Queue()
    assert queue.offer(False, True)
    assert [queue.desc(i) for i in range(2)] == [
        (BUFFERS, 64, 0, AVAIL | NEXT),
        (BUFFERS + 64, 64, 0, AVAIL | WRITE),
    ]
    assert (queue.driver.free_count, queue.driver.posted_count) == (2, 1)
    queue.echo()
    assert queue.desc(0) == (0, 64, 0, AVAIL | USED | WRITE)
    assert queue.offer(False, False)
    assert [each[2:] for each in (queue.desc(2), queue.desc(3))] == [(1, AVAIL | NEXT), (1, AVAIL)]
    assert queue.offer(False)
    assert queue.desc(0)[2:] == (2, USED)
    queue.echo(2)
    assert queue.desc(2) == (0, 0, 1, AVAIL | USED)
    assert queue.desc(0) == (0, 0, 2, 0)
    assert (queue.driver.free_count, queue.driver.posted_count, queue.device.taken_count) == (4, 0, 0)


def test_ids_come_back_in_the_order_of_return_and_tokens_with_their_chains() -> None:
    queue = Queue()
    for token in "abcd":
        assert queue.offer(False, token=token)
    assert not queue.offer(False, token="e")
    assert queue.driver.tokens == ("a", "b", "c", "d")
    chains = [queue.device.take() for _ in range(4)]
    assert [each and each.head for each in chains] == [0, 1, 2, 3]
    for each in (chains[2], chains[0]):
        assert each is not None
        queue.device.give_back(each)
    back = [queue.driver.pop() for _ in range(3)]
    assert [each and each.token for each in back] == ["c", "a", None]
    assert queue.offer(False, token="e")
    assert queue.desc(0)[2] == 2
    assert queue.driver.tokens == ("b", "d", "e")


def test_an_indirect_chain_takes_one_descriptor_and_its_table_goes_back() -> None:
    queue = Queue(indirect=True)
    assert queue.offer(False, True)
    addr, length, identity, flags = queue.desc(0)
    assert (addr, length, identity, flags) == (TABLES.start, 32, 0, AVAIL | INDIRECT)
    table = [struct.unpack("<QIHH", queue.memory.read(addr + at, 16)) for at in (0, 16)]
    assert table == [(BUFFERS, 64, 0, 0), (BUFFERS + 64, 64, 0, WRITE)]
    assert queue.driver.free_count == 3
    chain = queue.device.take()
    assert chain is not None
    assert (chain.readable_size, chain.capacity, chain.slots) == (64, 64, 1)
    queue.device.give_back(chain, 7)
    back = queue.driver.pop()
    assert back is not None
    assert (back.length, queue.driver.free_count) == (7, 4)
    assert queue.tables.report().allocated == ()


def test_one_buffer_needs_no_table_and_without_a_table_there_is_no_chain() -> None:
    queue = Queue(indirect=True)
    assert queue.offer(True)
    assert queue.tables.report().allocated == ()
    whole = queue.tables.allocate(TABLES.size)
    assert not queue.offer(True, True)
    assert queue.tables.free(whole or 0)
    assert all(queue.offer(True, True) for _ in range(3))
    assert not queue.offer(True, True)
    assert len(queue.tables.report().allocated) == 3


def test_a_table_goes_back_when_the_ring_has_no_room() -> None:
    queue = Queue(indirect=True)
    chain = [Segment(BUFFERS + 16 * i, 16) for i in range(NUM)]
    for _ in range(NUM):
        assert queue.driver.offer(chain[:1])
    queue.driver._ids.append(NUM)  # an id left, and no descriptor: as after long chains without a table
    assert not queue.driver.offer(chain)
    assert queue.tables.report().allocated == ()


def test_a_reset_takes_everything_back() -> None:
    queue = Queue(indirect=True)
    assert queue.offer(True, True)
    assert queue.offer(True)
    queue.memory.write(queue.layout.device, struct.pack("<HH", 0, 1))
    queue.driver.reset()
    assert queue.tables.report().allocated == ()
    assert (queue.driver.free_count, queue.driver.posted_count, queue.driver.tokens) == (NUM, 0, ())
    assert [queue.desc(i) for i in range(NUM)] == [(0, 0, 0, 0)] * NUM
    assert queue.memory.read(queue.layout.driver, 8) == bytes(8)
    assert not queue.driver.should_notify()
    queue.device.reset()
    assert queue.offer(True, token="again")
    assert queue.echo() == ["again"]


def test_in_order_one_descriptor_returns_all_before_it_as_used_completely() -> None:
    queue = Queue(in_order=True)
    for token, writable in enumerate((True, False, True)):
        assert queue.offer(writable, token=token)
    queue.memory.write(queue.layout.desc_at(0), struct.pack("<QIHH", 0, 5, 2, AVAIL | USED))
    back = [queue.driver.pop() for _ in range(4)]
    assert [each and (each.token, each.length) for each in back] == [(0, 64), (1, 0), (2, 5), None]
    assert queue.driver.free_count == NUM


@pytest.mark.parametrize("event", range(NUM))
@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_an_event_is_passed_by_whom_steps_over_its_descriptor(event: int, wrap: bool, count: int) -> None:
    """Seven steps from the start; what the ring's second round passes has the other wrap counter."""
    queue = Queue(event_idx=True)
    for side, at in ((queue.device, queue.layout.device), (queue.driver, queue.layout.driver)):
        side.want_notification_at(event | wrap << 15)
        assert queue.memory.read(at, 4) == struct.pack("<HH", event | wrap << 15, 2)
    told: dict[str, list[bool]] = {"driver": [], "device": []}
    for _ in range(8 // count):
        for _ in range(count):
            assert queue.offer(False)
        told["driver"].append(queue.driver.should_notify())
        queue.echo(count)
        told["device"].append(queue.device.should_notify())
    number = event + (0 if wrap else NUM)  # of the descriptor, in two rounds
    assert told["driver"] == told["device"] == [step == number // count for step in range(8 // count)]


def test_a_side_is_told_unless_it_wants_not() -> None:
    queue = Queue()
    for wanted in (True, False, True):
        queue.device.want_notifications(wanted)
        queue.driver.want_notifications(wanted)
        queue.offer(False)
        assert [queue.driver.should_notify() for _ in range(2)] == [wanted, False]
        queue.echo()
        assert [queue.device.should_notify() for _ in range(2)] == [wanted, False]


def test_where_event_idx_was_not_negotiated_a_descriptor_cannot_be_asked_for_and_does_not_count() -> None:
    queue = Queue()
    with pytest.raises(UsageError, match="EVENT_IDX"):
        queue.device.want_notification_at(0)
    queue.memory.write(queue.layout.device, struct.pack("<HH", 3, 2))
    queue.offer(False)
    assert queue.driver.should_notify()


def test_what_is_given_back_without_a_length_was_not_written() -> None:
    queue = Queue()
    queue.offer(True)
    chain = queue.device.take()
    assert chain is not None
    queue.device.give_back(chain)
    assert queue.desc(0) == (0, 0, 0, AVAIL | USED)


def test_a_chain_is_given_back_once() -> None:
    queue = Queue()
    queue.offer(False)
    chain = queue.device.take()
    assert chain is not None
    queue.device.give_back(chain)
    with pytest.raises(UsageError, match="does not have"):
        queue.device.give_back(chain)


def indirect(*entries: tuple[int, int, int, int], length: int | None = None, flags: int = INDIRECT) -> Queue:
    """A device that meets a table of these descriptors."""
    queue = Queue(indirect=True)
    for i, each in enumerate(entries):
        queue.describe(BUFFERS + 16 * i, *each)
    queue.describe(queue.layout.desc_at(0), BUFFERS, 16 * len(entries) if length is None else length, 0, AVAIL | flags)
    return queue


def plain(*entries: tuple[int, int, int, int]) -> Queue:
    queue = Queue()
    for i, each in enumerate(entries):
        queue.describe(queue.layout.desc_at(i), *each)
    return queue


GOOD = (BUFFERS + 0x400, 16, 0, 0)


def table_elsewhere() -> Queue:
    queue = indirect(GOOD)
    queue.describe(queue.layout.desc_at(0), 0x2000_0000, 16, 0, AVAIL | INDIRECT)
    return queue


def not_negotiated() -> Queue:
    return plain((BUFFERS, 16, 0, AVAIL | INDIRECT))


BROKEN: dict[str, Callable[[], Queue]] = {
    "ring.indirect-not-negotiated": not_negotiated,
    "ring.indirect-length": lambda: indirect(GOOD, length=24),
    "ring.indirect-nested": lambda: indirect(GOOD, (BUFFERS, 16, 0, INDIRECT)),
    "ring.indirect-address": table_elsewhere,
    "ring.readable-after-writable": lambda: indirect((BUFFERS + 0x400, 16, 0, WRITE), GOOD),
    "buffer.unreachable-by-device": lambda: plain((0x2000_0000, 16, 0, AVAIL)),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_chain_that_breaks_a_rule_is_blamed_by_its_descriptor_and_goes_back_unwritten(rule: str) -> None:
    queue = BROKEN[rule]()
    fault = queue.fault()
    assert fault.rule == rule
    assert f"cpu_cm4 at {BASE:#010x} ({NAME}.desc[0])" in str(fault)
    assert queue.desc(0) == (0, 0, 0, AVAIL | USED)
    assert not queue.device.is_broken


def test_a_table_of_no_bytes_is_of_a_wrong_length() -> None:
    fault = indirect(length=0).fault()
    assert (fault.rule, fault.found) == ("ring.indirect-length", 0)


def test_a_table_goes_with_no_other_descriptor() -> None:
    queue = Queue(indirect=True)
    queue.describe(queue.layout.desc_at(0), BUFFERS, 16, 0, AVAIL | INDIRECT | NEXT)
    queue.describe(queue.layout.desc_at(1), BUFFERS, 16, 0, AVAIL)
    assert queue.fault().rule == "ring.indirect-next"


@pytest.mark.parametrize(("count", "rule"), [(NUM, None), (NUM + 1, "ring.chain-too-long")])
def test_a_table_has_as_many_buffers_as_the_queue_at_most(count: int, rule: str | None) -> None:
    queue = indirect(*[GOOD] * count)
    chain = queue.device.take()
    assert [each.rule for each in queue.device.faults] == ([] if rule is None else [rule])
    assert chain is None if rule else chain is not None and len(chain.segments) == count


def test_a_chain_without_end_stops_the_ring() -> None:
    """Of what the ring has: what the device holds already is not in it."""
    queue = Queue()
    queue.offer(False)
    held = queue.device.take()
    assert held is not None
    for i in range(1, NUM):
        queue.describe(queue.layout.desc_at(i), BUFFERS, 16, 1, AVAIL | NEXT)
    assert queue.device.take() is None
    (fault,) = queue.device.faults
    assert (fault.rule, fault.expected, fault.found) == ("ring.chain-too-long", "at most 3 descriptors", "4 or more")
    assert f"{NAME}.desc[1]" in str(fault)
    assert queue.device.is_broken
    assert queue.device.take() is None


def test_a_chain_may_take_all_of_the_ring() -> None:
    queue = Queue()
    assert queue.offer(*[False] * NUM)
    chain = queue.device.take()
    assert chain is not None
    assert (chain.slots, len(chain.segments), queue.device.faults) == (NUM, NUM, ())


def test_an_id_that_the_device_has_stops_the_ring() -> None:
    queue = Queue()
    queue.offer(False)
    assert queue.device.take() is not None
    queue.describe(queue.layout.desc_at(1), BUFFERS, 16, 0, AVAIL)
    assert queue.device.take() is None
    (fault,) = queue.device.faults
    assert (fault.rule, fault.found, queue.device.is_broken) == ("ring.head-in-use", 0, True)


def test_an_id_that_the_device_has_not_stops_the_driver() -> None:
    queue = Queue()
    queue.offer(True)
    queue.describe(queue.layout.desc_at(0), 0, 16, 3, AVAIL | USED)
    assert queue.driver.pop() is None
    (fault,) = queue.driver.faults
    assert (fault.rule, fault.expected, fault.found) == ("ring.used-not-a-head", "one of 0", 3)
    assert f"{NAME}.desc[0].id" in str(fault)
    assert queue.driver.is_broken
    assert not queue.offer(True)


def test_a_driver_that_has_stopped_takes_nothing_back_before_it_is_reset() -> None:
    queue = Queue()
    queue.offer(True)
    queue.describe(queue.layout.desc_at(0), 0, 16, 3, AVAIL | USED)
    assert queue.driver.pop() is None
    queue.describe(queue.layout.desc_at(0), 0, 16, 0, AVAIL | USED)
    assert queue.driver.pop() is None
    queue.driver.reset()
    queue.device.reset()
    assert queue.offer(True, token="again")
    assert queue.echo() == ["again"]


def test_a_driver_looks_for_nothing_while_the_device_has_nothing() -> None:
    """Of a ring in its second round every word of zeros reads as used."""
    queue = Queue()
    for _ in range(NUM):
        queue.offer(False)
        queue.echo()
    queue.memory.write(BASE, bytes(16 * NUM))
    assert queue.driver.pop() is None
    assert queue.driver.faults == ()


def test_of_the_ids_that_were_expected_eight_are_listed() -> None:
    memory = BytesMemory("cpu_cm4", BASE, bytearray(0x4000))
    driver = PackedDriver(memory, layout := PackedLayout.contiguous(BASE, 16))
    assert all(driver.offer([Segment(BUFFERS, 4)]) for _ in range(9))
    memory.write(layout.desc_at(0), struct.pack("<QIHH", 0, 0, 12, AVAIL | USED))
    assert driver.pop() is None
    (fault,) = driver.faults
    assert fault.expected == "one of 0, 1, 2, 3, 4, 5, 6, 7"


@pytest.mark.parametrize("done", range(2 * NUM))
def test_a_device_goes_on_in_a_ring_that_is_under_way(done: int) -> None:
    """As a back-end that is told where the one before it stopped (vhost-user: SET_VRING_BASE)."""
    queue = Queue()
    for _ in range(done):
        queue.offer(False)
        queue.echo()
    word = done % NUM | (0x8000 if done < NUM else 0)
    assert queue.device.base == word | word << 16
    assert queue.offer(False, token="next")
    assert queue.device.take() is not None
    queue.device.resume(word)
    assert (queue.device.base, queue.device.taken_count) == (word | word << 16, 0)
    assert queue.device.take() is not None
    taken = (done + 1) % (2 * NUM)
    assert queue.device.base == taken % NUM | (0x8000 if taken < NUM else 0) | word << 16
    assert queue.device.faults == ()


@pytest.mark.parametrize("word", [NUM, 0x8000 | NUM, 0x7FFF])
def test_a_position_past_the_ring_is_refused(word: int) -> None:
    with pytest.raises(RingError) as caught:
        Queue().device.resume(word)
    assert caught.value.rule == "ring.index-out-of-range"
    assert str(caught.value) == f"{NAME}: no position of the ring: expected 0..3, found {word & 0x7FFF}"


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
    assert (back.length, [each.rule for each in queue.driver.faults]) == (kept, rules)
