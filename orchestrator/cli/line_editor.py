"""A line that is being typed: keys as terminals send them, a cursor, what was typed before, completion of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

__all__ = ["KeyDecoder", "LineEditor"]

_MOST_KEPT = 500  # lines of the history
# What terminals send for keys that are no character (ECMA-48 5.4, xterm's control sequences).
_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "1~": "home", "3~": "delete", "4~": "end", "7~": "home", "8~": "end",
}  # fmt: skip
_CONTROLS = {
    "\x01": "home", "\x02": "left", "\x04": "ctrl-d", "\x05": "end", "\x06": "right", "\x08": "backspace",
    "\t": "tab", "\n": "enter", "\x0b": "cut-behind", "\r": "enter", "\x0e": "down", "\x10": "up", "\x14": "ctrl-t",
    "\x15": "cut-before", "\x17": "cut-word", "\x7f": "backspace",
}  # fmt: skip
_ESCAPE = "\x1b"
_SEQUENCE = re.compile(r"\x1b(?:\[|O)(?P<parameters>[0-9;:<=>?]*)(?P<final>[ -/]*[@-~])")
_BEGUN = re.compile(r"\x1b(?:(?:\[|O)[0-9;:<=>? -/]*)?")


class KeyDecoder:
    """Text of a terminal to keys: characters as they are, others by name; a sequence may come in pieces."""

    def __init__(self) -> None:
        self._rest = ""

    def keys(self, text: str) -> Iterator[str]:
        """What was pressed; a sequence that has no name here is passed over as a whole."""
        text, self._rest = self._rest + text, ""
        at = 0
        while at < len(text):
            if text[at] != _ESCAPE:
                yield _CONTROLS.get(text[at], text[at])
                at += 1
                continue
            whole = _SEQUENCE.match(text, at)
            if whole is not None:
                name = _SEQUENCES.get(whole["parameters"].partition(";")[0] + whole["final"]) or _SEQUENCES.get(
                    whole["final"]
                )
                if name is not None:
                    yield name
                at = whole.end()
            elif _BEGUN.fullmatch(text, at):
                self._rest = text[at:]
                return
            else:
                at += 1  # Escape itself, or Alt with a key


class LineEditor:
    """One line, edited by keys; ``names`` gives what a word that begins with ``:`` may be."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self._history: list[str] = []
        self._at = 0  # in the history; its length: the line that is new
        self._new = ""
        self.text = ""
        self.cursor = 0

    def press(self, key: str) -> str | None:
        """Take a key; the line when it is the one that ends it."""
        if key == "enter":
            return self._enter()
        edit = getattr(self, "_" + key.replace("-", "_"), None) if len(key) > 1 else None
        if edit is not None:
            edit()
        elif len(key) == 1 and key.isprintable():
            self._set(self.text[: self.cursor] + key + self.text[self.cursor :], self.cursor + 1)
        return None

    def _set(self, text: str, cursor: int) -> None:
        self.text, self.cursor = text, cursor

    def _enter(self) -> str:
        line = self.text
        if line and self._history[-1:] != [line]:
            self._history = [*self._history, line][-_MOST_KEPT:]
        self._at, self._new = len(self._history), ""
        self._set("", 0)
        return line

    def _left(self) -> None:
        self.cursor = max(0, self.cursor - 1)

    def _right(self) -> None:
        self.cursor = min(len(self.text), self.cursor + 1)

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _backspace(self) -> None:
        if self.cursor:
            self._set(self.text[: self.cursor - 1] + self.text[self.cursor :], self.cursor - 1)

    def _delete(self) -> None:
        self._set(self.text[: self.cursor] + self.text[self.cursor + 1 :], self.cursor)

    def _cut_before(self) -> None:
        self._set(self.text[self.cursor :], 0)

    def _cut_behind(self) -> None:
        self._set(self.text[: self.cursor], self.cursor)

    def _cut_word(self) -> None:
        before = self.text[: self.cursor].rstrip(" ")
        kept = before[: before.rfind(" ") + 1]
        self._set(kept + self.text[self.cursor :], len(kept))

    def _up(self) -> None:
        self._recall(self._at - 1)

    def _down(self) -> None:
        self._recall(self._at + 1)

    def _recall(self, at: int) -> None:
        """A line of the history; behind the last one stands what was being typed."""
        if not 0 <= at <= len(self._history):
            return
        if self._at == len(self._history):
            self._new = self.text
        self._at = at
        text = self._history[at] if at < len(self._history) else self._new
        self._set(text, len(text))

    def _tab(self) -> None:
        """As much of a name as all that begin so have in common."""
        if not self.text.startswith(":") or self.cursor != len(self.text):
            return
        found = sorted(name for name in (":" + each for each in (*self._names(), "quit")) if name.startswith(self.text))
        if found:
            first, last = found[0], found[-1]
            same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
            self._set(first[:same], same)
