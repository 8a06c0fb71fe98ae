"""Framing of gdb's remote protocol: what is sent comes through, and nothing else does any harm."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.formats.gdb_packets import PACKET_SIZE, PacketReader, Signal, binary, frame


def test_a_packet_has_its_checksum_behind_it():
    assert frame(b"OK") == b"$OK#9a"


def test_signals_come_between_packets_in_order():
    assert PacketReader().feed(b"+$g#67\x03-") == [Signal.ACKNOWLEDGED, b"g", Signal.INTERRUPT, Signal.DAMAGED]


def test_a_wrong_checksum_is_said_and_what_follows_is_read():
    assert PacketReader().feed(b"$g#00$g#67") == [Signal.GARBAGE, b"g"]


def test_a_packet_that_never_ends_is_given_up():
    reader = PacketReader()
    found = [each for _ in range(3) for each in reader.feed(b"$" + b"a" * PACKET_SIZE)]
    assert set(found) == {Signal.GARBAGE}
    assert reader.feed(b"#00$g#67")[-1] == b"g"


@given(st.lists(st.binary(max_size=100)), st.lists(st.integers(1, 20), min_size=1))
def test_what_is_sent_arrives_however_it_is_cut(contents: list[bytes], cuts: list[int]):
    stream = b"".join(frame(binary(each)) for each in contents)
    reader, arrived, at = PacketReader(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        arrived += reader.feed(stream[at : at + size])
        at += size
    assert arrived == contents


@given(st.lists(st.binary(max_size=200)))
def test_no_bytes_make_the_reader_fail_or_keep_more_than_a_packet(pieces: list[bytes]):
    reader = PacketReader()
    for piece in pieces:
        reader.feed(piece)
        assert len(reader._pending) <= PACKET_SIZE
