"""The front-end against back-ends that are scripted to do wrong: each is one typed error, and nothing is left."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.vhost import GUEST, NUM, GuestMemory, vring_address

from orchestrator.base.errors import VhostUserError
from orchestrator.formats.resource_entry import Feature
from orchestrator.vhost_user import Channel, Frontend, Message, ProtocolFeature, RegionEntry, Request, SharedRegion
from orchestrator.vhost_user.frontend import version_1_is_harmless
from orchestrator.vhost_user.messages import FEATURE_PROTOCOL_FEATURES, HeaderFlag, encode, u64_payload

REPLY = 1 | HeaderFlag.REPLY
Script = Callable[[Channel, socket.socket], None]


@contextmanager
def against(script: Script, timeout_s: float = 5.0) -> Iterator[Frontend]:
    """A front-end whose peer follows a script, and then hangs up."""
    ours, theirs = socket.socketpair()
    frontend = Frontend(Channel(ours, "back-end", timeout_s))

    def follow() -> None:
        script(Channel(theirs, "front-end"), theirs)
        theirs.close()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield frontend
    finally:
        frontend.close()
        thread.join()


def answering(payload: bytes, request: int = Request.GET_FEATURES, flags: int = REPLY) -> Script:
    def script(channel: Channel, _socket: socket.socket) -> None:
        channel.receive()  # SET_OWNER
        channel.receive()
        channel.send(Message(request, flags, payload))

    return script


def silent(channel: Channel, _socket: socket.socket) -> None:
    while channel.receive() is not None:
        pass


def hangs_up(channel: Channel, _socket: socket.socket) -> None:
    channel.receive()
    channel.receive()


def half(channel: Channel, connection: socket.socket) -> None:
    channel.receive()
    channel.receive()
    connection.sendall(encode(Message(Request.GET_FEATURES, REPLY, u64_payload(1)))[:-2])


def with_descriptor(channel: Channel, _socket: socket.socket) -> None:
    channel.receive()
    channel.receive()
    null = os.open("/dev/null", os.O_RDONLY)
    channel.send(Message(Request.GET_FEATURES, REPLY, u64_payload(1), (null,)))
    os.close(null)


BAD: dict[str, tuple[Script, str]] = {
    "hangs up": (hangs_up, "hangs up at GET_FEATURES"),
    "dies in the middle of an answer": (half, "hung up in the middle of GET_FEATURES"),
    "answers another question": (answering(u64_payload(1), Request.GET_QUEUE_NUM), "another answer than was asked for"),
    "asks instead of answering": (answering(u64_payload(1), flags=1), "another answer than was asked for"),
    "answers with 4 bytes": (answering(bytes(4)), "answer of a wrong size: expected 8 bytes, found 4"),
    "answers with a descriptor": (with_descriptor, "another answer than was asked for"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_back_end_is_one_error(case: str) -> None:
    script, text = BAD[case]
    with against(script) as frontend, pytest.raises(VhostUserError, match=text):
        frontend.begin()


def test_a_back_end_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with against(silent, timeout_s=0.05) as frontend, pytest.raises(VhostUserError, match="falls silent") as caught:
        frontend.begin()
    assert caught.value.rule == "vhost.no-answer"


def test_nobody_that_listens_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(VhostUserError, match=r"nobody listens .*; start the back-end first"):
        Frontend.connect("/tmp/nobody-listens-here")


def test_features_that_the_back_end_lacks_are_named() -> None:
    with against(answering(u64_payload(0x20))) as frontend:
        frontend.begin()
        with pytest.raises(VhostUserError, match=r"lacks features that the driver has accepted.*0x8000"):
            frontend.accept(0x8020)


def test_a_closed_descriptor_cannot_be_handed_out(guest: GuestMemory) -> None:
    closed = 10_000  # a number that nothing opened later has
    with against(silent) as frontend, pytest.raises(VhostUserError, match="cannot be sent SET_MEM_TABLE"):
        frontend.share([SharedRegion(guest.entry, closed)])


def test_nine_regions_are_refused_before_they_are_sent(guest: GuestMemory) -> None:
    regions = [SharedRegion(RegionEntry(GUEST + each, 1, each, 0), guest.file) for each in range(9)]
    with against(silent) as frontend, pytest.raises(VhostUserError, match="expected 1 to 8, found 9"):
        frontend.share(regions)


def test_a_refusal_is_an_error_where_answers_are_agreed_on() -> None:
    def refuse(channel: Channel, _socket: socket.socket) -> None:
        message = channel.receive()
        assert message is not None
        assert message.needs_reply
        channel.send(Message(message.request, REPLY, u64_payload(1)))

    with against(refuse) as frontend:
        frontend.protocol_features = int(ProtocolFeature.REPLY_ACK)
        with pytest.raises(VhostUserError, match="refuses SET_FEATURES"):
            frontend.tell(Request.SET_FEATURES, u64_payload(0))


def test_the_order_is_the_one_that_real_back_ends_take(guest: GuestMemory) -> None:
    seen: list[str] = []

    def note(channel: Channel, _socket: socket.socket) -> None:
        while (message := channel.receive()) is not None:
            seen.append(message.name)
            for each in message.descriptors:
                os.close(each)
            if message.name == "GET_FEATURES":
                channel.send(Message(message.request, REPLY, u64_payload(FEATURE_PROTOCOL_FEATURES)))
            elif message.name == "GET_PROTOCOL_FEATURES":
                channel.send(Message(message.request, REPLY, u64_payload(ProtocolFeature.STATUS)))

    with against(note) as frontend:
        frontend.begin()
        frontend.accept(0)
        frontend.share([guest.region])
        frontend.start_vring(NUM, vring_address(0)[0])
        frontend.enable()
    assert seen == [
        "SET_OWNER",
        "GET_FEATURES",
        "GET_PROTOCOL_FEATURES",
        "SET_PROTOCOL_FEATURES",
        "SET_FEATURES",
        "SET_MEM_TABLE",
        "SET_VRING_NUM",
        "SET_VRING_BASE",
        "SET_VRING_ADDR",
        "SET_VRING_CALL",
        "SET_VRING_KICK",
        "SET_VRING_ENABLE",
        "SET_STATUS",
    ]


@pytest.mark.parametrize(
    ("device", "features", "harmless"),
    [(1, 0, False), (1, 1 << 15, True), (2, 0, True), (1, 1 << 15 | Feature.VERSION_1, False)],
)
def test_a_legacy_driver_may_stand_for_a_modern_one_where_nothing_differs(
    device: int, features: int, harmless: bool
) -> None:
    assert version_1_is_harmless(device, features) is harmless
