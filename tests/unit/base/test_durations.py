"""Durations as they are typed and shown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.durations import format_duration, parse_duration
from orchestrator.base.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 ms", 50_000_000),
        ("5 s", 5_000_000_000),
        ("20us", 20_000),
        ("20 µs", 20_000),
        ("1.5s", 1_500_000_000),
        (" 7 ns ", 7),
        ("2min", 120_000_000_000),
        ("0 s", 0),
        (3, 3_000_000_000),
        (0.25, 250_000_000),
    ],
)
def test_a_duration_is_read_to_the_nanosecond(text: str | float, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 S", "-1 s", "1e3 s", "1,5 s", "5 s s", "five s", ".5 s", "٣ s", -1, True, float("nan")]
)
def test_what_is_no_duration_is_refused_and_the_message_names_what_is(text: str | float) -> None:
    with pytest.raises(UsageError, match=r"^--timeout: not a duration: expected a number and a unit \(ns, us, ms, s"):
        parse_duration(text, "--timeout")


def test_a_duration_finer_than_a_nanosecond_or_longer_than_the_clock_is_refused() -> None:
    with pytest.raises(UsageError, match="finer than a nanosecond"):
        parse_duration("0.5 ns")
    with pytest.raises(UsageError, match="too long"):
        parse_duration("9" * 30 + " s")


@given(st.integers(min_value=0, max_value=(1 << 63) - 1))
def test_a_formatted_duration_reads_back_as_itself(time_ns: int) -> None:
    assert parse_duration(format_duration(time_ns)) == time_ns


@given(st.text())
def test_any_text_is_a_duration_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_duration(text) >= 0
