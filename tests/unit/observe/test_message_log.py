"""RPMsg messages as they are counted: who says what to whom, who answers, and who has left."""

from __future__ import annotations

import struct

import pytest

from orchestrator.base.roles import Side, Sides
from orchestrator.formats.rpmsg import ADDRESS_NAME_SERVICE, EndpointChange, decode_message
from orchestrator.observe.messages import HISTORY, MessageLog, MessageRecord

DRIVER, DEVICE = Side.DRIVER, Side.DEVICE


def record(side: Side, src: int, dst: int, length: int = 4, time_ns: int = 0, text: str = "") -> MessageRecord:
    ring = "vdev[0].vring[1]" if side is DRIVER else "vdev[0].vring[0]"
    return MessageRecord(time_ns, ring, side, Sides().role_of(side), src, dst, length, text)


def say(log: MessageLog, *messages: MessageRecord) -> None:
    for each in messages:
        log.add(each)
        log.note_addresses(each)
        log.note_use(each)


def name(
    log: MessageLog,
    side: Side,
    text: str,
    address: int,
    *,
    destroy: bool = False,
    time_ns: int = 0,
    waiting: tuple[MessageRecord, ...] = (),
) -> EndpointChange:
    """A side announces a name, or takes it back."""
    payload = text.encode().ljust(32, b"\0") + struct.pack("<II", address, destroy)
    data = struct.pack("<IIIHH", address, ADDRESS_NAME_SERVICE, 0, len(payload), 0) + payload
    change = log.endpoints.observe(side, decode_message(data))
    assert change is not None
    log.note_endpoints(time_ns, side, change, text)
    announcement = record(side, address, ADDRESS_NAME_SERVICE, 40, time_ns, f"{text} at {address}")
    log.add(announcement)
    log.note_announcement(announcement, change, waiting)
    return change


def test_messages_are_counted_by_side_and_role() -> None:
    log = MessageLog(Sides("remote"))
    say(log, record(DRIVER, 1, 2, 10), record(DRIVER, 1, 2, 5), record(DEVICE, 2, 1, 7))
    assert (log.sent, log.payload) == ({DRIVER: 2, DEVICE: 1}, {DRIVER: 15, DEVICE: 7})
    assert [log.sent_by(role) for role in ("main", "remote")] == [1, 2]
    assert [log.payload_of(role) for role in ("main", "remote")] == [7, 15]


def test_the_first_and_the_last_are_kept() -> None:
    log = MessageLog()
    for time in range(HISTORY + 3):
        log.add(record(DRIVER, 1, 2, time_ns=time, text="name"))
    assert [each.time_ns for each in log.first] == list(range(HISTORY))
    assert [each.time_ns for each in log.last] == list(range(3, HISTORY + 3))
    assert len(log.announced) == HISTORY
    log = MessageLog()
    log.add(record(DRIVER, 1, 2))
    assert log.announced == []


@pytest.mark.parametrize("something", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_2000_messages_in_a_row_with_nothing_in_them_are_for_ever(something: tuple[int, int, int]) -> None:
    log, blank = MessageLog(), record(DRIVER, 0, 0, 0)
    assert blank.is_blank
    assert not record(DRIVER, *something).is_blank
    for _ in range(1_999):
        log.add(blank)
    assert not log.is_blank_for_ever
    log.add(record(DRIVER, *something))
    for _ in range(1_999):
        log.add(blank)
    assert not log.is_blank_for_ever
    log.add(blank)
    assert log.is_blank_for_ever


def test_an_address_answers_when_it_sends_after_it_received() -> None:
    log = MessageLog()
    say(log, record(DRIVER, 9, 1024, 4, 100), record(DRIVER, 9, 1024, 5, 110), record(DEVICE, 1024, 9, 6, 150))
    use = log.use(DEVICE, 1024)
    assert (use.received, use.sent, use.unanswered, use.most_unanswered) == (2, 1, 0, 2)
    assert (use.longest_answer_ns, use.answered, use.last_sent_ns) == (40, {5}, 150)
    say(log, record(DRIVER, 9, 1024, 5, 200), record(DRIVER, 9, 1024, 7, 240))
    assert (use.unanswered, use.unanswered_alike, use.is_awaited) == (2, 1, False)
    say(log, record(DEVICE, 1024, 9, 6, 241))
    assert (use.unanswered_alike, use.longest_answer_ns, use.most_unanswered) == (0, 40, 2)
    say(log, record(DRIVER, 9, 1024, 5, 300), record(DRIVER, 9, 1024, 5, 341))
    assert use.is_awaited
    say(log, record(DRIVER, 9, 1024, 5, 381))
    assert not use.is_awaited


def test_an_announcement_is_no_use_of_an_address() -> None:
    log = MessageLog()
    log.note_use(record(DEVICE, 1024, 53, 40, text="create echo at 1024"))
    assert log.uses == {}


def test_of_lengths_that_were_answered_the_first_32_are_kept() -> None:
    log = MessageLog()
    for length in range(40):
        say(log, record(DRIVER, 9, 1024, length), record(DEVICE, 1024, 9, 0))
    assert log.use(DEVICE, 1024).answered == set(range(HISTORY))


def test_of_many_addresses_4096_are_kept() -> None:
    log = MessageLog()
    for address in range(5_000):
        log.use(DEVICE, address).received += 1
    assert len(log.uses) == 4096
    log.use(DEVICE, 4_095).received += 1
    log.use(DEVICE, 4_096).received += 1
    assert log.uses[DEVICE, 4_095].received == 2
    assert (DEVICE, 4_096) not in log.uses


@pytest.mark.parametrize(("address", "is_unknown"), [(53, False), (1023, False), (1024, True)])
def test_a_dynamic_address_that_nobody_announced_or_sends_from_is_unknown(address: int, is_unknown: bool) -> None:
    log = MessageLog()
    first, second = record(DRIVER, 2000, address, time_ns=1), record(DRIVER, 2000, address, time_ns=2)
    say(log, first, second)
    assert log.unknown == ({(DEVICE, address): first} if is_unknown else {})
    say(log, record(DEVICE, address, 2000))
    assert log.unknown == {}
    say(log, record(DRIVER, 2000, address))
    assert log.unknown == {}


def test_of_unknown_addresses_the_first_32_are_kept() -> None:
    log = MessageLog()
    for address in range(2_000, 2_040):
        say(log, record(DRIVER, 1, address))
    assert [address for _, address in log.unknown] == list(range(2_000, 2_000 + HISTORY))


def test_of_addresses_that_are_sent_from_the_first_4096_are_known() -> None:
    log = MessageLog()
    for address in range(2_000, 2_000 + 4_100):
        say(log, record(DEVICE, address, 1))
    for address in (2_000, 6_095, 6_096):
        say(log, record(DRIVER, 1, address))
    assert list(log.unknown) == [(DEVICE, 6_096)]


def test_an_announced_address_is_known() -> None:
    log = MessageLog()
    name(log, DEVICE, "echo", 1024)
    say(log, record(DRIVER, 2000, 1024), record(DRIVER, 2000, 1025))
    assert list(log.unknown) == [(DEVICE, 1025)]


def test_a_side_has_left_when_its_last_name_is_gone_until_it_announces_another() -> None:
    log = MessageLog()
    name(log, DEVICE, "echo", 1024)
    name(log, DEVICE, "sink", 1025)
    name(log, DEVICE, "echo", 1024, destroy=True, time_ns=5)
    assert log.left_ns == {}
    name(log, DEVICE, "sink", 1025, destroy=True, time_ns=6)
    assert log.left_ns == {DEVICE: 6}
    name(log, DEVICE, "echo", 1024, time_ns=7)
    assert log.left_ns == {}


@pytest.mark.parametrize(("other", "has_left"), [(None, True), ("echo", True), ("sink", False)])
def test_a_side_that_takes_back_a_name_of_the_other_has_left_where_no_other_is_alive(
    other: str | None, has_left: bool
) -> None:
    log = MessageLog()
    if other is not None:
        name(log, DEVICE, other, 1024)
    name(log, DRIVER, "echo", 1030, destroy=True, time_ns=5)
    assert log.left_ns == ({DRIVER: 5} if has_left else {})


def test_two_names_at_one_address_are_kept_with_the_first_two() -> None:
    log = MessageLog()
    for text in ("one", "two", "three"):
        name(log, DEVICE, text, 1024)
    name(log, DRIVER, "four", 1024)
    name(log, DEVICE, "five", 1025)
    assert log.shared_names == {(DEVICE, 1024): ("one", "two")}


@pytest.mark.parametrize(
    ("answered", "late", "waiting"),
    [(0, 1, [1]), (0, 0, []), (1, 0, [1]), (2, 0, [])],
    ids=["a message is in the ring", "nothing waits", "one of two was not answered", "both were answered"],
)
def test_an_address_that_is_announced_again_while_messages_wait_for_it_is_noted(
    answered: int, late: int, waiting: list[int]
) -> None:
    log = MessageLog()
    name(log, DEVICE, "echo", 1024)
    if answered:
        messages = [record(DRIVER, 9, 1024, time_ns=10 + i) for i in range(2)]
        say(log, *messages, *(record(DEVICE, 1024, 9, time_ns=20) for _ in range(answered)))
        left = tuple(messages[answered:])
    else:
        left = ()
    name(log, DEVICE, "echo", 1024, destroy=True, time_ns=30, waiting=left)
    assert not log.has_claims
    name(log, DEVICE, "other", 1024, time_ns=40)
    assert log.has_claims
    in_ring = [record(DRIVER, 9, 1024, time_ns=30 + i) for i in range(2)][: 2 if late else 0]
    log.settle([*in_ring, record(DRIVER, 9, 1025, time_ns=1)])  # what comes after the destruction is for the new one
    assert [(each.address, each.destroyed_ns, each.waiting) for each in log.reused] == [
        (1024, 30, count) for count in waiting
    ]
    assert not log.has_claims


def test_of_an_endpoint_that_was_told_everything_and_returned_nothing_nobody_can_tell_what_it_left() -> None:
    """It may have taken what it had not returned yet: it had, if nothing is in the ring at the end of the turn."""
    log = MessageLog()
    name(log, DEVICE, "echo", 1024)
    messages = tuple(record(DRIVER, 9, 1024, time_ns=10 + i) for i in range(2))
    say(log, *messages)
    name(log, DEVICE, "echo", 1024, destroy=True, time_ns=30, waiting=messages)
    name(log, DEVICE, "other", 1024, time_ns=40)
    log.settle([])
    assert log.reused == []


def test_a_restart_forgets_what_was_announced_and_what_waits() -> None:
    log = MessageLog()
    name(log, DEVICE, "echo", 1024)
    say(log, record(DRIVER, 9, 1024))
    name(log, DEVICE, "echo", 1024, destroy=True)
    assert log.left_ns
    log.restart()
    assert (log.endpoints.endpoints, log.uses, log.left_ns, dict(log.sent_since)) == ((), {}, {}, {})
    assert log.sent == {DEVICE: 2, DRIVER: 1}
    name(log, DEVICE, "echo", 1024)
    assert not log.has_claims


@pytest.mark.parametrize(("address", "is_unknown"), [(53, False), (1023, False), (1024, True), (1025, True)])
def test_a_message_to_a_dynamic_address_that_nobody_has_is_noted_and_one_to_a_fixed_address_is_not(
    address: int, is_unknown: bool
) -> None:
    """RPMSG_RESERVED_ADDRESSES of Linux's virtio_rpmsg_bus.c: those below are given by hand, and never announced."""
    log = MessageLog()
    say(log, record(DRIVER, 1030, address))
    assert list(log.unknown) == ([(DEVICE, address)] if is_unknown else [])
    say(log, record(DEVICE, address, 1030))
    assert log.unknown == {}
