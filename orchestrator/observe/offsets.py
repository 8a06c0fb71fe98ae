"""Buffers named by offsets: both sides of a libmetal io region whose physical address is 0 count from its start.

virtio wants the address by which the device reaches a buffer. Two sides that share such a region understand each other
all the same, and the start of the region is nowhere in memory: it is learned from what the buffers hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.roles import MAIN
from orchestrator.formats.rpmsg import decode_message
from orchestrator.observe.views import Span, Views

__all__ = ["IoRegion", "is_shared"]


def is_shared(span: Span) -> bool:
    """Both cores have memory for it."""
    return span.pa is not None and span.da is not None


@dataclass(frozen=True, slots=True)
class IoRegion:
    """Where the region of a vdev's buffers may start, as the remote addresses it, and what is no buffer there."""

    starts: tuple[int, ...]
    taken: tuple[Span, ...] = ()

    def start_of_message(self, views: Views, offset: int, size: int) -> int | None:
        """The only start from which a buffer at an offset holds an RPMsg message; None for none or several."""
        found = [start for start, span in self._spans(views, offset, size) if _holds_message(views, span)]
        return found[0] if len(found) == 1 else None

    def _spans(self, views: Views, offset: int, size: int) -> Iterator[tuple[int, Span]]:
        for start in self.starts:
            span = views.span_at_da("buffer", start + offset, size)
            if is_shared(span) and not any(span.overlaps(each) for each in self.taken):
                yield start, span


def _holds_message(views: Views, span: Span) -> bool:
    """Memory that nobody has written is no message."""
    assert span.pa is not None
    try:
        data = views.memories[MAIN].read(span.pa, span.size)
        header = decode_message(data, where="buffer").header
    except RptwinError:
        return False
    return header.reserved == 0 and (header.src, header.dst) != (0, 0)
