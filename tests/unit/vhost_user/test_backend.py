"""The back-end against a front-end and a driver of ours: both kinds of ring, and every bad input of the protocol."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vhost import GUEST, NUM, USER, Descriptors, GuestMemory, bring_up, serving, vring_address

from orchestrator.base.errors import UsageError, VhostUserError
from orchestrator.formats.resource_entry import Feature
from orchestrator.host import Block, Network
from orchestrator.vhost_user import Backend, Channel, Frontend, Message, RegionEntry, Request, Server, SharedRegion
from orchestrator.vhost_user.messages import (
    FEATURE_LOG_ALL,
    NO_DESCRIPTOR,
    HeaderFlag,
    LogBase,
    ProtocolFeature,
    VringAddress,
    VringState,
    config_payload,
    encode,
    regions_payload,
    u64_payload,
)
from orchestrator.virtqueue import PackedDriver, Returned, Segment, SplitDriver

HEADER = 12
BUFFERS = GUEST + 0x8000
RING_FEATURES = {
    "split": Feature.VERSION_1,
    "split, event index": Feature.VERSION_1 | Feature.EVENT_IDX,
    "packed": Feature.VERSION_1 | Feature.RING_PACKED,
}

Drivers = list[SplitDriver | PackedDriver]


def echo() -> Network:
    device = Network()
    device.on_frame = lambda frame: frame
    return device


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it became so; how soon says nothing."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def popped(driver: SplitDriver | PackedDriver) -> Returned:
    """The next chain that comes back."""
    found: list[Returned] = []

    def look() -> bool:
        returned = driver.pop()
        if returned is not None:
            found.append(returned)
        return bool(found)

    assert until(look)
    return found[0]


def exchange(guest: GuestMemory, frontend: Frontend, drivers: Drivers, frames: list[bytes]) -> list[bytes]:
    """Send frames and have as many back."""
    receive, transmit = drivers
    back = []
    for number, frame in enumerate(frames):
        buffer = BUFFERS + 0x200 * (number % NUM)
        receive.offer([Segment(buffer, 0x200, is_writable=True)], buffer)
        guest.memory.write(buffer + 0x2000, bytes(HEADER) + frame)
        transmit.offer([Segment(buffer + 0x2000, HEADER + len(frame))])
        for index, each in enumerate(drivers):
            if each.should_notify():
                frontend.vrings[index].kick()
        returned = popped(receive)
        popped(transmit)
        back.append(guest.memory.read(returned.token + HEADER, returned.length - HEADER))
    return back


@pytest.mark.parametrize("polls", [False, True], ids=["kicks", "polls"])
@pytest.mark.parametrize("kind", RING_FEATURES)
def test_frames_come_back_over_any_ring(path: Path, guest: GuestMemory, kind: str, polls: bool) -> None:
    frames = [bytes([number]) * (60 + number) for number in range(3 * NUM)]
    with serving(path, echo(), polls=polls) as server:
        frontend = Frontend.connect(str(path))
        drivers = bring_up(frontend, guest, 2, RING_FEATURES[kind])
        assert exchange(guest, frontend, drivers, frames) == frames
        assert frontend.vrings[0].take_call() or kind == "split, event index"
        frontend.stop()
        frontend.close()
    assert server.faults == []


def test_a_front_end_that_comes_again_goes_on_where_the_ring_stood(path: Path, guest: GuestMemory) -> None:
    with serving(path, echo()) as server:
        first = Frontend.connect(str(path))
        drivers = bring_up(first, guest, 2, Feature.VERSION_1)
        assert exchange(guest, first, drivers, [b"a" * 60] * 3) == [b"a" * 60] * 3
        bases = first.stop()
        assert bases == {0: 3, 1: 3}
        first.close()
        second = Frontend.connect(str(path))
        second.begin()
        second.accept(Feature.VERSION_1)
        second.share([guest.region])
        for index, base in bases.items():
            second.start_vring(NUM, vring_address(index)[0], base)
        second.enable()
        assert exchange(guest, second, drivers, [b"b" * 60] * 3) == [b"b" * 60] * 3
        second.close()
        assert until(lambda: server.session is None)
    assert (server.served, server.faults) == (2, [])


def test_a_ring_goes_on_under_a_new_table_that_has_it_elsewhere(path: Path, guest: GuestMemory) -> None:
    with serving(path, echo()) as server:
        frontend = Frontend.connect(str(path))
        drivers = bring_up(frontend, guest, 2, Feature.VERSION_1)
        assert exchange(guest, frontend, drivers, [b"a" * 60]) == [b"a" * 60]
        frontend.share([guest.region])  # the same
        entry = guest.entry
        halves = [
            RegionEntry(GUEST, 0x8000, entry.user, entry.mmap_offset),
            RegionEntry(GUEST + 0x8000, 0x8000, entry.user + 0x8000, entry.mmap_offset + 0x8000),
        ]
        frontend.share([SharedRegion(each, guest.file) for each in halves])
        assert exchange(guest, frontend, drivers, [b"b" * 60]) == [b"b" * 60]
        frontend.close()
    assert server.faults == []


def test_sectors_config_and_a_disk_without_network(path: Path, guest: GuestMemory) -> None:
    disk = bytearray(b"\xaa" * 512 + b"\xbb" * 512)
    with serving(path, Block(disk)) as server:
        frontend = Frontend.connect(str(path))
        (queue,) = bring_up(frontend, guest, 1, Feature.VERSION_1)
        assert int.from_bytes(frontend.config(8), "little") == 2
        guest.memory.write(BUFFERS, (0).to_bytes(8, "little") + (1).to_bytes(8, "little"))
        queue.offer([Segment(BUFFERS, 16), Segment(BUFFERS + 0x200, 513, is_writable=True)])
        frontend.vrings[0].kick()
        assert until(lambda: queue.pop() is not None)
        assert guest.memory.read(BUFFERS + 0x200, 513) == b"\xbb" * 512 + b"\0"
        with pytest.raises(VhostUserError, match="refuses SET_CONFIG"):
            frontend.tell(Request.SET_CONFIG, config_payload(0, b"x"))
        frontend.close()
    assert [each.rule for each in server.faults] == ["vhost.config"]


def test_what_is_written_stands_in_the_dirty_log_while_that_is_wanted(path: Path, guest: GuestMemory) -> None:
    log = os.memfd_create("vhost-test")
    os.ftruncate(log, 0x10000)
    with serving(path, echo()):
        frontend = Frontend.connect(str(path))
        drivers = bring_up(frontend, guest, 2, Feature.VERSION_1)
        frontend.ask(Request.SET_LOG_BASE, LogBase(0x10000, 0).pack(), [log])
        assert exchange(guest, frontend, drivers, [b"a" * 60]) == [b"a" * 60]
        assert os.pread(log, 0x10000, 0) == bytes(0x10000)
        frontend.accept(Feature.VERSION_1 | FEATURE_LOG_ALL)
        assert exchange(guest, frontend, drivers, [b"a" * 60]) == [b"a" * 60]
        frontend.close()
    bits = int.from_bytes(os.pread(log, 0x10000, 0), "little")
    # The rings' pages, and that of the buffer to receive in.
    assert {page for page in range(1 << 19) if bits >> page & 1} == {
        GUEST >> 12,
        (GUEST >> 12) + 1,
        BUFFERS >> 12,
    }
    os.close(log)


def test_status_mtu_slots_and_owner(path: Path) -> None:
    with serving(path, echo()) as server:
        frontend = Frontend.connect(str(path))
        frontend.begin()
        ask = frontend._ask_u64
        assert ask(Request.GET_QUEUE_NUM) == 2
        assert ask(Request.GET_MAX_MEM_SLOTS) == 32
        frontend.tell(Request.SET_STATUS, u64_payload(0xB))
        assert ask(Request.GET_STATUS) == 0xB
        frontend.tell(Request.NET_SET_MTU, u64_payload(1500))
        frontend.tell(Request.RESET_OWNER)
        frontend.protocol_features = ProtocolFeature(0)
        frontend.begin()
        frontend.close()
    assert server.faults == []


def vring_call(frontend: Frontend) -> None:
    frontend.tell(Request.SET_VRING_CALL, u64_payload(7 | NO_DESCRIPTOR))


def enabled_before_it_has_an_address(frontend: Frontend) -> None:
    frontend.tell(Request.SET_VRING_NUM, VringState(0, NUM).pack())
    frontend.tell(Request.SET_VRING_ENABLE, VringState(0, 1).pack())
    frontend.tell(Request.SET_VRING_KICK, u64_payload(0 | NO_DESCRIPTOR))


def placed(desc: int, used: int, avail: int) -> Callable[[Frontend], None]:
    def ask(frontend: Frontend) -> None:
        frontend.tell(Request.SET_VRING_NUM, VringState(0, NUM).pack())
        frontend.tell(Request.SET_VRING_ADDR, VringAddress(0, 0, desc, used, avail, 0).pack())

    return ask


END = USER + 0x10000
BAD = {
    "a vring that there is none of": (vring_call, "vhost.vring"),
    "kicked before it has an address": (enabled_before_it_has_an_address, "vhost.vring-not-set"),
    "ring outside every region": (placed(0x1000, 0x2000, 0x3000), "vhost.vring-memory"),
    "ring across a region's end": (placed(USER, END - 16, USER + 0x800), "vhost.vring-memory"),
    "descriptors across a region's end": (placed(END - 16, USER, USER + 0x800), "vhost.vring-memory"),
    "ring at an odd address": (placed(USER, USER + 0x400, USER + 0x801), "vhost.vring-alignment"),
    "6 entries": (lambda f: f.tell(Request.SET_VRING_NUM, VringState(0, 6).pack()), "vhost.vring-size"),
    "0 entries": (lambda f: f.tell(Request.SET_VRING_NUM, VringState(0, 0).pack()), "vhost.vring-size"),
    "features not offered": (lambda f: f.tell(Request.SET_FEATURES, u64_payload(1 << 63)), "vhost.features"),
    "protocol not offered": (lambda f: f.tell(Request.SET_PROTOCOL_FEATURES, u64_payload(1 << 40)), "vhost.features"),
    "an MTU of 1": (lambda f: f.tell(Request.NET_SET_MTU, u64_payload(1)), "vhost.mtu"),
    "enabled twice over": (lambda f: f.tell(Request.SET_VRING_ENABLE, VringState(0, 2).pack()), "vhost.enable"),
    "a second owner": (lambda f: f.tell(Request.SET_OWNER), "vhost.owner"),
    "a log behind its file": (
        lambda f: f.tell(Request.SET_LOG_BASE, LogBase(1 << 40, 0).pack(), [0]),
        "vhost.log",
    ),
    "an unknown request": (
        lambda f: (f.channel.send(Message(99, 1 | HeaderFlag.NEED_REPLY)), _refused(f)),
        "vhost.request",
    ),
}


def _refused(frontend: Frontend) -> None:
    answer = frontend.channel.receive()
    assert answer is not None
    raise VhostUserError("refuses", rule="vhost.refused", found=answer.payload)


@pytest.mark.parametrize("case", BAD)
def test_a_request_that_cannot_be_carried_out_is_answered_so_and_the_session_goes_on(
    path: Path, guest: GuestMemory, case: str
) -> None:
    ask, rule = BAD[case]
    with serving(path, echo()) as server:
        frontend = Frontend.connect(str(path))
        frontend.begin()
        frontend.accept(Feature.VERSION_1)
        frontend.share([guest.region])
        with pytest.raises(VhostUserError, match="refuses"):
            ask(frontend)
        assert frontend._ask_u64(Request.GET_QUEUE_NUM) == 2
        frontend.close()
    assert [each.rule for each in server.faults] == [rule]


ENDINGS = {
    "half a header": (b"\x01\0\0\0\x01", "vhost.cut-short"),
    "half a payload": (encode(Message(Request.SET_FEATURES, 1, bytes(8)))[:-3], "vhost.cut-short"),
    "another version": (encode(Message(Request.GET_FEATURES, 2)), "vhost.version"),
    "a payload of 4 GB": (b"\x02\0\0\0\x01\0\0\0\xff\xff\xff\xff", "vhost.payload-size"),
    "a wrong size": (encode(Message(Request.SET_FEATURES, 1, bytes(4))), "vhost.payload-size"),
    "an unknown request": (encode(Message(99)), "vhost.request"),
    "9 regions": (
        encode(Message(Request.SET_MEM_TABLE, 1, regions_payload([RegionEntry(0, 1, 0, 0)] * 9))),
        "vhost.payload-size",
    ),
    "regions without descriptors": (
        encode(Message(Request.SET_MEM_TABLE, 1, regions_payload([RegionEntry(0, 1, 0, 0)] * 2))),
        "vhost.descriptors",
    ),
    "a ring kicked before anything": (
        encode(Message(Request.SET_VRING_KICK, 1, u64_payload(NO_DESCRIPTOR))),
        "vhost.vring-not-set",
    ),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_peer_that_breaks_the_protocol_is_hung_up_on_and_the_next_one_served(
    path: Path, guest: GuestMemory, case: str
) -> None:
    data, rule = ENDINGS[case]
    with serving(path, echo()) as server:
        frontend = Frontend.connect(str(path))
        bring_up(frontend, guest, 2, Feature.VERSION_1)
        if case == "a ring kicked before anything":
            frontend.tell(Request.RESET_OWNER)
        frontend.channel._socket.sendall(data)
        frontend.channel._socket.shutdown(socket.SHUT_WR)
        assert until(lambda: server.session is None)
        frontend.close()
        again = Frontend.connect(str(path))
        drivers = bring_up(again, guest, 2, Feature.VERSION_1)
        guest_frames = [b"x" * 60]
        assert exchange(guest, again, drivers, guest_frames) == guest_frames
        again.close()
    assert [each.rule for each in server.faults] == [rule]


def test_descriptors_of_a_message_that_is_refused_are_closed(path: Path, guest: GuestMemory) -> None:
    """More than a request has, more than any has, and those of one that nobody knows."""
    null = os.open("/dev/null", os.O_RDONLY)
    with serving(path, echo()) as server:
        before = Descriptors()
        for request, count in (
            (Request.SET_FEATURES, 3),
            (Request.SET_VRING_CALL, 2),
            (99, 1),
            (Request.SET_OWNER, 30),
        ):
            frontend = Frontend.connect(str(path))
            payload = bytes(8) if request in (Request.SET_FEATURES, Request.SET_VRING_CALL) else b""
            frontend.channel.send(Message(request, 1, payload, (null,) * count))
            assert frontend.channel.receive() is None
            frontend.close()
        assert until(lambda: server.session is None)
        assert before.left == (0, 0)
    os.close(null)


def test_a_front_end_that_dies_leaves_nothing_behind(path: Path, guest: GuestMemory) -> None:
    with serving(path, echo()) as server:
        before = Descriptors()
        for _ in range(3):
            frontend = Frontend.connect(str(path))
            bring_up(frontend, guest, 2, Feature.VERSION_1)
            frontend.close()
        assert until(lambda: server.served == 3 and server.session is None)
        assert before.left == (0, 0)
    assert server.faults == []


def test_a_driver_that_breaks_a_rule_is_a_fault_and_no_end(path: Path, guest: GuestMemory) -> None:
    with serving(path, echo()) as server:
        frontend = Frontend.connect(str(path))
        drivers = bring_up(frontend, guest, 2, Feature.VERSION_1)
        drivers[1].offer([Segment(0x1234_0000, 64)])  # in no region
        frontend.vrings[1].kick()
        assert until(lambda: drivers[1].pop() is not None)
        assert exchange(guest, frontend, drivers, [b"x" * 60]) == [b"x" * 60]
        frontend.close()
    assert [each.rule for each in server.faults] == ["buffer.unreachable-by-device"]


@pytest.mark.parametrize("name", ["x" * 200, ""])
def test_a_path_that_no_socket_has_is_refused(name: str) -> None:
    for make in (lambda: Server(name, echo()), lambda: Frontend.connect(name)):
        with pytest.raises(UsageError, match="no path of a socket: expected 1 to 107 bytes"):
            make()


def test_a_path_that_is_taken_is_refused(path: Path) -> None:
    with Server(str(path), echo()), pytest.raises(UsageError, match="cannot listen"):
        Server(str(path), echo())


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from([int(each) for each in Request]), st.integers(0, 60)),
            st.one_of(
                st.binary(max_size=48),
                st.builds(lambda a, b: VringState(a, b).pack(), st.integers(0, 3), st.integers(0, 300)),
                st.builds(u64_payload, st.integers(0, 2**64 - 1)),
                st.builds(
                    lambda i, a, b, c: VringAddress(i, 0, USER + a, USER + b, USER + c, 0).pack(),
                    st.integers(0, 3),
                    st.integers(0, 0x10100),
                    st.integers(0, 0x10100),
                    st.integers(0, 0x10100),
                ),
                st.builds(
                    lambda g, s, u, o: regions_payload([RegionEntry(g, s, u, o)]),
                    *[st.integers(0, 0x20000)] * 4,
                ),
            ),
            st.integers(0, 2),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_any_sequence_of_requests_is_carried_out_or_refused_and_nothing_is_left(
    sequence: list[tuple[int, bytes, int, bool]],
) -> None:
    before = Descriptors()
    ours, theirs = socket.socketpair()
    file = os.memfd_create("vhost-test")
    os.ftruncate(file, 0x10000)
    backend = Backend(Channel(ours, "front-end"), echo())
    backend.protocol_features = ProtocolFeature.REPLY_ACK
    try:
        for request, payload, descriptors, asks in sequence:
            flags = 1 | (HeaderFlag.NEED_REPLY if asks else 0)
            backend.handle(Message(request, flags, payload, tuple(os.dup(file) for _ in range(descriptors))))
            backend.serve()
    except VhostUserError:
        pass
    finally:
        backend.close()
        theirs.close()
        os.close(file)
    assert before.left == (0, 0)
