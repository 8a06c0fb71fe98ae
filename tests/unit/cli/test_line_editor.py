from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.line_editor import KeyDecoder, LineEditor


def keys(*pieces: str) -> list[str]:
    decoder = KeyDecoder()
    return [key for piece in pieces for key in decoder.keys(piece)]


def typed(*pieces: str) -> tuple[LineEditor, list[str]]:
    editor = LineEditor(lambda: ("main", "remote", "remote.trace"))
    lines = [line for key in keys(*pieces) if (line := editor.press(key)) is not None]
    return editor, lines


@pytest.mark.parametrize(
    ("pieces", "named"),
    [
        (["a\x1b[Ab"], ["a", "up", "b"]),
        (["\x1bOA\x1b[1;5D\x1b[3~"], ["up", "left", "delete"]),
        (["\x1b", "[", "A"], ["up"]),
        (["\x1b[1;", "5Cx"], ["right", "x"]),
        (["\x1b[99~\x1b[?25hx"], ["x"]),
        (["\x1bx"], ["x"]),
        (["é\r\n\t"], ["é", "enter", "enter", "tab"]),
    ],
)
def test_a_key_has_its_name_whatever_pieces_it_comes_in(pieces: list[str], named: list[str]) -> None:
    assert keys(*pieces) == named


@pytest.mark.parametrize(
    ("pieces", "text", "cursor"),
    [
        (["ping\x1b[D\x1b[D\x1b[Dx"], "pxing", 2),
        (["ping\x1b[Hx\x1b[Fy"], "xpingy", 6),
        (["ping\x7f\x7f"], "pi", 2),
        (["ping\x1b[D\x1b[3~"], "pin", 3),
        (["ping 3 64\x17"], "ping 3 ", 7),
        (["ping 3\x1b[D\x15"], "3", 1 - 1),
        (["ping\x01\x06\x0b"], "p", 1),
        (["\x7f\x1b[D\x1b[3~\x1b[A\x1b[B"], "", 0),
    ],
)
def test_keys_edit_the_line(pieces: list[str], text: str, cursor: int) -> None:
    editor, _ = typed(*pieces)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_lines_before_come_back_and_what_was_being_typed_waits_behind_them() -> None:
    editor, lines = typed("one\rtwo\rtwo\r\rth\x1b[A\x1b[A")
    assert lines == ["one", "two", "two", ""]
    assert editor.text == "one"
    for key in ("up", "down"):
        editor.press(key)
    assert editor.text == "two"
    editor.press("down")
    assert editor.text == "th"
    editor.press("down")
    assert editor.text == "th"


@pytest.mark.parametrize(
    ("begun", "text"),
    [(":m", ":main"), (":r", ":remote"), (":remote.", ":remote.trace"), (":q", ":quit"), (":x", ":x"), ("m", "m")],
)
def test_tab_completes_the_name_of_a_console_as_far_as_it_is_certain(begun: str, text: str) -> None:
    assert typed(begun + "\t")[0].text == text


@given(st.lists(st.text(), max_size=6))
def test_whatever_a_terminal_sends_the_cursor_stays_in_the_line(pieces: list[str]) -> None:
    editor, _ = typed(*pieces)
    assert 0 <= editor.cursor <= len(editor.text)
    assert editor.text.isprintable()


@given(st.text())
def test_keys_are_the_same_in_one_piece_and_one_by_one(text: str) -> None:
    assert keys(text) == keys(*text)
