import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import RpmsgError
from orchestrator.formats import rpmsg
from orchestrator.formats.rpmsg import (
    ADDRESS_FIRST_DYNAMIC,
    ADDRESS_NAME_SERVICE,
    EndpointTracker,
    Message,
    NameServiceFlag,
    NameServiceMessage,
    RpmsgHeader,
    decode_message,
)

CREATE, DESTROY, ACK = NameServiceFlag


def notice(name, address, flags, source=None):
    payload = NameServiceMessage(name, address, flags).pack()
    head = RpmsgHeader(address if source is None else source, ADDRESS_NAME_SERVICE, 0, len(payload), 0)
    return decode_message(head.pack() + payload)


@pytest.fixture
def tracker():
    return EndpointTracker(("main", "remote"))


def test_the_fixed_addresses_are_those_of_linux():
    """RPMSG_NS_ADDR of rpmsg/ns.h, RPMSG_RESERVED_ADDRESSES of virtio_rpmsg_bus.c."""
    assert (ADDRESS_NAME_SERVICE, ADDRESS_FIRST_DYNAMIC) == (0x35, 1024)


def test_the_length_is_the_headers_and_not_that_of_the_buffer():
    message = decode_message(RpmsgHeader(1024, 1025, 0, 4, 0).pack() + b"ping" + bytes(492))
    assert message.payload == b"ping"
    assert (message.header.src, message.header.dst) == (1024, 1025)


@pytest.mark.parametrize(
    ("data", "rule", "text"),
    [
        (bytes(15), "rpmsg.truncated", "too short for an RPMsg header: expected at least 16 bytes, found 15 bytes"),
        (
            RpmsgHeader(1, 2, 0, 5, 0).pack() + b"1234",
            "rpmsg.length",
            "message is longer than its buffer: expected len <= 4, found 5",
        ),
    ],
)
def test_a_message_that_does_not_fit_its_buffer_is_refused(data, rule, text):
    with pytest.raises(RpmsgError) as caught:
        decode_message(data, where="vring0 buffer 3")
    assert (caught.value.rule, str(caught.value)) == (rule, f"vring0 buffer 3: {text}")


@given(st.binary(max_size=80))
def test_any_bytes_are_a_message_or_an_rpmsg_error(data):
    tracker = EndpointTracker(("main", "remote"))
    try:
        message = decode_message(data)
        assert data.startswith(message.header.pack() + message.payload)
        tracker.observe("remote", message)
    except RpmsgError as error:
        assert error.rule.startswith("rpmsg.")  # noqa: PT017 - either outcome is right


def test_an_announcement_of_the_wrong_size_is_refused():
    with pytest.raises(RpmsgError, match="expected 40 bytes, found 39 bytes") as caught:
        Message(RpmsgHeader(1024, 53, 0, 39, 0), bytes(39)).name_service()
    assert caught.value.rule == "rpmsg.ns-size"


def test_a_name_that_fills_its_field_has_no_terminator_and_all_its_letters():
    full = NameServiceMessage(b"a" * 32, 1024, 0)
    assert (full.text, full.is_terminated) == ("a" * 32, False)
    short = NameServiceMessage(b"rpmsg\xff".ljust(32, b"\0"), 1024, 0)
    assert (short.text, short.is_terminated) == ("rpmsg\\xff", True)


def test_unknown_flags_are_refused(tracker):
    with pytest.raises(
        RpmsgError,
        match="endpoint 'echo': unknown name-service flags: expected 0 create, 1 destroy or 2 ack, found 0x3",
    ):
        tracker.observe("remote", notice(b"echo", 1024, 3))


def test_endpoints_come_and_go_with_their_announcements(tracker):
    created = tracker.observe("remote", notice(b"echo", 1024, CREATE))
    assert not created.is_unexpected
    assert tracker.find("remote", "echo").address == 1024
    assert tracker.at("remote", 1024).name == "echo"
    assert tracker.at("main", 1024) is None
    destroyed = tracker.observe("remote", notice(b"echo", 1024, DESTROY))
    assert (destroyed.before.name, destroyed.is_unexpected) == ("echo", False)
    assert tracker.endpoints == ()


def test_both_sides_may_use_one_name(tracker):
    tracker.observe("remote", notice(b"echo", 1024, CREATE))
    tracker.observe("main", notice(b"echo", 1030, CREATE))
    assert [(e.side, e.address) for e in tracker.endpoints] == [("remote", 1024), ("main", 1030)]


@pytest.mark.parametrize(("one", "other"), [("remote", "main"), ("main", "remote")])
def test_an_acknowledgement_confirms_the_other_sides_endpoint_and_tells_the_senders_own(tracker, one, other):
    tracker.observe(one, notice(b"echo", 1024, CREATE))
    change = tracker.observe(other, notice(b"echo", 1030, ACK))
    assert (change.before.acknowledged, change.after.acknowledged, change.after.side) == (False, True, one)
    assert tracker.find(other, "echo").address == 1030


def test_what_nobody_announced_is_unexpected_when_destroyed_or_acknowledged_and_so_is_a_second_announcement(tracker):
    assert tracker.observe("remote", notice(b"echo", 1024, DESTROY)).is_unexpected
    assert tracker.observe("main", notice(b"echo", 1030, ACK)).is_unexpected
    tracker.observe("remote", notice(b"echo", 1024, CREATE))
    again = tracker.observe("remote", notice(b"echo", 1026, CREATE))
    assert (again.is_unexpected, again.before.address, again.after.address) == (True, 1024, 1026)
    assert len(tracker.endpoints) == 1


def test_other_messages_change_nothing(tracker):
    message = decode_message(RpmsgHeader(1024, 1030, 0, 40, 0).pack() + bytes(40))
    assert tracker.observe("remote", message) is None
    assert tracker.endpoints == ()


def test_a_firmware_that_announces_without_end_is_stopped(tracker, monkeypatch):
    monkeypatch.setattr(rpmsg, "MAX_ENDPOINTS", 2)
    for i in range(2):
        tracker.observe("remote", notice(b"%d" % i, 1024 + i, CREATE))
    tracker.observe("remote", notice(b"1", 1030, CREATE))
    with pytest.raises(RpmsgError, match="too many endpoints") as caught:
        tracker.observe("remote", notice(b"2", 1026, CREATE))
    assert caught.value.rule == "rpmsg.too-many-endpoints"
