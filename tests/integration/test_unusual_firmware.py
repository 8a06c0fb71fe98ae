"""Set-ups that are unusual and legal, run by firmware: everything is exchanged, and nothing is found."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from orchestrator.board import Board, EndReason
from orchestrator.formats.resource_entry import Feature


@dataclass(frozen=True)
class Setup:
    """A patch of ``faults/`` that is no fault."""

    vdevs: int = 1
    pings: int = 10
    timeout: str = "1 s"


SETUPS = {
    "event-idx": Setup(),
    "three-vdevs": Setup(vdevs=3),
    "queues-of-two": Setup(),
    "queues-of-1024": Setup(),
    "chained": Setup(),
    "indirect": Setup(),
    "empty-messages": Setup(),
    "da-zero.twin": Setup(),
}


@pytest.mark.parametrize("name", SETUPS)
def test_an_unusual_and_legal_set_up_comes_up_and_nothing_is_found(patched, name):
    images, setup = patched(name), SETUPS[name]
    with Board(main=images.main, remote=images.remote) as board:
        board.run(timeout=setup.timeout)
        verdict = board.verdict()
        output = board.consoles["main"].output.decode()
        rings = board.observer.run.traffic.rings
    assert (verdict.up, verdict.exit_code, verdict.findings, verdict.no_traffic) == (True, 0, (), ())
    assert output.count(f"{setup.pings} pings: {setup.pings} good, 0 bad, 0 lost") == setup.vdevs
    assert len(rings) == 2 * setup.vdevs
    assert all(rings[f"vdev[{i}].vring[1]"].used == setup.pings for i in range(setup.vdevs))


def converse(board, command, answer):
    """Type a command at main's console, wait for what it says, and let the board come to rest."""
    board.consoles["main"].write(f"{command}\r".encode())
    assert board.run(f"main:{answer}", timeout="100 s").reason is EndReason.CONDITION
    board.run(timeout="1 s")
    verdict = board.verdict()
    assert (verdict.up, verdict.exit_code, verdict.findings, verdict.no_traffic) == (True, 0, (), ())


@pytest.mark.parametrize("name", ["chained", "indirect"])
def test_a_message_in_parts_may_be_cut_anywhere(patched, name):
    """The header is cut at each of its bytes, the parts lie the wrong way round, and each cut is at another place."""
    images = patched(name)
    with Board(main=images.main, remote=images.remote) as board:
        board.run()
        for length in (1, 20, 300):
            converse(board, f"ping 60 {length}", "60 pings: 60 good")
        rings, buffers = board.observer.run.traffic.rings, board.observer.run.traffic.buffers
    assert [rings[path].used for path in sorted(rings)] == [191, 190]
    chains = [chain.elements for ring in rings.values() for chain in ring.outstanding.values()]
    assert {len(elements) for elements in chains} == {3}
    assert {"indirect" in each.at.path for elements in chains for each in elements} == {name == "indirect"}
    sizes = {use.length for each in buffers.values() for use in each.history}
    assert set(range(1, 16)) <= sizes


def test_a_remote_that_runs_on_is_started_again_and_again(patched):
    images = patched("restarts")
    with Board(main=images.main, remote=images.remote) as board:
        board.run()
        for count in (1, 2, 3):
            converse(board, "restart", "10 pings: 10 good")
            rings = board.observer.run.traffic.rings
            assert [rings[path].restarts for path in sorted(rings)] == [count, count]
        converse(board, "ping 20 0", "20 pings: 20 good")


def test_vrings_may_lie_outside_of_the_carveout(pair):
    images = pair("static")
    with Board(main=images.main, remote=images.remote) as board:
        board.run()
        converse(board, "ping 20 64", "20 pings: 20 good")
        spans = [ring.span for ring in board.live.rings]
        carveouts = [each.span for each in board.live.carveouts]
    assert len(spans) == 2
    assert carveouts
    assert not any(carveout.overlaps(span) for span in spans for carveout in carveouts)


# Past the end of the indices takes 66,000 messages and half a minute, too long for each run of the suite: that is
# what RPTWIN_FLOOD=66000 is for. 3,000 go round a queue of 1,024 thrice; an index that passes its end is a unit test.
FLOOD = int(os.environ.get("RPTWIN_FLOOD", "3000"))


@pytest.mark.parametrize("name", ["queues-of-two", "queues-of-1024"])
def test_a_queue_goes_round_and_round(patched, name):
    count = FLOOD
    images = patched(name)
    with Board(main=images.main, remote=images.remote) as board:
        board.run()
        converse(board, f"flood {count}", f"{count} messages sent")
        transmit = board.observer.run.traffic.rings["vdev[0].vring[1]"]
    assert (transmit.posted, transmit.used, transmit.restarts) == (count + 10, count + 10, 0)
    assert transmit.used_idx == (count + 10) & 0xFFFF


def test_the_event_index_was_negotiated_and_suppresses(patched):
    images = patched("event-idx")
    with Board(main=images.main, remote=images.remote) as board:
        board.run()
        (vdev,) = board.live.vdevs
        assert vdev.entry.value.head.gfeatures & Feature.EVENT_IDX
        transmit = board.observer.run.traffic.rings["vdev[0].vring[1]"]
        receive = board.observer.run.traffic.rings["vdev[0].vring[0]"]
    assert transmit.suppress_available is None
    assert receive.suppress_available is not None
    assert receive.suppress_available.event is not None
