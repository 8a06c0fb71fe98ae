"""What the consoles of a board say, as lines in the order of virtual time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.board.consoles import BoardConsole

__all__ = ["ConsoleLine", "LineReader", "in_order", "merged_lines"]


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """A line, or a part of one: ``time_ns`` is when its first byte came (virtual, since power-on).

    None where nobody knows: of a trace buffer, which is memory, and of what was left out or skipped.
    """

    time_ns: int | None
    console: str
    text: str


class LineReader:
    """The lines of one console, as they come."""

    def __init__(self, name: str, console: BoardConsole) -> None:
        self._name = name
        self._console = console
        self._taken = 0

    def take(self, *, unfinished: bool = False) -> list[ConsoleLine]:
        """Each new line; with ``unfinished`` one that has not ended too, as a prompt."""
        console, lines = self._console, []
        if console.total < self._taken:  # a trace buffer that was cleared or has wrapped
            self._taken = 0
        while (fresh := console.since(self._taken)) != (0, b""):
            if fresh.left_out:
                lines.append(ConsoleLine(None, self._name, f"[... {fresh.left_out} bytes left out ...]"))
            begin = self._taken + fresh.left_out
            end = len(fresh.data) if unfinished else fresh.data.rfind(b"\n") + 1
            lines += self._split(begin, fresh.data[:end])
            self._taken = begin + end
            if end < len(fresh.data):
                break
        return lines

    def _split(self, begin: int, data: bytes) -> Iterator[ConsoleLine]:
        starts = self._console.line_starts
        positions = [each.position for each in starts]
        pieces = data.split(b"\n")
        for piece in pieces if pieces[-1] else pieces[:-1]:
            at = bisect_left(positions, begin)
            time_ns = starts[at].time_ns if at < len(starts) and positions[at] == begin else None
            yield ConsoleLine(time_ns, self._name, piece.decode("utf-8", "replace").replace("\r", ""))
            begin += len(piece) + 1


def merged_lines(consoles: Mapping[str, BoardConsole]) -> tuple[ConsoleLine, ...]:
    """Everything that was said, by time; a line without one stands behind the one before it in its console."""
    return in_order(
        line for name, console in consoles.items() for line in LineReader(name, console).take(unfinished=True)
    )


def in_order(lines: Iterable[ConsoleLine]) -> tuple[ConsoleLine, ...]:
    """By time; those of one console stay in their order."""
    keyed: list[tuple[int, ConsoleLine]] = []
    latest: dict[str, int] = {}
    for line in lines:
        at = max(latest.get(line.console, 0), line.time_ns or 0)
        latest[line.console] = at
        keyed.append((at, line))
    return tuple(line for _, line in sorted(keyed, key=lambda each: each[0]))
