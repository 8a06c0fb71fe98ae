"""What is seen of a ring, look by look: chains that go out and come back, who asked not to be told, and faults."""

from __future__ import annotations

import struct

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.base.roles import Side, Sides
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.translation import AddressEnvironment, AddressRange
from orchestrator.formats.virtqueue import RingLayout, SplitRing
from orchestrator.observe.ring_traffic import Suppression
from orchestrator.observe.traffic import Actor, Traffic
from orchestrator.observe.views import Views

BASE, NUM = 0x3004_0000, 4
BUFFERS = BASE + 0x1000
NEXT, WRITE = 1, 2
PATH = "vdev[0].vring[1]"
DRIVER, DEVICE = "main", "remote"


class Queue:
    """A ring that the test writes, and what was seen of it."""

    def __init__(self, path: str = PATH) -> None:
        self.memory = BytesMemory("cpu_main", BASE, bytearray(0x4000))
        self.ring = SplitRing(self.memory, RingLayout.legacy(BASE, NUM, 16), name=path)
        self.layout = self.ring.layout
        self.views = Views(
            {"main": self.memory, "remote": self.memory},
            AddressEnvironment.given([AddressRange(BASE, BASE, 0x4000)]),
        )
        self.traffic = Traffic()
        self.time_ns = 0
        self.avail = self.used = 0

    @property
    def seen(self):  # type: ignore[no-untyped-def]  # what the test looks at
        return self.traffic.ring(self.ring.name)

    def poke16(self, address: int, value: int) -> None:
        self.memory.write(address, struct.pack("<H", value & 0xFFFF))

    def start_at(self, index: int) -> None:
        """As after so many chains."""
        self.avail = self.used = index
        for at in (self.layout.avail_idx_at, self.layout.used_idx_at):
            self.poke16(at, index)
        self.traffic.follow_from(self.ring.name, index)

    def describe(self, index: int, *, flags: int = 0, length: int = 64, following: int = 0) -> None:
        data = struct.pack("<QIHH", BUFFERS + 64 * index, length, flags, following)
        self.memory.write(self.layout.desc_at(index), data)

    def offer(self, *heads: int) -> None:
        for head in heads:
            self.poke16(self.layout.avail_ring_at(self.avail), head)
            self.avail += 1
        self.poke16(self.layout.avail_idx_at, self.avail)

    def give_back(self, *elements: tuple[int, int]) -> None:
        for each in elements:
            self.memory.write(self.layout.used_ring_at(self.used), struct.pack("<II", *each))
            self.used += 1
        self.poke16(self.layout.used_idx_at, self.used)

    def look(self, role: str, *, event_idx: bool = False, used_by: str | None = None) -> tuple[int, int]:
        self.time_ns += 1_000
        by = Actor(self.time_ns, role)
        user = None if used_by is None else Actor(self.time_ns, used_by)
        features = Feature.EVENT_IDX if event_idx else Feature(0)
        return self.traffic.sync(self.ring, self.views, by, Sides(), features=features, used_by=user)

    def rules(self) -> list[str]:
        return sorted(self.seen.faults)


@pytest.fixture
def queue() -> Queue:
    found = Queue()
    for index in range(NUM):
        found.describe(index)
    return found


@pytest.mark.parametrize("start", [0, 2, 0xFFFE])
def test_chains_are_conserved_from_offer_to_return(queue: Queue, start: int) -> None:
    queue.start_at(start)
    queue.offer(0, 1, 2)
    assert queue.look(DRIVER) == (3, 0)
    assert (queue.seen.posted, queue.seen.used, list(queue.seen.outstanding)) == (3, 0, [0, 1, 2])
    queue.give_back((1, 0), (0, 64))
    assert queue.look(DEVICE) == (0, 2)
    assert (queue.seen.used, queue.seen.used_unseen, list(queue.seen.outstanding)) == (2, 2, [2])
    assert queue.seen.oldest_unseen_ns == 2_000
    assert queue.seen.ran_dry_ns is None
    queue.give_back((2, 0))
    assert queue.look(DEVICE) == (0, 1)
    assert (queue.seen.ran_dry_ns, queue.seen.oldest_unseen_ns) == (3_000, 2_000)
    queue.offer(0)
    assert queue.look(DRIVER) == (1, 0)
    assert (queue.seen.ran_dry_ns, queue.seen.refilled_ns) == (None, 4_000)
    assert (queue.seen.oldest_unseen_ns, queue.seen.used_unseen) == (None, 0)
    assert (queue.seen.most_outstanding, queue.seen.full_ns) == (3, 1_000)
    assert queue.look(DEVICE) == (0, 0)
    assert queue.rules() == []


@pytest.mark.parametrize("start", [0, 0xFFFC, 0xFFFE])
def test_a_device_that_acts_at_any_time_uses_what_is_offered_again_in_the_same_turn(queue: Queue, start: int) -> None:
    queue.start_at(start)
    queue.offer(0, 1)
    assert queue.look(DRIVER, used_by=DEVICE) == (2, 0)
    queue.give_back((0, 0), (1, 0))
    queue.offer(0, 2)
    assert queue.look(DRIVER, used_by=DEVICE) == (2, 2)
    assert list(queue.seen.outstanding) == [0, 2]
    queue.give_back((0, 0), (2, 0))
    queue.offer(0, 1)
    queue.give_back((0, 0))  # it was offered in this turn too
    assert queue.look(DRIVER, used_by=DEVICE) == (2, 3)
    assert (queue.seen.posted, queue.seen.used, list(queue.seen.outstanding)) == (6, 5, [1])
    queue.give_back((1, 0))
    assert queue.look(DRIVER, used_by=DEVICE) == (0, 1)
    seen = queue.seen
    assert (seen.last_posted, seen.last_used) == (Actor(3_000, DRIVER), Actor(4_000, DEVICE))
    assert queue.rules() == []


def test_the_first_and_the_last_who_offered_and_returned_are_known(queue: Queue) -> None:
    for _ in range(2):
        queue.offer(0)
        queue.look(DRIVER)
        queue.give_back((0, 1))
        queue.look(DEVICE)
    seen = queue.seen
    assert (seen.first_posted, seen.last_posted) == (Actor(1_000, DRIVER), Actor(3_000, DRIVER))
    assert (seen.first_used, seen.last_used) == (Actor(2_000, DEVICE), Actor(4_000, DEVICE))
    buffer = queue.traffic.buffers[BUFFERS]
    assert (buffer.posted, buffer.used, buffer.owner, seen.reclaimed) == (2, 2, Side.DRIVER, 1)
    assert [(each.time_ns, each.owner, each.length) for each in buffer.history] == [
        (1_000, Side.DEVICE, 64),
        (2_000, Side.DRIVER, 1),
        (3_000, Side.DEVICE, 64),
        (4_000, Side.DRIVER, 1),
    ]


@pytest.mark.parametrize(("count", "rules"), [(4, []), (5, ["ring.avail-overrun"])])
def test_a_queue_of_four_holds_four(queue: Queue, count: int, rules: list[str]) -> None:
    queue.offer(*(i % NUM for i in range(count)))
    assert queue.look(DRIVER) == (0 if rules else count, 0)
    assert queue.rules() == rules
    assert len(queue.seen.outstanding) == (0 if rules else 4)
    for fault in queue.seen.faults.values():
        assert (fault.expected, fault.found) == ("at most 4 ahead of used.idx 0", "5")
        assert str(fault.at) == f"cpu_main at {queue.layout.avail_idx_at:#010x} ({PATH}.avail.idx)"


def test_with_two_outstanding_two_more_are_room(queue: Queue) -> None:
    queue.offer(0, 1)
    queue.look(DRIVER)
    queue.offer(2, 3)
    queue.look(DRIVER)
    assert queue.rules() == []
    queue.give_back((0, 0))
    queue.look(DEVICE)
    queue.offer(0, 0)
    queue.look(DRIVER)
    assert queue.rules() == ["ring.avail-overrun"]


@pytest.mark.parametrize(("count", "rules"), [(2, []), (3, ["ring.used-ahead"])])
def test_two_that_are_out_come_back_and_no_more(queue: Queue, count: int, rules: list[str]) -> None:
    queue.offer(1, 2)
    queue.look(DRIVER)
    queue.give_back((1, 0), (2, 0))
    queue.poke16(queue.layout.used_idx_at, count)
    assert queue.look(DEVICE) == (0, 0 if rules else count)
    assert queue.rules() == rules
    assert queue.seen.outstanding == {}  # all returned, or nobody knows any more
    for fault in queue.seen.faults.values():
        assert (fault.expected, fault.found) == ("at most 2 after 0", "3")


def test_a_head_that_comes_back_twice_is_said_so_at_once_and_later(queue: Queue) -> None:
    queue.offer(0, 1)
    queue.look(DRIVER)
    queue.give_back((0, 5), (0, 5), (1, 0))
    queue.look(DEVICE)
    assert queue.rules() == ["ring.used-twice"]
    assert "head 0 was returned twice, the first time after 0.002 ms" in queue.seen.faults["ring.used-twice"].what


def test_what_comes_back_three_times_is_an_index_too_far_ahead(queue: Queue) -> None:
    queue.offer(0, 1)
    queue.look(DRIVER)
    queue.give_back((0, 0), (0, 0), (0, 0))
    queue.look(DEVICE)
    assert queue.rules() == ["ring.used-ahead"]


def test_an_id_that_was_never_out_is_no_head(queue: Queue) -> None:
    queue.offer(0, 1)
    queue.look(DRIVER)
    queue.give_back((3, 0))
    queue.look(DEVICE)
    assert queue.rules() == ["ring.used-not-a-head"]
    fault = queue.seen.faults["ring.used-not-a-head"]
    assert (fault.expected, fault.found, fault.by.role) == ("one of 0, 1", "3", DEVICE)
    assert list(queue.seen.outstanding) == [0, 1]


def test_a_head_that_is_out_is_not_offered_again(queue: Queue) -> None:
    queue.offer(0)
    queue.look(DRIVER)
    queue.offer(0, 1)
    queue.look(DRIVER)
    assert queue.rules() == ["ring.head-in-use"]
    assert list(queue.seen.outstanding) == [0, 1]
    assert f"({PATH}.avail.ring[1])" in str(queue.seen.faults["ring.head-in-use"].at)


def test_a_slot_that_says_what_it_said_a_round_ago_was_not_written(queue: Queue) -> None:
    for _ in range(NUM):
        queue.offer(0)
        queue.look(DRIVER)
        queue.give_back((0, 0))
        queue.look(DEVICE)
    queue.offer(1)
    queue.look(DRIVER)
    queue.poke16(queue.layout.used_idx_at, queue.used + 1)
    queue.look(DEVICE)
    assert queue.rules() == ["ring.used-ahead"]
    assert "used.ring[0], which says what it said a round ago" in queue.seen.faults["ring.used-ahead"].what


@pytest.mark.parametrize(
    ("flags", "length", "rules"),
    [(WRITE, 64, []), (WRITE, 65, ["ring.used-length"]), (0, 128, []), (0, 129, ["ring.used-length"])],
    ids=["fills the room", "one byte more", "what was read", "more than there was to read"],
)
def test_a_length_is_of_the_room_or_of_what_was_read(queue: Queue, flags: int, length: int, rules: list[str]) -> None:
    queue.describe(0, flags=NEXT, following=1)
    queue.describe(1, flags=flags)
    queue.offer(0)
    queue.look(DRIVER)
    queue.give_back((0, length))
    queue.look(DEVICE)
    assert queue.rules() == rules
    for fault in queue.seen.faults.values():
        assert fault.at.address == queue.layout.used_ring_at(0) + 4
        assert fault.expected == f"at most {64 if flags else 128}"


@pytest.mark.parametrize(
    ("role", "index", "rules"),
    [
        (DRIVER, "avail", []),
        (DEVICE, "avail", ["ring.wrong-writer"]),
        ("", "avail", []),
        ("third", "avail", ["ring.wrong-writer"]),
        (DEVICE, "used", []),
        (DRIVER, "used", ["ring.wrong-writer"]),
    ],
)
def test_each_index_is_moved_by_its_side_or_by_nobody_knows_whom(
    queue: Queue, role: str, index: str, rules: list[str]
) -> None:
    queue.offer(0)
    queue.look(role if index == "avail" else DRIVER)
    if index == "used":
        queue.give_back((0, 0))
        queue.look(role)
    assert queue.rules() == rules
    for fault in queue.seen.faults.values():
        owner = DRIVER if index == "avail" else DEVICE
        assert (fault.expected, fault.found) == (f"written by {owner} only", f"written by {role}")
        assert fault.at.path == f"{PATH}.{index}.idx"


def test_the_direction_of_each_chain_is_counted_and_the_first_odd_one_kept() -> None:
    queue = Queue("vdev[0].vring[0]")
    queue.describe(0, flags=WRITE)
    queue.describe(1)
    queue.describe(2, flags=NEXT, following=3)
    queue.describe(3, flags=WRITE)
    queue.offer(0, 1, 2)
    queue.look(DRIVER)
    seen = queue.seen
    assert (seen.directed, seen.posted_empty, seen.is_pool) == ({True: 2, False: 1}, 2, True)
    # Nothing says that this is RPMsg: a chain is for what its descriptors say, and the third has both directions.
    assert seen.unexpected is not None
    assert (seen.unexpected.is_empty, seen.unexpected.element.descriptor.flags) == (True, NEXT)


@pytest.mark.parametrize(
    ("flags", "rules"),
    [
        ((0, 0), []),
        ((0, WRITE), []),
        ((WRITE, WRITE), []),
        ((WRITE, 0), ["ring.readable-after-writable"]),
        ((0, WRITE, 0), ["ring.readable-after-writable"]),
    ],
    ids=str,
)
def test_what_the_device_reads_stands_before_what_it_writes(
    queue: Queue, flags: tuple[int, ...], rules: list[str]
) -> None:
    last = len(flags) - 1
    for i, each in enumerate(flags):
        queue.describe(i, flags=each | (NEXT if i < last else 0), following=i + 1 if i < last else 0)
    queue.offer(0)
    queue.look(DRIVER)
    assert queue.rules() == rules
    for fault in queue.seen.faults.values():
        assert str(fault.at) == f"cpu_main at {queue.layout.desc_at(last) + 12:#010x} ({PATH}.desc[{last}].flags)"
        assert fault.found == f"0x0, behind {PATH}.desc[{last - 1}] with WRITE"


@pytest.mark.parametrize(
    ("features", "rules"),
    [(Feature(0), ["ring.indirect-not-negotiated"]), (Feature.INDIRECT_DESC, []), (None, [])],
    ids=["not accepted", "accepted", "nobody knows"],
)
def test_a_table_of_descriptors_is_to_be_negotiated(queue: Queue, features: Feature | None, rules: list[str]) -> None:
    queue.memory.write(BUFFERS, struct.pack("<QIHH", BUFFERS + 64, 16, 0, 0))
    queue.describe(0, flags=4, length=16)
    queue.offer(0)
    queue.traffic.sync(queue.ring, queue.views, Actor(1, DRIVER), Sides(), features=features)
    assert queue.rules() == rules
    for fault in queue.seen.faults.values():
        assert str(fault.at) == f"cpu_main at {queue.layout.desc_at(0) + 12:#010x} ({PATH}.desc[0].flags)"


def test_rings_that_are_emptied_begin_anew(queue: Queue) -> None:
    queue.offer(0, 1)
    queue.look(DRIVER)
    queue.give_back((0, 0))
    queue.look(DEVICE)
    queue.avail = queue.used = 0
    queue.offer()
    queue.give_back()
    assert queue.look(DRIVER) == (0, 0)
    seen = queue.seen
    assert (seen.restarts, seen.used_before, seen.posted, seen.outstanding) == (1, 1, 0, {})
    assert all(each.owner is Side.DRIVER for each in queue.traffic.buffers.values())
    queue.offer(0)
    assert queue.look(DRIVER) == (1, 0)
    queue.traffic.restart(PATH, counting=False)
    assert (queue.seen.restarts, queue.seen.used_before) == (1, 1)


@pytest.mark.parametrize(("start", "restarts"), [(0xFFFC, 0), (0xFFFB, 1), (4, 1)])
def test_indices_that_come_to_0_within_one_round_have_gone_round(queue: Queue, start: int, restarts: int) -> None:
    queue.start_at(start)
    queue.offer(0)
    queue.look(DRIVER)
    queue.give_back((0, 0))
    queue.look(DEVICE)
    queue.start_at(start)
    for at in (queue.layout.avail_idx_at, queue.layout.used_idx_at):
        queue.poke16(at, 0)
    queue.look(DRIVER)
    assert queue.seen.restarts == restarts


def test_indices_of_which_one_alone_was_near_the_end_of_its_round_begin_anew(queue: Queue) -> None:
    queue.start_at(0xFFFB)
    queue.offer(0, 1, 2, 3)
    queue.look(DRIVER)
    queue.avail = queue.used = 0
    queue.offer()
    queue.give_back()
    assert queue.look(DRIVER) == (0, 0)
    assert (queue.seen.restarts, queue.seen.faults) == (1, {})


def test_a_ring_whose_past_nobody_saw_starts_from_its_used_index(queue: Queue) -> None:
    queue.avail = queue.used = 7
    queue.offer(0, 1)
    queue.give_back()
    queue.traffic.adopt(queue.ring)
    assert (queue.seen.posted, queue.seen.used) == (7, 7)
    assert queue.look(DRIVER) == (2, 0)
    assert (queue.seen.posted, list(queue.seen.outstanding)) == (9, [0, 1])


@pytest.mark.parametrize("flags", range(4))
def test_a_flag_suppresses_by_its_lowest_bit(queue: Queue, flags: int) -> None:
    queue.poke16(queue.layout.used_flags_at, flags)
    queue.poke16(queue.layout.avail_flags_at, flags)
    queue.offer(0)
    queue.look(DRIVER)
    by_device, by_driver = queue.seen.suppress_available, queue.seen.suppress_used
    assert (by_device is not None) is (by_driver is not None) is bool(flags & 1)
    if flags & 1:
        assert by_device == Suppression("used.flags", queue.layout.used_flags_at, None, 0, 0)
        assert by_driver == Suppression("avail.flags", queue.layout.avail_flags_at, None, 0, 0)


@pytest.mark.parametrize("start", [0, 0xFFFE])
@pytest.mark.parametrize("event", range(-1, 4))
def test_an_event_index_suppresses_unless_it_is_among_what_was_published(queue: Queue, start: int, event: int) -> None:
    queue.start_at(start)
    queue.poke16(queue.layout.avail_event_at, start + event)
    queue.poke16(queue.layout.used_event_at, start + event)
    assert Suppression.by_device(queue.ring) is None, "nothing is published"
    queue.offer(0, 1, 2)
    queue.look(DRIVER, event_idx=True)
    found = queue.seen.suppress_available
    assert (found is None) is (event in (0, 1, 2))
    if found is not None:
        wrapped = (start + 3) & 0xFFFF
        assert found == Suppression(
            "avail_event", queue.layout.avail_event_at, (start + event) & 0xFFFF, start, wrapped
        )
    queue.give_back((0, 0), (1, 0))
    queue.look(DEVICE, event_idx=True)
    found = queue.seen.suppress_used
    assert (found is None) is (event in (0, 1))
    if found is not None:
        asked, now = (start + event) & 0xFFFF, (start + 2) & 0xFFFF
        assert found == Suppression("used_event", queue.layout.used_event_at, asked, start, now)


def test_buffers_that_overlap_while_the_device_has_both_are_kept_once(queue: Queue) -> None:
    queue.describe(0, length=65)
    queue.offer(0, 1)
    queue.look(DRIVER)
    assert [(a.address, b.address) for a, b in queue.traffic.overlaps] == [(BUFFERS, BUFFERS + 64)]
    queue.give_back((0, 0), (1, 0))
    queue.look(DEVICE)
    queue.offer(1)
    queue.look(DRIVER)
    queue.give_back((1, 0))
    queue.look(DEVICE)
    queue.offer(1, 0)
    queue.look(DRIVER)
    assert len(queue.traffic.overlaps) == 1


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_buffers_overlap_whichever_of_them_was_named_first(queue: Queue, first: int, second: int) -> None:
    """The first one comes back in between, and is the last to be offered."""
    queue.describe(0, length=65)
    for index in (first, second):
        queue.offer(index)
        queue.look(DRIVER)
        if index == first:
            queue.give_back((index, 0))
            queue.look(DEVICE)
    assert queue.traffic.overlaps == []
    queue.offer(first)
    queue.look(DRIVER)
    places = [BUFFERS, BUFFERS + 64]
    assert [(a.address, b.address) for a, b in queue.traffic.overlaps] == [(places[second], places[first])]


def test_the_largest_size_that_a_buffer_was_given_with_counts(queue: Queue) -> None:
    for length in (64, 32, 128):
        queue.describe(0, length=length)
        queue.offer(0)
        queue.look(DRIVER)
        queue.give_back((0, 0))
        queue.look(DEVICE)
    assert queue.traffic.buffers[BUFFERS].span.size == 128
