"""Faults to inject as words: what is typed is read, what is left out is drawn and repeats, what is none is named."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrator.base.errors import UsageError
from orchestrator.base.memory import Extent
from orchestrator.board.faults import FAULT_KINDS, Seen, draw, parse_faults, slowed
from orchestrator.platform import load_platform

PLATFORM = load_platform("stm32h745")
SEEN = Seen(Counter(main=7, remote=3), 2_000_000, (Extent(0x3004_0000, 0x80), Extent(0x3004_1000, 0x40)))


@pytest.mark.parametrize(
    "text",
    [
        "lost:remote:2",
        "late:main:1:1.5ms",
        "doubled:main:3:10us",
        "reset:remote:20ms",
        "hold:main:0ns:5ms",
        "hold:main:1us:ever",
        "slow:remote:10",
        "flip:0x30040010.7:42.45us",
    ],
)
def test_an_exact_fault_reads_as_it_is_typed(text):
    (fault,) = parse_faults([text], PLATFORM)
    assert fault.is_exact
    assert str(fault) == text


def test_a_core_may_be_named_as_the_chip_names_it():
    (fault,) = parse_faults(["lost:cpu_cm4:1"], PLATFORM)
    assert str(fault) == "lost:remote:1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a fault: expected lost:CORE:NUMBER | late:CORE:NUMBER:DURATION"),
        ("lose", "not a fault"),
        ("lost:main:1:2", "not a fault"),
        ("lost:m4:1", "no such core: expected main | remote, found m4"),
        ("lost:main:0", "bad value: expected 1 to"),
        ("lost:main:x", "bad value: expected 1 to 4294967296, found 'x'"),
        ("late:main:1:0us", "no time at all: expected more than zero, found 0us"),
        ("late:main:1:ever", "not a duration"),
        ("reset:main:soon", "not a duration"),
        ("slow:main:1", "bad value: expected 2 to"),
        ("flip:0x30040000:1ms", "bad value"),
        ("flip:0x30040000.8:1ms", "bad value: expected 0 to 7, found '8'"),
    ],
)
def test_what_is_no_fault_is_named(text, words):
    with pytest.raises(UsageError) as refused:
        parse_faults([text], PLATFORM)
    assert f"fault {text}" in str(refused.value)
    assert words in str(refused.value)


def test_too_many_are_refused():
    with pytest.raises(UsageError, match="at most 100, found 101"):
        parse_faults(["any"] * 101, PLATFORM)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_what_is_left_out_is_drawn_from_what_was_seen_and_repeats(kind):
    drawn = [draw(parse_faults([kind], PLATFORM), seed, lambda: SEEN)[0] for seed in range(40)]
    assert drawn == [draw(parse_faults([kind], PLATFORM), seed, lambda: SEEN)[0] for seed in range(40)]
    assert len(set(drawn)) > 4
    for each in drawn:
        assert each.is_exact
        assert parse_faults([str(each)], PLATFORM) == (each,)
        assert each.number is None or 1 <= each.number <= SEEN.notified[each.core]
        assert each.time_ns is None or each.time_ns <= SEEN.time_ns
        assert each.address is None or any(each.address in extent for extent in SEEN.extents)
    if kind == "any":
        assert len({each.kind for each in drawn}) > 4


def test_what_is_given_stays():
    (drawn,) = draw(parse_faults(["late:remote"], PLATFORM), 3, lambda: SEEN)
    assert str(drawn).startswith("late:remote:")


def test_an_exact_fault_needs_no_run_to_draw_from():
    def seen() -> Seen:
        raise AssertionError("a run")

    faults = parse_faults(["lost:main:1", "reset:main:1ms"], PLATFORM)
    assert draw(faults, 1, seen) == faults


@pytest.mark.parametrize(("text", "why"), [("lost", "no core notifies another"), ("flip", "no resource table")])
def test_where_there_is_nothing_to_draw_from_it_is_said(text, why):
    with pytest.raises(UsageError, match=why):
        draw(parse_faults([text], PLATFORM), 0, lambda: Seen(Counter(), 0, ()))


def test_a_slow_core_is_slow_and_the_other_one_is_not():
    before = {core.name: core.mips for core in PLATFORM.cores}
    after = {core.name: core.mips for core in slowed(PLATFORM, parse_faults(["slow:remote:4"], PLATFORM)).cores}
    assert after == before | {"cpu_cm4": before["cpu_cm4"] // 4}
