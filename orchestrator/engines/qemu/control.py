"""The page that the engine shares with its plugin in QEMU (``struct control`` of ``turns.c``)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.memory import Extent

__all__ = ["CORES", "MOST_COPIED", "MOST_SPANS", "Control", "Probe"]

CORES = 2
MOST_SPANS = 64
MOST_COPIED = 256 * 1024  # bytes
_MOST_PROBES = 16

_TIMES = struct.Struct("<QQQ")  # until, instructions of a turn, shift
_NOW = 24
_EXECUTED = 32
_COUNTS = struct.Struct("<II")
_COUNTS_AT = 48
_SPAN = struct.Struct("<II")
_SPANS_AT = _COUNTS_AT + _COUNTS.size
_PROBE = struct.Struct("<IIII")
_PROBES_AT = _SPANS_AT + MOST_SPANS * _SPAN.size
_DUMPS_AT = _PROBES_AT + _MOST_PROBES * _PROBE.size
_COPIES_AT = _DUMPS_AT + 4 + MOST_SPANS * _SPAN.size
_COPIED_AT = _COPIES_AT + 4 + MOST_SPANS * _SPAN.size
_SIZE = _COPIED_AT + MOST_COPIED


@dataclass(frozen=True, slots=True)
class Probe:
    """After a store into ``trigger``, the word at ``address`` is read as the core with this number sees it."""

    trigger: Extent
    core: int
    address: int


class Control:
    """Written while the machine stands still."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)

    def set_turns(self, instructions: int, shift: int) -> None:
        """A core runs so many instructions before the other; each takes ``1 << shift`` ns."""
        _TIMES.pack_into(self._page, 0, 0, instructions, shift)

    def set_deadline(self, time_ns: int) -> None:
        """When the machine is to stop."""
        struct.pack_into("<Q", self._page, 0, time_ns)

    @property
    def now_ns(self) -> int:
        """Virtual time at the last stop."""
        return int(struct.unpack_from("<Q", self._page, _NOW)[0])

    @property
    def executed(self) -> tuple[int, ...]:
        """Instructions of each core; a block that an exception cut short counts whole."""
        return struct.unpack_from(f"<{CORES}Q", self._page, _EXECUTED)

    def set_spans(self, extents: Sequence[Extent]) -> None:
        """Stores into these are logged; where there are too many, those nearest to each other are joined."""
        spans = _joined(extents)
        for index, span in enumerate(spans):
            _SPAN.pack_into(self._page, _SPANS_AT + index * _SPAN.size, span.start, span.end)
        struct.pack_into("<I", self._page, _COUNTS_AT, len(spans))

    def set_probes(self, probes: Sequence[Probe]) -> None:
        """What is read after which stores."""
        assert len(probes) <= _MOST_PROBES
        for index, probe in enumerate(probes):
            words = (probe.trigger.start, probe.trigger.end, probe.core, probe.address)
            _PROBE.pack_into(self._page, _PROBES_AT + index * _PROBE.size, *words)
        struct.pack_into("<I", self._page, _COUNTS_AT + 4, len(probes))

    def set_dumps(self, extents: Sequence[Extent]) -> None:
        """What is saved, one after the other, when QEMU aborts."""
        for index, extent in enumerate(extents):
            _SPAN.pack_into(self._page, _DUMPS_AT + 4 + index * _SPAN.size, extent.start, extent.size)
        struct.pack_into("<I", self._page, _DUMPS_AT, len(extents))

    def set_copies(self, extents: Sequence[Extent]) -> None:
        """Memory, as the first core sees it, that :meth:`copied` holds from the next stop on, one after the other."""
        assert len(extents) <= MOST_SPANS
        assert sum(each.size for each in extents) <= MOST_COPIED
        for index, extent in enumerate(extents):
            _SPAN.pack_into(self._page, _COPIES_AT + 4 + index * _SPAN.size, extent.start, extent.size)
        struct.pack_into("<I", self._page, _COPIES_AT, len(extents))

    def copied(self, offset: int, size: int) -> bytes:
        """Of the memory that :meth:`set_copies` named, as it was at the last stop."""
        return self._page[_COPIED_AT + offset : _COPIED_AT + offset + size]

    def close(self) -> None:
        """Give the page back."""
        self._page.close()


def _joined(extents: Iterable[Extent]) -> list[Extent]:
    spans: list[Extent] = []
    for extent in sorted(extents):
        if spans and extent.start <= spans[-1].end:
            spans[-1] = Extent.between(spans[-1].start, max(spans[-1].end, extent.end))
        else:
            spans.append(extent)
    while len(spans) > MOST_SPANS:
        index = min(range(len(spans) - 1), key=lambda each: spans[each + 1].start - spans[each].end)
        spans[index : index + 2] = [Extent.between(spans[index].start, spans[index + 1].end)]
    return spans
