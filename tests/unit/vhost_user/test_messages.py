"""Messages: what goes out comes in again, and bytes that are no message are one typed error."""

from __future__ import annotations

import contextlib
import os
import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.base.errors import VhostUserError
from orchestrator.vhost_user.messages import (
    REGIONS_MAX,
    Header,
    Message,
    RegionEntry,
    Request,
    config_payload,
    decode_config,
    decode_header,
    decode_regions,
    decode_single_region,
    encode,
    region_payload,
    regions_payload,
    u64_payload,
)

u64 = st.integers(0, 2**64 - 1)
regions = st.builds(RegionEntry, u64, u64, u64, u64)


@given(st.sampled_from(Request), st.binary(max_size=300))
def test_a_message_is_a_header_of_12_bytes_and_its_payload(request_: Request, payload: bytes) -> None:
    data = encode(Message(request_, 1, payload))
    assert struct.unpack_from("<3I", data) == (request_, 1, len(payload))
    assert decode_header(data[:12]) == Header(request_, 1, len(payload))
    assert data[12:] == payload


@given(st.lists(regions, max_size=REGIONS_MAX))
def test_a_memory_table_says_each_region_in_32_bytes(given_: list[RegionEntry]) -> None:
    payload = regions_payload(given_)
    assert len(payload) == 8 + 32 * len(given_)
    assert decode_regions(payload) == tuple(given_)
    for each in given_:
        assert decode_single_region(region_payload(each)) == each


@given(st.integers(0, 200), st.binary(max_size=56))
def test_config_says_where_and_how_much(offset: int, data: bytes) -> None:
    head, found = decode_config(config_payload(offset, data))
    assert (head.offset, head.length, found) == (offset, len(data), data)


@given(st.binary(max_size=16))
@example(struct.pack("<3I", 5, 1, 4096))
def test_any_bytes_are_a_header_or_one_error(data: bytes) -> None:
    try:
        header = decode_header(data)
    except VhostUserError as error:
        refused = error.rule
    else:
        refused = ""
        assert len(data) == 12
        assert header.flags & 3 == 1
        assert header.payload_size <= 4096
    assert refused in {"", "vhost.cut-short", "vhost.version", "vhost.payload-size"}


@given(st.integers(0, 60), st.binary(max_size=400), st.integers(0, 10))
def test_any_payload_is_of_its_request_or_one_error(request_: int, payload: bytes, descriptors: int) -> None:
    message = Message(request_, 1, payload, tuple(range(descriptors)))
    with contextlib.suppress(VhostUserError):
        known = message.check()
        if known is Request.SET_MEM_TABLE:
            assert len(decode_regions(payload)) == descriptors
        if known in (Request.GET_CONFIG, Request.SET_CONFIG):
            decode_config(payload)


@pytest.mark.parametrize(
    ("message", "rule", "text"),
    [
        (Message(99), "vhost.request", "request 99: unknown request"),
        (Message(Request.SET_FEATURES, 1, b"1234"), "vhost.payload-size", "expected 8 bytes, found 4"),
        (Message(Request.GET_FEATURES, 1, b"", (3,)), "vhost.descriptors", "expected 0, found 1"),
        (Message(Request.SET_VRING_KICK, 1, u64_payload(0)), "vhost.descriptors", "expected 1, found 0"),
        (Message(Request.SET_VRING_KICK, 1, u64_payload(1 << 8), (3,)), "vhost.descriptors", "expected 0, found 1"),
        (Message(Request.ADD_MEM_REG, 1, bytes(40)), "vhost.descriptors", "expected 1, found 0"),
        (
            Message(Request.SET_MEM_TABLE, 1, regions_payload([RegionEntry(0, 1, 0, 0)] * 2), (3,)),
            "vhost.descriptors",
            "expected 2, found 1",
        ),
        (
            Message(Request.SET_MEM_TABLE, 1, regions_payload([RegionEntry(0, 1, 0, 0)] * 9), tuple(range(9))),
            "vhost.payload-size",
            "expected 8 to 264 bytes, found 296",
        ),
    ],
)
def test_a_bad_request_is_named_with_what_it_should_have(message: Message, rule: str, text: str) -> None:
    with pytest.raises(VhostUserError) as caught:
        message.check()
    assert caught.value.rule == rule
    assert text in str(caught.value)


def test_more_regions_said_than_follow_are_refused() -> None:
    payload = bytearray(regions_payload([RegionEntry(0, 1, 0, 0)]))
    payload[0] = 2
    with pytest.raises(VhostUserError, match="a wrong number of regions: expected 1, as many as follow"):
        decode_regions(bytes(payload))


def test_a_config_space_ends_after_256_bytes() -> None:
    with pytest.raises(VhostUserError, match="config space"):
        decode_config(config_payload(250, bytes(8)))


def test_damaged_messages_are_messages_or_one_error() -> None:
    """Each a good one with a few bytes of it changed."""
    count = int(os.environ.get("RPTWIN_MESSAGES", "1000000"))
    chance = random.Random(os.environ.get("RPTWIN_MESSAGES_SEED", "16"))
    good = [encode(Message(request, 1, bytes(size))) for request in Request for size in (0, 8, 16, 40, 72, 264)]
    refused = 0
    for _ in range(count):
        data = bytearray(chance.choice(good))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            header = decode_header(bytes(data[:12]))
            message = Message(header.request, header.flags, bytes(data[12:]), (3,) * chance.randrange(3))
            if message.check() is Request.SET_MEM_TABLE:
                decode_regions(message.payload)
        except VhostUserError:
            refused += 1
    assert 0 < refused < count
