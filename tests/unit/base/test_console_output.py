"""Console output: whole up to its size, then both ends, and how much is missing between them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.base.console_output import ConsoleOutput, Fresh

pieces = st.lists(st.binary(max_size=40), max_size=30)


def said(*parts: bytes, size: int = 16) -> ConsoleOutput:
    output = ConsoleOutput(size)
    for part in parts:
        output.extend(part)
    return output


@given(pieces)
def test_what_fits_is_whole(parts: list[bytes]) -> None:
    text = b"".join(parts)
    assert said(*parts, size=len(text)).whole() == text


@given(pieces, st.booleans())
def test_of_more_the_ends_are_kept_and_the_rest_is_counted(parts: list[bytes], by_byte: bool) -> None:
    text = b"".join(parts)
    output = said(*parts) if not by_byte else ConsoleOutput(16)
    for byte in text if by_byte else b"":
        output.append(byte)
    assert len(output) == len(text)
    if output.whole() != text:
        left_out = len(text) - 16
        assert output.whole() == b"%s\n[... %d bytes left out ...]\n%s" % (text[:8], left_out, text[-8:])


@given(pieces, st.integers(0, 200))
def test_pieces_since_a_position_are_what_came_behind_it(parts: list[bytes], position: int) -> None:
    text, output = b"".join(parts), said(*parts)
    while (fresh := output.since(position)) != Fresh(0, b""):
        position += fresh.left_out
        assert text[position : position + len(fresh.data)] == fresh.data
        position += len(fresh.data)
    assert position >= len(text)


@given(pieces, st.integers(0, 100))
def test_another_one_goes_on_from_its_pieces(parts: list[bytes], half: int) -> None:
    source, copy = ConsoleOutput(16), ConsoleOutput(16)
    for part in parts:
        source.extend(part)
        if len(part) > half:
            continue
        while (fresh := source.since(len(copy))) != Fresh(0, b""):
            copy.go_on(len(copy), fresh.left_out, fresh.data)
        assert len(copy) == len(source)
        assert copy.whole()[-8:] == source.whole()[-8:]


def test_what_comes_again_is_as_if_it_had_been_said() -> None:
    for times in (0, 1, 3, 1000):
        repeated = said(b"boot\n", b"abc")
        repeated.repeat(5, times)
        spelled = said(b"boot\n", b"abc" * (times + 1))
        assert (len(repeated), repeated.whole()) == (len(spelled), spelled.whole())


def test_what_was_not_kept_comes_again_with_its_end() -> None:
    output = said(b"x" * 100 + b"the end!")
    output.repeat(0, 2)
    assert (len(output), output.whole()[-8:]) == (3 * 108, b"the end!")


@pytest.mark.parametrize(("begin", "found"), [(0, True), (30, True), (31, False)])
def test_text_is_found_from_a_position_on(begin: int, found: bool) -> None:
    assert said(b"." * 30 + b"ready.").finds(re.compile(b"ready"), begin) is found


def test_a_saved_one_is_the_same_again() -> None:
    output = said(b"0123456789" * 4)
    saved = output.save()
    output.extend(b"more")
    other = ConsoleOutput(16)
    other.load(saved)
    assert (len(other), other.whole()) == (40, said(b"0123456789" * 4).whole())
