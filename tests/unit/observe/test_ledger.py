"""Counts of a run: notifications by core and channel, distinct things, and what a core did."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.events import (
    CoreState,
    Fault,
    Frame,
    GuestError,
    Poll,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.observe.run import Channel, CoreRun, Ledger, Run, Tally

REMOTE_5, REMOTE_6 = Channel("remote", "hsem", 5), Channel("remote", "hsem", 6)
MAIN_5 = Channel("main", "hsem", 5)
WHOLE = Channel("remote", "mhu", None)


def test_a_channel_is_named_with_its_number_if_it_has_one() -> None:
    assert [str(each) for each in (REMOTE_5, WHOLE)] == ["hsem channel 5", "mhu"]


def test_notifications_are_counted_by_whom_they_go_to() -> None:
    ledger = Ledger()
    ledger.sent.update({REMOTE_5: 2, REMOTE_6: 3, MAIN_5: 7})
    ledger.taken.update({REMOTE_5: 1, REMOTE_6: 4, MAIN_5: 9})
    assert [ledger.sent_to(role) for role in ("remote", "main", "other")] == [5, 7, 0]
    assert [ledger.taken_by(role) for role in ("remote", "main", "other")] == [5, 9, 0]


@pytest.mark.parametrize(
    ("taken", "sent", "channel", "is_found"),
    [
        (5_000, 50, REMOTE_5, True),
        (4_999, 1, REMOTE_5, False),
        (5_000, 51, REMOTE_5, False),
        (5_000, 40, WHOLE, True),
        (5_000, 41, WHOLE, False),  # ten more came by the other channel
    ],
)
def test_a_channel_is_never_cleared_that_is_taken_a_hundred_times_as_often_as_it_is_rung(
    taken: int, sent: int, channel: Channel, is_found: bool
) -> None:
    ledger = Ledger()
    ledger.taken.update({channel: taken, MAIN_5: 9_000})
    ledger.sent.update({channel: sent, REMOTE_6: 10})
    assert ledger.never_cleared("remote") == ((channel,) if is_found else ())


def test_the_last_one_to_a_core_counts_by_channel_or_over_all() -> None:
    ledger = Ledger()
    ledger.last_sent_ns.update({REMOTE_5: 10, REMOTE_6: 20, MAIN_5: 30})
    assert ledger.last_sent_to("remote") == 20
    assert ledger.last_sent_to("remote", 5) == 10
    assert ledger.last_sent_to("remote", 7) is None
    assert ledger.last_sent_to("main") == 30


def test_what_was_signalled_to_nobody_counts_from_the_very_time_on() -> None:
    ledger = Ledger()
    ledger.last_ignored_ns.update({REMOTE_6: 20, REMOTE_5: 30, MAIN_5: 40})
    assert ledger.ignored_since("remote", 20) == (REMOTE_5, REMOTE_6)
    assert ledger.ignored_since("remote", 21) == (REMOTE_5,)


@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [(10, 10, True), (11, 19, False), (20, 30, True), (19, 19, False), (0, 9, None), (31, 99, False)],
)
def test_a_core_was_told_between_two_times_both_included(begin: int, end: int, told: bool | None) -> None:
    ledger = Ledger()
    ledger.recent.extend([(10, "remote"), (15, "main"), (20, "remote")])
    assert ledger.told_between("remote", begin, end) is told
    assert Ledger().told_between("remote", begin, end) is False


def test_a_signal_is_lost_that_came_before_anybody_listened_and_does_not_wait() -> None:
    ledger = Ledger()
    ledger.last_ignored_ns[REMOTE_5] = 10
    ledger.listens(REMOTE_6, 20, waiting=False)
    ledger.listens(REMOTE_5, 20, waiting=True)
    assert ledger.lost == {}
    ledger.listens(REMOTE_5, 30, waiting=False)
    ledger.listens(REMOTE_5, 40, waiting=False)
    assert ledger.lost == {REMOTE_5: (10, 30)}
    assert ledger.listened_ns == {REMOTE_6: 20, REMOTE_5: 20}


def test_a_ring_is_served_by_the_channel_that_every_observation_names() -> None:
    ledger = Ledger()
    ledger.votes["r", "remote"] = Counter({5: 3})
    ledger.votes["s", "remote"] = Counter({5: 3, 6: 1})
    assert [ledger.serves(ring, "remote") for ring in "rst"] == [5, None, None]
    assert ledger.serves("r", "main") is None
    queues = ledger.to_json({"s": 9})["queues"]
    assert queues == [
        {"ring": "r", "target": "remote", "channel": 5, "how": "learned"},
        {"ring": "s", "target": "remote", "channel": 9, "how": "given"},
    ]
    assert ledger.to_json({})["queues"][1]["how"] == "per core only"  # type: ignore[index]  # plain JSON


def test_of_many_kinds_the_first_64_are_counted_and_all_in_the_total() -> None:
    tally = Tally()
    for each in range(70):
        tally.add(f"{each:02}")
        tally.add("00")
    assert (len(tally.counts), tally.total, tally.counts["00"]) == (64, 140, 71)
    assert tally.to_json()[1] == {"what": "01", "count": 1}
    assert "63" in tally.counts
    assert "64" not in tally.counts


def core(**fields: object) -> CoreRun:
    return CoreRun("remote", "cpu_remote", **{"state": CoreState.RUNNING, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sign",
    [
        {"slept": True},
        {"exceptions": 1},
        {"has_notified": True},
        {"has_written": True},
        {"faults": [(0, None)]},
        {"state": CoreState.SLEEPING},
        {"state": None},
    ],
    ids=str,
)
def test_any_sign_of_life_breaks_the_silence(sign: dict[str, object]) -> None:
    assert core().is_silent
    assert not core(**sign).is_silent


def test_a_core_is_where_its_backtrace_is_and_waits_for_what_it_polls() -> None:
    frames = tuple(Frame(0x100 + i, f"f{i}" if i != 1 else None) for i in range(6))
    polls = tuple(Poll(0x5802_6400 + 4 * i, 4, 0x80 + i, "hsem" if i != 1 else None) for i in range(6))
    found = core(backtrace=frames, waiting=Waiting(0x100, "wait", polls))
    assert found.where == "f0 <- 0x00000101 <- f2 <- f3"
    assert [each.split(" and")[0] for each in found.waits_for] == [
        "reads hsem at 0x58026400",
        "reads memory at 0x58026404",
        "reads hsem at 0x58026408",
        "reads hsem at 0x5802640c",
    ]
    assert core().waits_for == ()


def test_where_an_exception_first_came_in_is_kept_without_the_thumb_bit() -> None:
    found = core()
    for time, address in ((10, 0x101), (20, 0x100), (30, 0x102)):
        found.see_exception(time, 15, address)
    assert found.interrupted_ns == {0x100: 10, 0x102: 30}
    assert (found.exceptions, found.taken_ns, found.acted_ns) == (3, {15: 30}, 30)
    for address in range(0, 400, 2):
        found.see_exception(40, 15, address)
    assert len(found.interrupted_ns) == 64
    found.act(50)
    assert found.acted_ns == 50


def test_of_milestones_the_first_of_each_core_and_name_is_kept_and_256_in_all() -> None:
    run = Run({})
    for time, role in ((1, "main"), (2, "main"), (3, "remote")):
        run.reach(time, role, "up", "x")
    assert [(each.time_ns, each.core) for each in run.milestones] == [(1, "main"), (3, "remote")]
    found = run.milestone("up")
    assert found is not None
    assert found.to_json() == {"time_ns": 1, "core": "main", "name": "up", "detail": "x"}
    assert run.milestone("down") is None
    for each in range(300):
        run.reach(4, "", str(each))
    assert len(run.milestones) == 256
    assert run.milestones[-1].to_json()["core"] is None


def test_of_faults_the_first_four_are_kept_and_all_counted() -> None:
    run, found = Run({}), core()
    for time in range(6):
        fault = Fault("BusFault", (), None, 0x100 + time, "main", "reads", True, {}, ())
        run.see_fault(found, time, fault)
    assert ([time for time, _ in found.faults], found.fault_count) == ([0, 1, 2, 3], 6)


def test_all_faults_of_a_core_that_runs_away_are_fatal() -> None:
    """Each handler skips its instruction: of 5,000 places none is firmware that probes for hardware."""
    run, found = Run({}), core()
    for number in range(5_000):
        pc = 0x100 + 2 * number
        assert len(found.fatal_faults(number)) == 0
        run.see_fault(found, number, Fault("HardFault", (), None, pc, "main", "reads", True, {}, ()))
        found.see_exception(number, 3, pc)
        found.served.leave(3, pc + 2)
    assert found.served.runs_away
    assert found.handled_faults(5_000) == ()
    assert found.fatal_faults(5_000) == tuple(found.served.places.values())
    assert len(found.fatal_faults(5_000)) == 64


def test_of_what_a_correct_firmware_does_not_do_each_place_is_kept_once_and_32_in_all() -> None:
    run, found = Run({}), core()
    for pc, what in ((0x100, "a"), (0x100, "b"), (0x100, "a"), (0x102, "a")):
        run.see_error(found, 0, GuestError(pc, "main", 0, what))
    assert [(each.pc, each.what) for _, each in found.errors] == [(0x100, "a"), (0x100, "b"), (0x102, "a")]
    for pc in range(40):
        run.see_error(found, 0, GuestError(pc, "main", 0, "c"))
    assert (len(found.errors), found.error_count) == (32, 44)


def test_a_register_that_is_not_modelled_is_counted_by_place_and_direction() -> None:
    run = Run({})
    for value, symbol in ((None, "main"), (1, "main"), (None, None)):
        run.see_unmodelled("main", UnmodelledAccess(0x100, symbol, 0x5800_0010, 4, value, "rcc", "no such register"))
    assert sorted(run.unmodelled.counts) == [
        "main at 0x00000100 reads rcc 0x58000010: no such register",
        "main at main reads rcc 0x58000010: no such register",
        "main at main writes rcc 0x58000010: no such register",
    ]
