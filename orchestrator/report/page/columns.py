"""What many rows say, column by column: shorter than an object for each, and read into typed arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["Names", "Plain", "depths", "differences"]

Plain = dict[str, object]  # as JSON has it


class Names:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Of a text; -1 for none."""
        return self._numbers.setdefault(text, len(self._numbers)) if text else -1

    @property
    def texts(self) -> list[str]:
        """By their numbers."""
        return list(self._numbers)


def differences(times: Iterable[int]) -> list[int]:
    """Each time as its difference to the one before, the first as it is."""
    found, before = [], 0
    for each in times:
        found.append(each - before)
        before = each
    return found


def depths(spans: Sequence[tuple[int, int]]) -> list[int]:
    """How many of the spans (by their begin) each lies inside of."""
    found: list[int] = []
    open_until: list[int] = []
    for began, ended in spans:
        while open_until and open_until[-1] <= began:
            open_until.pop()
        found.append(len(open_until))
        open_until.append(ended)
    return found
