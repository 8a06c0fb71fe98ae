"""The page that the engine shares with its plugin in QEMU (``struct control`` of ``native/control.h``)."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent
from orchestrator.engines.common.c_structs import Header

__all__ = ["CORES", "MOST_COPIED", "MOST_SPANS", "Control", "Probe"]

_HEADER = Header(Path(__file__).parent / "native" / "control.h")
CORES = _HEADER.constants["CORES"]
MOST_SPANS = _HEADER.constants["SPANS"]
MOST_COPIED = _HEADER.constants["COPIED"]  # bytes
_MOST_PROBES = _HEADER.constants["PROBES"]


class _Page(ctypes.Structure):
    _fields_ = _HEADER.fields("control")


@dataclass(frozen=True, slots=True)
class Probe:
    """After a store into ``trigger``, the word at ``address`` is read as the core with this number sees it."""

    trigger: Extent
    core: int
    address: int


class Control:
    """Written while the machine stands still."""

    def __init__(self, path: Path) -> None:
        size = ctypes.sizeof(_Page)
        path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), size)
        self._page = _Page.from_buffer(self._memory)

    def set_turns(self, instructions: int, shift: int) -> None:
        """A core runs so many instructions before the other; each takes ``1 << shift`` ns."""
        self._page.turn, self._page.shift = instructions, shift

    def set_deadline(self, time_ns: int) -> None:
        """When the machine is to stop."""
        self._page.until_ns = time_ns

    @property
    def now_ns(self) -> int:
        """Virtual time at the last stop."""
        return int(self._page.now_ns)

    @property
    def executed(self) -> tuple[int, ...]:
        """Instructions of each core; a block that an exception cut short counts whole."""
        return tuple(self._page.executed)

    def set_spans(self, extents: Sequence[Extent]) -> None:
        """Stores into these are logged; where there are too many, those nearest to each other are joined."""
        spans = _joined(extents)
        for index, span in enumerate(spans):
            self._page.spans[index] = span.start, span.end
        self._page.span_count = len(spans)

    def set_probes(self, probes: Sequence[Probe]) -> None:
        """What is read after which stores."""
        assert len(probes) <= _MOST_PROBES
        for index, probe in enumerate(probes):
            self._page.probes[index] = probe.trigger.start, probe.trigger.end, probe.core, probe.address
        self._page.probe_count = len(probes)

    def set_dumps(self, extents: Sequence[Extent]) -> None:
        """What is saved, one after the other, when QEMU aborts."""
        for index, extent in enumerate(extents):
            self._page.dumps[index] = extent.start, extent.size
        self._page.dump_count = len(extents)

    def set_copies(self, extents: Sequence[Extent]) -> None:
        """Memory, as the first core sees it, that :meth:`copied` holds from the next stop on, one after the other."""
        assert len(extents) <= MOST_SPANS
        assert sum(each.size for each in extents) <= MOST_COPIED
        for index, extent in enumerate(extents):
            self._page.copies[index] = extent.start, extent.size
        self._page.copy_count = len(extents)

    def copied(self, offset: int, size: int) -> bytes:
        """Of the memory that :meth:`set_copies` named, as it was at the last stop."""
        at = _Page.copied.offset + offset
        return self._memory[at : at + size]

    def close(self) -> None:
        """Give the page back."""
        del self._page
        self._memory.close()


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
