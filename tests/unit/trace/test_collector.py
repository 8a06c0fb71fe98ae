"""What a trace says of a run, held against what the board itself says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import pytest

from orchestrator.base.roles import MAIN, REMOTE
from orchestrator.board import Board
from orchestrator.events import CoreState, Event, ExceptionTaken
from orchestrator.trace import RingReplay, Trace, TraceCollector


class Pair(Protocol):
    main: object
    remote: object


def test_the_states_of_a_core_have_no_gaps(demo: Trace) -> None:
    trace = demo
    for core in trace.cores:
        spans = [span for span in trace.states if span.core == core.name]
        assert spans[0].began_ns == 0
        assert spans[-1].ended_ns == trace.ended_ns
        assert all(before.ended_ns == after.began_ns for before, after in pairwise(spans))
        assert {span.state for span in spans} == {CoreState.RUNNING, CoreState.SLEEPING}


def test_a_core_that_was_woken_enters_an_exception_at_once(demo: Trace) -> None:
    trace = demo
    entered = {(each.core, each.began_ns) for each in trace.exceptions}
    woken = [(span.core, span.began_ns) for span in trace.states if span.why == "woken"]
    assert woken
    assert all(any((core, time + delay) in entered for delay in range(101)) for core, time in woken)


def test_every_exception_is_in_it(firmware: Callable[..., Pair]) -> None:
    pair, taken = firmware("demo"), []

    def listen(event: Event) -> None:
        if isinstance(event.detail, ExceptionTaken):
            taken.append((event.core, event.time_ns, event.detail.number))

    with Board(main=str(pair.main), remote=str(pair.remote)) as board:
        collector = TraceCollector(board)
        board.subscribe(listen)
        board.run()
        trace = collector.trace()
    assert [(each.core, each.began_ns, each.number) for each in trace.exceptions] == taken
    assert all(each.ended_ns is not None and each.ended_ns > each.began_ns for each in trace.exceptions)


def test_a_notification_knows_when_it_was_taken(demo: Trace) -> None:
    trace = demo
    entered = {(each.core, each.began_ns) for each in trace.exceptions}
    sent = [each for each in trace.notifications if not each.ignored]
    assert sent
    assert all((each.target, each.taken_ns) in entered for each in sent)
    ignored = [each for each in trace.notifications if each.ignored]
    assert [(each.sender, each.taken_ns) for each in ignored] == [("cpu_cm4", None)]


@pytest.mark.parametrize("variant", ["demo", "two-vdevs", "wrong-channel"])
def test_a_replay_to_the_end_is_what_stands_in_memory(firmware: Callable[..., Pair], variant: str) -> None:
    pair = firmware(variant)
    with Board(main=str(pair.main), remote=str(pair.remote)) as board:
        collector = TraceCollector(board)
        board.run(timeout=1.0)
        traced = collector.trace().pairs[0]
        assert traced.rings == tuple(ring.path for ring in board.vrings)
        for ring in board.vrings:
            assert ring.layout is not None
            extent = ring.layout.extent
            state = RingReplay(traced, ring.path).at(board.time_ns)
            assert state is not None
            assert state.data == board.observer.views.memories[ring.role].read(extent.start, extent.size)


def test_a_replay_goes_through_every_index_once(demo: Trace) -> None:
    pair = demo.pairs[0]
    replay = RingReplay(pair, "vdev[0].vring[1]")
    moves = list(replay.indices())
    assert moves[0][1:] == (0, 0)
    assert moves[-1][1:] == (10, 10)
    assert all((a2 - a1) + (u2 - u1) == 1 for (_, a1, u1), (_, a2, u2) in pairwise(moves))
    for time_ns, avail, used in moves:
        state = replay.at(time_ns)
        assert state is not None
        assert (state.queue.avail_idx, state.queue.used_idx) == (avail, used)
    assert replay.at(moves[0][0] - 1) is None


def test_the_head_of_a_message_is_in_the_ring_when_it_is_sent(demo: Trace) -> None:
    pair = demo.pairs[0]
    replays = {ring: RingReplay(pair, ring) for ring in pair.rings}
    for message in pair.messages:
        state = replays[message.ring].at(message.sent_ns)
        assert state is not None
        queue = state.queue
        if message.from_driver:
            assert queue.avail_ring(queue.avail_idx - 1) == message.head
        else:
            assert queue.used_ring(queue.used_idx - 1).id == message.head


def test_each_message_is_seen_before_it_is_answered(demo: Trace) -> None:
    pair = demo.pairs[0]
    assert pair.messages[0].text == "create rptwin-echo at 1024"
    assert len(pair.messages) == 21
    assert all(each.seen_ns is not None and each.seen_ns > each.sent_ns for each in pair.messages)
    for message, after in pairwise(pair.messages):
        assert message.seen_ns is not None
        assert message.seen_ns < after.sent_ns
        assert (message.sender, message.receiver) == (after.receiver, after.sender)


def test_a_store_to_the_table_has_its_line_of_source(demo: Trace) -> None:
    trace, pair = demo, demo.pairs[0]
    status = [each for each in pair.table_changes if each.path == "vdev[0].status"]
    assert [each.after for each in status] == [1, 3, 7]
    place = trace.places["cpu_cm7"][status[-1].pc or 0]
    assert place.symbol is not None
    assert place.lines


def test_what_is_about_a_fault_has_its_moment(traced: Callable[..., Trace]) -> None:
    trace = traced("crash-remote")
    fault = next(each for each in trace.pairs[0].findings if each.rule == "core.fault")
    mark = next(each for each in trace.faults if each.name == "BusFault")
    assert fault.is_cause
    assert fault.time_ns == mark.time_ns
    missing = next(each for each in trace.pairs[0].findings if each.rule == "vdev.driver-ok-not-reached")
    assert missing.time_ns is None


def test_what_does_not_fit_is_counted(traced: Callable[..., Trace], demo: Trace) -> None:
    whole, cut = demo, traced("demo", most=10)
    assert cut.pairs[0].ring_changes == whole.pairs[0].ring_changes[:10]
    left = cut.left_out["ring_changes"]
    assert left.number == len(whole.pairs[0].ring_changes) - 10
    assert left.since_ns == whole.pairs[0].ring_changes[10].time_ns
    assert not whole.left_out


def test_an_engine_behind_a_process_tells_the_same(traced: Callable[..., Trace], demo: Trace) -> None:
    other = traced("demo", engine="unicorn-remote")
    assert other.states == demo.states
    assert other.pairs[0].ring_changes == demo.pairs[0].ring_changes
    assert other.pairs[0].messages == demo.pairs[0].messages


@pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
def test_of_an_engine_that_tells_no_accesses_the_rings_are_known_by_turns(traced: Callable[..., Trace]) -> None:
    trace = traced("demo", "mps2_an521", "qemu")
    pair = trace.pairs[0]
    assert any("accesses" in each for each in trace.absent)
    assert any("sleeps" in each for each in trace.absent)
    assert {each.pc for each in pair.ring_changes} == {None}
    assert list(RingReplay(pair, "vdev[0].vring[1]").indices())[-1][1:] == (10, 10)
    assert all(each.seen_ns is not None for each in pair.messages)


def test_roles_are_labels(demo: Trace) -> None:
    trace, pair = demo, demo.pairs[0]
    assert {core.name: core.label for core in trace.cores} == {"cpu_cm7": MAIN, "cpu_cm4": REMOTE}
    assert pair.cores == {MAIN: "cpu_cm7", REMOTE: "cpu_cm4"}


def test_what_is_told_of_a_board_begins_where_it_went_back_to(firmware: Callable[..., Pair]) -> None:
    pair = firmware("demo")
    with Board(main=str(pair.main), remote=str(pair.remote)) as board:
        collector = TraceCollector(board)
        board.run_for("300 us")
        snapshot = board.snapshot()
        board.run_for("400 us")
        longer = collector.trace()
        board.restore(snapshot)
        went_back = collector.trace()
        board.run_for("400 us")
        trace = collector.trace()
    assert (went_back.began_ns, went_back.ended_ns) == (snapshot.time_ns, snapshot.time_ns)
    assert (trace.began_ns, trace.ended_ns) == (snapshot.time_ns, longer.ended_ns)
    later = [each for each in longer.pairs[0].messages if each.sent_ns > snapshot.time_ns]
    assert later
    assert [each.payload for each in trace.pairs[0].messages] == [each.payload for each in later]


@pytest.mark.parametrize(
    ("variant", "rule", "milestone"),
    [
        ("align3", "vring.align-not-power-of-two", "vdev[0].vring[1] resolved"),
        ("num6", "vring.num-not-power-of-two", "table present as main sees it"),
        ("used-align", "ring.layout-disagreement", "vdev[0].vring[0] first buffer available"),
    ],
)
def test_what_is_about_the_table_or_a_ring_has_the_moment_at_which_that_was_there(
    traced: Callable[..., Trace], variant: str, rule: str, milestone: str
) -> None:
    (pair,) = traced(variant).pairs
    times = {each.name: each.time_ns for each in reversed(pair.milestones)}
    assert [each.time_ns for each in pair.findings if each.rule == rule] == [times[milestone]]


def test_what_is_about_a_buffer_or_a_core_has_the_moment_of_its_last_deed(traced: Callable[..., Trace]) -> None:
    (pair,) = traced("bad-desc").pairs
    (mark,) = [each for each in pair.findings if each.rule == "buffer.untranslated" and each.is_cause]
    sent = [each.sent_ns for each in pair.messages if each.ring == "vdev[0].vring[1]"]
    assert mark.time_ns is not None
    assert abs(mark.time_ns - sent[0]) < 20_000  # the buffer is known by the turn in which it was handed over
    stuck = traced("stuck-lock")
    (mark,) = [each for each in stuck.pairs[0].findings if each.rule == "core.stuck"]
    assert mark.time_ns is not None
    assert 0 < mark.time_ns < stuck.ended_ns // 2
