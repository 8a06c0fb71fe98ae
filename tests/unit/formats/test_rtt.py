"""The control block of SEGGER RTT, and a host that meets broken ones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.formats.rtt import RTT_ID, RttBuffer, RttHeader, parse_control_block, size_of_control_block


def block(ups: int, downs: int, name: bytes = RTT_ID) -> bytes:
    buffers = b"".join(RttBuffer(1, 0x100 * i, 16, i, 0, 2).pack() for i in range(ups + downs))
    return RttHeader(name.ljust(16, b"\0"), ups, downs).pack() + buffers


def test_the_buffers_of_both_directions_come_in_order():
    parsed = parse_control_block(block(3, 2) + b"what follows")
    assert [each.wr_off for each in parsed.ups] == [0, 1, 2]
    assert [each.wr_off for each in parsed.downs] == [3, 4]
    assert parsed.size == len(block(3, 2)) == size_of_control_block(block(3, 2))
    assert struct.unpack_from("<I", block(3, 2), parsed.down_offset(1) + RttBuffer.offset_of("wr_off")) == (4,)
    assert not parsed.ups[0].is_configured, "it has no memory"


@pytest.mark.parametrize("data", [b"", block(1, 1)[:-1], block(1, 1, b"TTR REGGES"), block(65, 0), bytes(200)])
def test_what_is_not_whole_or_not_there_is_none(data):
    assert parse_control_block(data) is None


@pytest.mark.parametrize(("ups", "downs"), [(64, 64), (0, 1), (1, 0), (0, 0)])
def test_a_block_has_from_no_buffer_to_64_in_each_direction(ups, downs):
    data = block(ups, downs)
    parsed = parse_control_block(data)
    assert (len(parsed.ups), len(parsed.downs), parsed.size) == (ups, downs, len(data))
    assert size_of_control_block(data[: RttHeader.size]) == len(data)
    assert size_of_control_block(data[: RttHeader.size - 1]) is None
    assert size_of_control_block(block(ups, 65)) is size_of_control_block(block(65, downs)) is None


@pytest.mark.parametrize(("buffer", "size", "is_configured"), [(1, 1, True), (0, 1, False), (1, 0, False)])
def test_a_buffer_of_one_byte_is_one(buffer, size, is_configured):
    assert RttBuffer(0, buffer, size, 0, 0, 0).is_configured is is_configured


def test_an_offset_past_the_end_is_not_sound():
    assert RttBuffer(0, 1, 16, 15, 0, 0).is_sound
    assert not RttBuffer(0, 1, 16, 16, 0, 0).is_sound
    assert not RttBuffer(0, 1, 16, 0, 0xFFFF_FFFF, 0).is_sound


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_make_it_fail(data: bytes, begins_well: bool):
    parse_control_block((RTT_ID + bytes(6) if begins_well else b"") + data)
