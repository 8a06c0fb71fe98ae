"""One reading of "this text came out": however a console's output is cut, the answer is that for the whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.errors import UsageError
from orchestrator.engines.common.console_match import TextMatch

PATTERNS = ("ready", "^ready", "ready$", "^ready$", "a.*y", "e[ad]+", r"y\n\w", r"\Aready")


def first_look(match: TextMatch, pieces: list[bytes]) -> int | None:
    """At which look the match was seen."""
    output = bytearray()
    for number, piece in enumerate(pieces):
        output += piece
        if match.is_in(output):
            return number
    return None


@given(st.sampled_from(PATTERNS), st.lists(st.sampled_from([b"re", b"ady", b"ready", b"\n", b"not "]), max_size=12))
def test_output_that_comes_in_pieces_is_read_as_the_whole(pattern: str, pieces: list[bytes]) -> None:
    whole = [bool(re.search(pattern.encode(), b"".join(pieces[: n + 1]), re.MULTILINE)) for n in range(len(pieces))]
    # What only the end of a line that has not ended yet completed was seen all the same.
    seen = first_look(TextMatch(pattern, regex=True), pieces)
    assert seen == next((number for number, found in enumerate(whole) if found), None)


@pytest.mark.parametrize("text", ["two", "^two", "two$", "t.o"])
def test_text_from_before_since_is_none(text: str) -> None:
    output = b"one\ntwo\n"
    assert not TextMatch(text, regex=True, since=len(output)).is_in(output)
    assert not TextMatch(text, regex=True, since=len(output)).is_in(output + b"three\n")
    assert TextMatch(text, regex=True, since=4).is_in(output)


def test_a_line_begins_where_it_began_and_not_at_since() -> None:
    assert not TextMatch("^ready", regex=True, since=4).is_in(b"not ready")
    assert TextMatch("^ready", regex=True, since=4).is_in(b"not\nready")


def test_plain_text_is_no_pattern() -> None:
    assert TextMatch("a.b$", regex=False).is_in(b"a.b$")
    assert not TextMatch("a.b$", regex=False).is_in(b"axb\n")


def test_text_is_compared_as_utf_8() -> None:
    assert TextMatch("5 µs", regex=False).is_in("5 µs".encode())
    assert TextMatch("^µ.$", regex=True).is_in("µs".encode())


@pytest.mark.parametrize("text", ["(", r"\N{DEGREE SIGN}"])
def test_what_is_no_regular_expression_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="until: not a regular expression"):
        TextMatch(text, regex=True)
