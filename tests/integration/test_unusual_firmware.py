"""Set-ups that are unusual and legal, run by firmware: everything is exchanged, and nothing is found."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.board import Board
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
