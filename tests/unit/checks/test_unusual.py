"""Set-ups that are unusual and legal: nothing is found, whoever drives."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from test_rules import announce, keep, name_service

from bench import BUFFER, DA, MAIN_RAM, Bench, causes, default_entries, message, run
from orchestrator.base.roles import Side
from orchestrator.formats.resource_entry import Carveout, Entry, Feature, Vdev, Vring

ADDRESS = DA + 0x1_0000


def rings(*vrings: Vring, features: int = 5) -> list[Entry]:
    """The default table with other vrings, and a carveout with room for them."""
    trace, vdev, carveout = default_entries()
    assert isinstance(vdev, Vdev)
    assert isinstance(carveout, Carveout)
    vdev = replace(vdev, vrings=vrings, head=replace(vdev.head, dfeatures=features))
    return [trace, vdev, replace(carveout, len=0x1_4000)]


def dynamic(num: int, features: int = 5) -> list[Entry]:
    return rings(*(Vring(da=0xFFFFFFFF, align=16, num=num, notifyid=i) for i in range(2)), features=features)


INDIRECT: dict[str, object] = {
    "entries": dynamic(8, features=5 | Feature.INDIRECT_DESC), "accepts": 0x15 | Feature.INDIRECT_DESC
}  # fmt: skip

SETUPS: dict[str, dict[str, object]] = {
    "queues of two": {"entries": dynamic(2)},
    "queues of 1,024": {"entries": dynamic(1024), "buffers": 16},
    "a header and a payload in buffers of their own": {"cuts": (16,)},
    "a header in two pieces": {"cuts": (7, 19)},
    "indirect descriptors": {"is_indirect": True, **INDIRECT},
    "indirect descriptors in pieces": {"is_indirect": True, "cuts": (3, 16), **INDIRECT},
    "messages without a payload": {"ping": b""},
    "three vdevs": {"entries": default_entries(3)},
    "vrings outside the carveout": {
        "entries": rings(*(Vring(da=ADDRESS + 0x800 * i, align=16, num=8, notifyid=i) for i in range(2)))
    },
    "fixed addresses and no name service": {
        "entries": dynamic(8, features=4), "announcement": message(1024, 1030, b"hello")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SETUPS)
def test_a_set_up_that_is_unusual_and_legal_passes(driver: str, name: str) -> None:
    del driver
    verdict = run(**SETUPS[name])
    assert (verdict.up, verdict.exit_code, verdict.findings, verdict.no_traffic) == (True, 0, (), ())
    for log in verdict.run.traffic.messages.values():
        assert log.sent == {Side.DRIVER: 3, Side.DEVICE: 4}


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("cuts", [(16,), (7, 19)])
def test_a_message_in_several_buffers_is_read_whole(cuts: tuple[int, ...]) -> None:
    log = run(cuts=cuts, ping=b"in several buffers").run.traffic.messages["vdev[0]"]
    assert [each.text for each in log.announced] == ["create echo at 1024"]
    assert [each.payload for each in log.first if not each.text] == [b"in several buffers"] * 6


@pytest.mark.usefixtures("driver")
def test_a_message_that_is_longer_than_all_buffers_of_its_chain_is_malformed() -> None:
    def cut_short(bench: Bench) -> None:
        side = bench.sides[0]
        data = struct.pack("<IIIHH", 1030, 1024, 0, 20, 0) + b"in several"
        bench.turn(bench.driver, lambda: (bench.driver_send(side, data), bench.ring(bench.driver)))
        bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(bench.devices[0].rings[1].offered() or 0))

    found = run(cuts=(16,), after=cut_short).findings
    assert [each.rule for each in found] == ["message.malformed"]


def again(bench: Bench) -> None:
    """The rings are set up anew, the device announces another name at the same address, and all goes on."""
    side = bench.sides[0]

    def clear() -> None:
        for ring in (*side.rings, *bench.devices[0].rings):
            ring.posted = ring.seen = 0
        for ring in side.rings:
            ring.clear()
        side.sent = side.returned = 0

    def offer() -> None:
        for head in range(8):
            side.rings[0].desc(head, bench.script.to_da(side.buffers[head] - 8 * BUFFER), BUFFER, 2)
            side.rings[0].offer(head)
        bench.ring(bench.driver)

    bench.turn(bench.driver, clear)
    bench.turn(bench.driver, offer)
    bench.turn(bench.device, lambda: bench.announce(bench.devices, name_service(b"other", 1024)))
    bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides))
    bench.turn(bench.device, lambda: bench.device_poll(bench.devices))
    bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))


AFTER: dict[str, Callable[[Bench], None]] = {
    "rings that are set up anew": again,
    "a buffer that the driver holds": keep(1),
    "an endpoint that is destroyed": announce(name_service(b"echo", 1024, destroy=True)),
    "an endpoint that is announced again once nothing waits for it": announce(
        name_service(b"echo", 1024, destroy=True), name_service(b"sink", 1024)
    ),
    "an endpoint announced by another one": announce(name_service(b"sink", 1025, source=1024)),
}


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("name", AFTER)
def test_what_is_unusual_and_legal_after_a_while_passes(name: str) -> None:
    assert run(after=AFTER[name]).findings == ()


def one_way(*payloads: bytes) -> Callable[[Bench], None]:
    """The driver sends these at once; the device takes and returns them, and answers none."""

    def do(bench: Bench) -> None:
        def send() -> None:
            for payload in payloads:
                bench.driver_send(bench.sides[0], message(1030, 1024, payload))
            bench.ring(bench.driver)

        bench.script = replace(bench.script, answers=0)
        bench.turn(bench.driver, send)
        bench.turn(bench.device, lambda: bench.device_poll(bench.devices))

    return do


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"answers": 0, "announcement": name_service(b"sink", 1024)}, []),
        ({"pings": 2, "after": one_way(b"pong")}, []),  # too few answers to expect another
        ({"after": one_way(b"a longer", b"and the longest")}, []),  # news, after a conversation
        ({"after": one_way(b"pong", b"ping")}, ["endpoint.silent"]),
        ({"after": one_way(b"bye")}, ["endpoint.silent"]),
    ],
)
def test_an_endpoint_that_does_not_answer_is_silent_only_where_it_always_did(
    changes: dict[str, object], rules: list[str]
) -> None:
    assert [each.rule for each in run(**changes).findings] == rules


@pytest.mark.usefixtures("driver")
def test_an_endpoint_whose_peer_waits_for_an_answer_that_never_comes_is_silent_whatever_the_length() -> None:
    def in_vain(bench: Bench) -> None:
        for payload in (b"a longer", b"and the longest"):
            bench.time_ns += 1_000_000
            one_way(payload)(bench)

    (found,) = run(after=in_vain).findings
    assert (found.rule, found.severity.value) == ("endpoint.silent", "warning")


@pytest.mark.usefixtures("driver")
def test_an_endpoint_that_fell_silent_without_a_farewell_weighs_less_after_one_message() -> None:
    (one,) = run(after=one_way(b"ping")).findings
    (two,) = run(after=one_way(b"ping", b"ping")).findings
    assert (one.severity.value, two.severity.value) == ("warning", "error")


def give_back(*elements: tuple[int, int], advance: int = 0) -> Callable[[Bench], None]:
    """The device returns these, and its index goes further by so many."""

    def do(bench: Bench) -> None:
        def act() -> None:
            ring = bench.devices[0].rings[0]
            for head, length in elements:
                ring.give_back(head, length)
            ring.posted += advance
            ring.half(ring.used + 2, ring.posted)
            bench.ring(bench.device)

        bench.turn(bench.device, act)

    return do


@pytest.mark.usefixtures("driver")
def test_an_index_that_moves_past_what_a_round_before_left_is_ahead_and_nothing_came_back_twice() -> None:
    """A queue of two after several rounds: each element of its used ring says what it said before."""
    assert causes(run(entries=dynamic(2), after=give_back(advance=3))) == ["ring.used-ahead"]
    assert causes(run(entries=dynamic(2), pings=4, buffers=1, after=give_back((0, 20), advance=1))) == [
        "ring.used-ahead"
    ]


@pytest.mark.usefixtures("driver")
def test_readable_buffers_are_returned_with_the_length_that_was_read_or_none() -> None:
    def lengths(length: int) -> list[str]:
        def act(bench: Bench) -> None:
            ring = bench.devices[0].rings[1]
            bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")))
            bench.turn(bench.device, lambda: ring.give_back(ring.offered() or 0, length))

        return [each.rule for each in run(pings=2, after=act).findings if each.rule.startswith("ring.")]

    assert [lengths(length) for length in (0, 20, 21)] == [[], [], ["ring.used-length"]]


@pytest.mark.usefixtures("driver")
def test_a_receive_queue_without_a_writable_buffer_is_said_so() -> None:
    (found,) = (each for each in run(receive_flags=0).findings if each.rule == "ring.direction")
    assert (found.subject, found.expected.split(" ")[0]) == ("vdev[0].vring[0]", "2")


@pytest.mark.usefixtures("driver")
def test_a_driver_that_never_offers_a_buffer_again_lets_the_ring_run_dry() -> None:
    def act(bench: Bench) -> None:
        def send() -> None:
            for _ in range(8):
                bench.device_send(bench.devices[0], message(1024, 1030, b"news"))
            bench.ring(bench.device)

        bench.turn(bench.device, send)
        bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")))
        bench.turn(bench.device, lambda: bench.device_poll(bench.devices))

    found = next(each for each in run(after=act).findings if each.rule == "buffer.not-offered-again")
    assert found.severity.value == "error"
    assert "8 of 8" in found.actual
    assert "has run dry" in found.actual
    assert causes(run(after=act)) == ["buffer.not-offered-again"]


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("length", "rules"), [(0, ["ring.direction"]), (16, [])])
def test_a_device_that_returns_empty_buffers_as_they_were_has_the_two_vrings_exchanged(
    length: int, rules: list[str]
) -> None:
    """A blank message of 16 bytes is odd, and was written."""

    def act(bench: Bench) -> None:
        def back() -> None:
            ring = bench.devices[0].rings[0]
            ring.give_back(ring.offered() or 0, length)
            bench.ring(bench.device)

        bench.turn(bench.device, back)
        bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))

    found = [each for each in run(announcement=b"", after=act).findings if each.rule == "ring.direction"]
    assert [each.rule for each in found] == rules
    assert all("the two vrings exchanged" in each.actual for each in found)
    assert "ring.direction" not in [each.rule for each in run(after=act).findings]


def test_a_driver_may_take_descriptors_in_any_order() -> None:
    """A free list that is a queue: what comes back under one head is offered under another."""

    def act(bench: Bench) -> None:
        side, free = bench.sides[0], [4, 5, 6, 7]
        for _ in range(8):
            bench.turn(bench.device, lambda: bench.device_send(bench.devices[0], message(1024, 1030, b"news")))

            def take() -> None:
                ring = side.rings[0]
                head = ring.given_back()
                assert head is not None
                address, length = struct.unpack("<QI", ring.memory.read(ring.base + 16 * head, 12))
                free.append(head)
                other = free.pop(0)
                ring.desc(other, address, length, 2)
                ring.offer(other)
                bench.ring(bench.driver)

            bench.turn(bench.driver, take)

    assert run(buffers=4, after=act).findings == ()


def test_the_event_index_is_no_rubbish_behind_a_ring() -> None:
    """With EVENT_IDX each side says behind its ring when it wants to be told."""

    def act(bench: Bench) -> None:
        driver, device = bench.sides[0].rings, bench.devices[0].rings
        for theirs, ours in zip(driver, device, strict=True):
            theirs.half(theirs.avail + 4 + 2 * theirs.num, 3)
            ours.half(ours.used + 4 + 8 * ours.num, 5)

    found = run(entries=dynamic(8, features=5 | int(Feature.EVENT_IDX)), after=act).findings
    assert found == ()


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(("written", "rules"), [((3,), ["ring.used-ahead"]), ((), []), ((0, 1, 2, 3), [])])
def test_an_index_that_moves_past_elements_that_were_seen_not_written_is_ahead(
    written: tuple[int, ...], rules: list[str]
) -> None:
    """Where accesses tell that the device wrote some of them and not the others; where it wrote none, nobody knows."""

    def act(bench: Bench) -> None:
        ring = bench.devices[0].rings[0]
        for slot in written:
            bench.access(bench.device, ring.used + 4 + 8 * slot, 4, before=0, value=0)
        bench.access(bench.device, ring.used + 2, 2, before=0, value=4)

    verdict = run(after=act)
    assert [each.rule for each in verdict.findings if each.rule == "ring.used-ahead"] == rules


@pytest.mark.usefixtures("driver")
def test_a_template_of_the_table_that_nobody_works_with_is_no_second_table() -> None:
    def keep(bench: Bench) -> None:
        bench.main.write(MAIN_RAM + 0x100, bench.table_bytes)

    assert "table.second-copy" not in [each.rule for each in run(starts_rings=False, after=keep).findings]
    assert run(after=keep).findings == ()
