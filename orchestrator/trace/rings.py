"""What stood in a ring at any moment, from its shapes and its changes."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.virtqueue import SplitRing
from orchestrator.trace.model import PairTrace, RingChange, RingShape

__all__ = ["RingReplay", "RingState"]

_KEY_EVERY = 512  # changes between two whole states that are kept


@dataclass(frozen=True, slots=True)
class RingState:
    """A ring at one moment."""

    shape: RingShape
    data: bytes  # of ``shape.layout.extent``

    @property
    def queue(self) -> SplitRing:
        """To be read as any ring: descriptors, indices, elements."""
        layout = self.shape.layout
        return SplitRing(BytesMemory(self.shape.view, layout.extent.start, self.data), layout, name=self.shape.ring)


class RingReplay:
    """One ring of a pair over the time of a trace; asking for a moment takes less than ``_KEY_EVERY`` changes."""

    def __init__(self, pair: PairTrace, ring: str) -> None:
        self._shapes = [shape for shape in pair.shapes if shape.ring == ring]
        ends = [*(shape.begins for shape in self._shapes[1:]), len(pair.ring_changes)]
        self._changes: list[list[RingChange]] = []
        self._keys: list[list[bytes]] = []
        for shape, end in zip(self._shapes, ends, strict=False):
            own = [each for each in pair.ring_changes[shape.begins : end] if each.ring == ring]
            self._changes.append(sorted(own, key=lambda each: each.time_ns))
            self._keys.append(list(_keys(shape, self._changes[-1])))

    def at(self, time_ns: int) -> RingState | None:
        """Behind every change up to this moment; None before the ring was there."""
        index = bisect.bisect_right(self._shapes, time_ns, key=lambda each: each.since_ns) - 1
        if index < 0:
            return None
        changes = self._changes[index]
        count = bisect.bisect_right(changes, time_ns, key=lambda each: each.time_ns)
        key = count // _KEY_EVERY
        data = bytearray(self._keys[index][key])
        for change in changes[key * _KEY_EVERY : count]:
            _apply(data, change)
        return RingState(self._shapes[index], bytes(data))

    def indices(self) -> Iterator[tuple[int, int, int]]:
        """Time, ``avail.idx`` and ``used.idx``: at first, and whenever one of them has changed."""
        for shape, changes in zip(self._shapes, self._changes, strict=True):
            layout, data = shape.layout, bytearray(shape.data)
            start = layout.extent.start
            avail, used = layout.avail_idx_at - start, layout.used_idx_at - start
            before = _halfword(data, avail), _halfword(data, used)
            yield shape.since_ns, *before
            for change in changes:
                _apply(data, change)
                now = _halfword(data, avail), _halfword(data, used)
                if now != before:
                    before = now
                    yield max(change.time_ns, shape.since_ns), *now


def _keys(shape: RingShape, changes: list[RingChange]) -> Iterator[bytes]:
    data = bytearray(shape.data)
    yield shape.data
    for number, change in enumerate(changes, 1):
        _apply(data, change)
        if number % _KEY_EVERY == 0:
            yield bytes(data)


def _apply(data: bytearray, change: RingChange) -> None:
    data[change.offset : change.offset + len(change.after)] = change.after


def _halfword(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")
