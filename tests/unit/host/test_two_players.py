"""The host against the Python remote: life cycle, two vdevs, exhaustion on either side, hostile tables."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import pytest
from duo import TABLE, Duo, FakePeerControl, MakeRemote
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.base.errors import HostError, RptwinError
from orchestrator.formats.nuttx_config import ConfigV13
from orchestrator.formats.resource_entry import (
    ANY,
    Carveout,
    CommandCode,
    Entry,
    Feature,
    Profile,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import scan_table
from orchestrator.host import HostState, PythonRemote
from orchestrator.host.remote import ECHO_NAME, default_entries
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform


def remote(entries: tuple[Entry, ...] | None = None) -> MakeRemote:
    def make(platform: Platform, views: Views, peer: FakePeerControl) -> PythonRemote:
        return PythonRemote(platform, views, peer, {}, table=TABLE, entries=entries)

    return make


@pytest.fixture
def duo() -> Iterator[Duo]:
    duo = Duo(remote())
    yield duo
    duo.engine.close()


def echo(duo: Duo, data: bytes, name: str = ECHO_NAME) -> bytes:
    endpoint = duo.host.endpoint(name)
    endpoint.send(data)
    return endpoint.receive()


def test_a_thousand_restarts_leak_nothing(duo: Duo) -> None:
    duo.host.start()
    free = [heap.report().free for heap in duo.host.allocation.heaps]
    for round_ in range(1000):
        duo.host.restart()
        if round_ % 50 == 0:
            assert echo(duo, b"%d" % round_) == b"%d" % round_
    assert duo.host.starts == 1001
    assert [heap.report().free for heap in duo.host.allocation.heaps] == free
    duo.host.stop()
    assert duo.host.leaks == ()


def test_two_vdevs_at_once_have_links_of_their_own() -> None:
    duo = Duo(remote(default_entries(TABLE, 2)))
    assert isinstance(duo.remote, PythonRemote)
    duo.remote.attach_names([(0, "first", lambda data: b"1" + data), (1, "second", lambda data: b"2" + data)])
    assert echo(duo, b"x", "first") == b"1x"
    assert echo(duo, b"y", "second") == b"2y"
    assert [link.received for link in duo.host.links] == [2, 2]
    duo.host.stop()
    assert duo.host.leaks == ()


def test_messages_that_find_no_buffer_wait_and_arrive_in_order(duo: Duo) -> None:
    endpoint = duo.host.endpoint(ECHO_NAME)
    sent = [struct.pack("<I", i) for i in range(100)]
    for each in sent:
        endpoint.send(each)
    assert [endpoint.receive() for _ in sent] == sent
    assert duo.host.links[0].exhausted > 0


def test_a_remote_that_has_more_to_say_than_buffers_says_all_of_it(duo: Duo) -> None:
    assert isinstance(duo.remote, PythonRemote)
    ours = duo.host.endpoint(ECHO_NAME)
    theirs = duo.remote.endpoint(ECHO_NAME)
    theirs.on_message = None
    ours.send(b"hello")
    assert theirs.receive() == b"hello"
    sent = [bytes([i]) for i in range(100)]
    for each in sent:
        theirs.send(each)
    assert [ours.receive() for _ in sent] == sent
    assert duo.remote.links[0].exhausted > 0


def test_names_are_announced_and_withdrawn_in_both_directions(duo: Duo) -> None:
    assert isinstance(duo.remote, PythonRemote)
    duo.host.start()
    mine = duo.host.announce("host-service", on_message=lambda data: data[::-1])
    theirs = duo.remote.endpoint("host-service")
    theirs.send(b"abc")
    assert theirs.receive() == b"cba"
    duo.host.links[0].withdraw(mine)
    duo.run()
    assert theirs.peer is None
    assert "host-service" not in duo.remote.links[0].names


@pytest.mark.parametrize("profile", list(Profile))
def test_every_profile_stops_in_its_own_way(profile: Profile) -> None:
    duo = Duo(remote(), profile)
    assert echo(duo, b"x") == b"x"
    duo.host.stop()
    assert (duo.host.state, duo.host.leaks) == (HostState.OFFLINE, ())
    table = scan_table(duo.views.memories["remote"], TABLE, 0x200).table
    assert table is not None
    assert table.field("vdev[0].status").value == (0x40 if profile.host is Profile.OPENAMP else 0)
    asked = profile is Profile.NUTTX
    assert table.field("header.reserved[0]").value >> 16 == (CommandCode.ACK if asked else CommandCode.NONE)


def test_panic_of_the_remote_is_a_crash(duo: Duo) -> None:
    duo.host.start()
    duo.views.memories["remote"].write(TABLE + 12, struct.pack("<I", CommandCode.PANIC << 16))
    duo.host.wake()
    duo.run()
    assert duo.host.state is HostState.CRASHED
    duo.host.recover()
    assert echo(duo, b"back") == b"back"


def test_nuttx_acknowledges_a_name_when_that_was_negotiated() -> None:
    entries = list(default_entries(TABLE))
    vdev = entries[0]
    assert isinstance(vdev, Vdev)
    head = VdevHeader(id=7, notifyid=2, dfeatures=Feature.NS | Feature.ACK | Feature.BUFSZ)
    entries[0] = Vdev.of(head, vdev.vrings, vdev.config)
    duo = Duo(remote(tuple(entries)))
    assert isinstance(duo.remote, PythonRemote)
    mine = duo.host.endpoint(ECHO_NAME)
    duo.run()
    theirs = duo.remote.endpoint(ECHO_NAME)
    assert (theirs.peer, mine.peer) == (mine.address, theirs.address)


def with_config(config: ConfigV13, features: int) -> tuple[Entry, ...]:
    vdev, *others = default_entries(TABLE)
    assert isinstance(vdev, Vdev)
    head = VdevHeader(id=7, notifyid=2, dfeatures=Feature.NS | features)
    return (Vdev.of(head, vdev.vrings, config.pack()), *others)


POOLS = ConfigV13(256, 128, 0x3004_7000, 0x3004_6000, b"ap", b"cp", (0,) * 6)


def test_buffers_lie_where_the_config_space_says_and_the_cores_have_its_names() -> None:
    duo = Duo(remote(with_config(POOLS, Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR)))
    assert isinstance(duo.remote, PythonRemote)
    duo.host.start()
    free = [heap.report().free for heap in duo.host.allocation.heaps]
    assert echo(duo, b"x" * 112) == b"x" * 112
    memory = duo.views.memories["main"]
    (table,) = (scan_table(duo.views.memories["remote"], TABLE, 0x200).table,)
    assert table is not None
    for ring, start, size in ((0, 0x6000, 128), (1, 0x7000, 256)):
        descriptors = table.field(f"vdev[0].vring[{ring}].pa").value
        named = {int.from_bytes(memory.read(descriptors + 16 * index, 8), "little") for index in range(8)} - {0}
        assert named
        assert named <= {0x1004_0000 + start + size * index for index in range(8)}
    host, other = duo.host.links[0], duo.remote.links[0]
    assert (host.own_core, host.peer_core) == ("ap", "cp")
    assert (other.own_core, other.peer_core) == ("cp", "ap")
    duo.host.stop()
    assert duo.host.leaks == ()
    duo.host.start()
    assert [heap.report().free for heap in duo.host.allocation.heaps] == free


def test_without_the_features_the_places_and_names_of_the_config_space_mean_nothing() -> None:
    duo = Duo(remote(with_config(POOLS, Feature.BUFSZ)))
    assert echo(duo, b"x") == b"x"
    (link,) = duo.host.links
    assert (link.own_core, link.peer_core) == ("", "")
    duo.host.stop()
    assert duo.host.leaks == ()


def test_a_place_for_buffers_where_there_is_no_memory_is_an_error_and_leaks_nothing() -> None:
    nowhere = ConfigV13(512, 512, 0x3004_7000, 0x7000_0000, b"", b"", (0,) * 6)
    duo = Duo(remote(with_config(nowhere, Feature.BUFSZ | Feature.BUFADDR)))
    with pytest.raises(HostError, match=r"vdev\[0\].vring\[0\]: no memory where the buffers are to lie"):
        duo.host.start()
    assert duo.host.leaks == ()


def test_a_carveout_without_room_is_an_error_that_says_how_much_is_missing() -> None:
    entries = [*default_entries(TABLE)[:1], Carveout(da=TABLE + 0x1000, len=0x800)]
    duo = Duo(remote(tuple(entries)))
    with pytest.raises(HostError, match="no room for buffers: expected 512 bytes each, found a heap with"):
        duo.host.start()
    assert duo.host.leaks == ()


words = st.sampled_from([0, 1, 2, 3, 7, 8, 0x8000, 0xFFFF, ANY, 0x7FFF_FFFF, TABLE, 0x3004_0000])


@settings(max_examples=40, deadline=None)
@given(st.builds(Vring, words, words, words, words), words, words, words)
def test_whatever_a_table_says_the_host_fails_with_a_reason_and_leaks_nothing(
    ring: Vring, features: int, da: int, size: int
) -> None:
    head = VdevHeader(id=7, notifyid=9, dfeatures=features)
    good = Vring(ANY, 16, 8, 1)
    duo = Duo(remote((Vdev.of(head, [good, ring]), Carveout(da=da, len=size))))
    with contextlib.suppress(RptwinError):  # whatever it says, it is one of ours
        duo.host.start("50 ms")
        duo.run()
        duo.host.stop()
    assert duo.host.state is HostState.RUNNING or [each for each in duo.host.leaks if each.startswith("leak")] == []
    duo.engine.close()
