"""Who published what for whom, which channel told of it, and what was found late."""

from __future__ import annotations

from typing import cast

import pytest

from orchestrator.base.roles import Side
from orchestrator.observe.follow import RingFollower
from orchestrator.observe.messages import Actor
from orchestrator.observe.run import Channel, Run
from orchestrator.observe.views import Views

RX, TX = "vdev[0].vring[0]", "vdev[0].vring[1]"
QUANTUM_NS, LATE_NS = 20_000, 1_000_000


@pytest.fixture
def follower() -> RingFollower:
    return RingFollower(cast(Views, None), QUANTUM_NS)  # nothing is read here


@pytest.mark.parametrize(("rings", "votes"), [([TX], {5: 1}), ([TX, RX], {}), ([], {})])
def test_a_channel_is_learned_where_one_ring_was_published_on(
    follower: RingFollower, rings: list[str], votes: dict[int, int]
) -> None:
    run = Run({})
    for ring in rings:
        follower._publish(run, "main", "remote", ring)
    follower.vote(run, "main", Channel("remote", "hsem", 5))
    assert run.ledger.votes == {(ring, "remote"): votes for ring in rings}
    follower.vote(run, "main", Channel("remote", "hsem", 5))
    assert run.ledger.votes == {(ring, "remote"): votes for ring in rings}


def test_who_rings_has_said_nothing_of_what_others_published(follower: RingFollower) -> None:
    run = Run({})
    follower._publish(run, "main", "remote", TX)
    follower.vote(run, "remote", Channel("remote", "hsem", 5))
    follower.vote(run, "main", Channel("main", "hsem", 5))
    assert run.ledger.serves(TX, "remote") is None
    follower.vote(run, "main", Channel("remote", "hsem", 6))
    assert run.ledger.serves(TX, "remote") == 6


@pytest.mark.parametrize(
    ("found_ns", "by", "told_ns", "is_late"),
    [
        (LATE_NS + 1, "remote", None, True),
        (LATE_NS, "remote", None, False),
        (LATE_NS + 1, "main", None, False),
        (LATE_NS + 1, "remote", LATE_NS, False),
        (LATE_NS + 1, "remote", LATE_NS + 1, True),
        (LATE_NS + 1, "remote", -QUANTUM_NS, False),
        (LATE_NS + 1, "remote", -QUANTUM_NS - 1, True),
    ],
)
def test_what_is_found_more_than_1_ms_after_it_was_published_was_told_of_in_time_or_is_late(
    follower: RingFollower, found_ns: int, by: str, told_ns: int | None, is_late: bool
) -> None:
    """A publication is seen at the end of the turn in which its notification was sent: a turn before counts."""
    run, start = Run({}), 5_000_000
    if told_ns is not None:
        run.ledger.recent.extend([(0, "main"), (start + told_ns, "remote")])
    follower._note_late(run, TX, Side.DEVICE, "remote", start, Actor(start + found_ns, by))
    found = run.traffic.ring(TX)
    assert dict(found.late) == ({Side.DEVICE: 1} if is_late else {})
    assert found.first_late == ({Side.DEVICE: (start, start + found_ns)} if is_late else {})
