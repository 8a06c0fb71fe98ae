"""Waveforms, read with pyvcd's reader."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from vcd.reader import TokenKind, VarDecl, tokenize

from orchestrator.events import CoreState
from orchestrator.trace import RingReplay, Trace
from orchestrator.trace.vcd import to_vcd

Changes = list[tuple[int, int]]


def signals(trace: Trace) -> dict[str, Changes]:
    """Of each variable when it changes, and to what; that each change is one."""
    time_ns, scopes, names, found = -1, [], {}, {}
    for token in tokenize(io.BytesIO(to_vcd(trace))):
        if token.kind is TokenKind.SCOPE:
            scopes.append(token.scope.ident)
        elif token.kind is TokenKind.UPSCOPE:
            scopes.pop()
        elif token.kind is TokenKind.VAR:
            declared: VarDecl = token.var
            names[declared.id_code] = ".".join((*scopes, declared.reference)), declared.size
            found[names[declared.id_code][0]] = []
        elif token.kind is TokenKind.CHANGE_TIME:
            assert token.time_change > time_ns
            time_ns = token.time_change
        elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
            change = token.scalar_change if token.kind is TokenKind.CHANGE_SCALAR else token.vector_change
            name, size = names[change.id_code]
            value = int(change.value)
            assert 0 <= value < 1 << size
            assert not found[name] or found[name][-1][1] != value
            found[name].append((time_ns, value))
        elif token.kind is TokenKind.TIMESCALE:
            assert str(token.timescale) == "1 ns"
    assert time_ns == trace.ended_ns
    return found


def at(changes: Changes, time_ns: int) -> int:
    return next(value for time, value in reversed(changes) if time <= time_ns)


@pytest.fixture(scope="module")
def waves(demo: Trace) -> dict[str, Changes]:
    return signals(demo)


def test_every_variable_has_a_value_from_the_beginning(waves: dict[str, Changes]) -> None:
    assert {changes[0][0] for changes in waves.values()} == {0}
    assert {"main.state", "main.exception", "remote.state", "hsem.ch0_to_remote", "vdev0.vring1.avail_idx"} <= set(
        waves
    )


def test_the_state_of_a_core_is_a_number(demo: Trace, waves: dict[str, Changes]) -> None:
    numbers = {CoreState.RUNNING: 1, CoreState.SLEEPING: 2}
    spans = [span for span in demo.states if span.core == "cpu_cm4"]
    assert waves["remote.state"] == [(span.began_ns, numbers[span.state]) for span in spans]


def test_the_exception_is_that_of_ipsr(demo: Trace, waves: dict[str, Changes]) -> None:
    for span in demo.exceptions:
        changes = waves["main.exception" if span.core == "cpu_cm7" else "remote.exception"]
        assert span.ended_ns is not None
        assert at(changes, span.began_ns) == at(changes, span.ended_ns - 1) == span.number
        assert at(changes, span.ended_ns) == 0


def test_a_line_is_pending_until_the_core_takes_it(demo: Trace, waves: dict[str, Changes]) -> None:
    line = waves["hsem.ch0_to_remote"]
    sent = [each for each in demo.notifications if each.target == "cpu_cm4"]
    assert line[1:] == [change for each in sent for change in ((each.sent_ns, 1), (each.taken_ns, 0))]
    ignored = next(each for each in demo.notifications if each.ignored)
    assert waves["hsem.ch1_to_main_ignored"][1] == (ignored.sent_ns, 1)


def test_the_indices_are_those_of_the_ring(demo: Trace, waves: dict[str, Changes]) -> None:
    for time_ns, available, used in RingReplay(demo.pairs[0], "vdev[0].vring[0]").indices():
        assert at(waves["vdev0.vring0.avail_idx"], time_ns) == available
        assert at(waves["vdev0.vring0.used_idx"], time_ns) == used


def test_a_fault_that_is_not_left_stays(traced: Callable[..., Trace]) -> None:
    trace = traced("crash-remote")
    fault = trace.faults[0]
    assert signals(trace)["remote.exception"] == [(0, 0), (fault.time_ns, 5)]
