"""The tester of bytes, against the cable of the terminal tester's tests."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.console_output import Fresh
from orchestrator.robot.binary import BinaryMatch, BinaryTester
from orchestrator.robot.tester import TerminalError

MS = 1_000_000


class ChunkCable:
    """A guest that sends one chunk each millisecond."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks
        self.time_ns = 0
        self.written = b""

    @property
    def output(self) -> bytes:
        return b"".join(self._chunks[: self.time_ns // MS])

    def since(self, position: int) -> Fresh:
        return Fresh(0, self.output[position:])

    def write(self, data: bytes) -> None:
        self.written += data

    def advance(self, limit_ns: int) -> bool:
        self.time_ns += min(limit_ns, MS)
        return True


def attached(*chunks: bytes) -> BinaryTester:
    return BinaryTester("usart3", ChunkCable(*chunks), 10 * MS)


def test_bytes_that_come_apart_are_found_when_the_last_is_there() -> None:
    assert attached(b"\x00\r\x01", b"\xa5\xff").wait_for("01 A5") == BinaryMatch(b"\x01\xa5", 2.0)


def test_a_match_uses_up_what_came_before_it_and_nothing_after_it() -> None:
    tester = attached(b"\x01\x02\x03\x04")
    tester.wait_for("0203")
    assert tester.wait_for("04", at_start=True).Content == b"\x04"
    with pytest.raises(TerminalError, match=r"usart3: bytes '01' did not come within 0\.01 s"):
        tester.wait_for("01")


def test_bytes_that_have_to_be_next_may_not_come_later() -> None:
    with pytest.raises(TerminalError):
        attached(b"\x00\x01").wait_for("01", at_start=True)


def test_a_dot_is_any_byte_and_groups_are_bytes() -> None:
    assert attached(b"\xff\n\x80!").wait_for(r"\xff(.)(\x80)", regex=True).Groups == (b"\n", b"\x80")


@pytest.mark.parametrize(
    ("pattern", "regex", "what"), [("0g", False, "bytes in hexadecimal"), ("(", True, "a regular expression of bytes")]
)
def test_a_pattern_that_is_none_is_named(pattern: str, regex: bool, what: str) -> None:
    with pytest.raises(TerminalError, match=f"is not {what}"):
        attached().wait_for(pattern, regex=regex)


def test_the_report_shows_what_was_used_up_and_what_waits() -> None:
    tester = attached(b"\x01\x02\x03")
    assert tester.report() == "(nothing was received)"
    tester.wait_for("02")
    assert tester.report() == "01 02 [waiting] 03"
    tester.clear()
    assert tester.report() == "(nothing was received)"


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=3), st.lists(st.integers(0, 43), max_size=4))
def test_bytes_are_found_wherever_they_are_cut(before: bytes, wanted: bytes, cuts: list[int]) -> None:
    sent = before + wanted
    edges = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    tester = attached(*(sent[a:b] for a, b in itertools.pairwise(edges)))
    assert tester.wait_for(wanted.hex()).Content == wanted
    assert sent.hex(" ").startswith(tester.report().replace("[waiting] ", ""))
