"""The buffers that descriptors name: where they lie, whose they are, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.base.errors import RptwinError
from orchestrator.base.roles import MAIN, REMOTE, Side
from orchestrator.formats.virtqueue import ChainElement
from orchestrator.observe.offsets import is_shared
from orchestrator.observe.ring_traffic import Buffer, BufferUse, Chain, Look
from orchestrator.observe.views import Span

__all__ = ["MAX_BUFFERS", "MAX_FAULTS", "Buffers"]

MAX_BUFFERS = 4096  # addresses that descriptors ever named; a firmware that takes each from a new place has a leak
MAX_FAULTS = 16
_BLOCK = 256  # bytes
_MOST_BLOCKS = 64  # of one buffer
_MAX_MESSAGE = 0x10000  # bytes of a buffer that are read to find a message; ``len`` of its header has 16 bits


class Neighbours:
    """Buffers by the blocks of memory that they lie in, so that few have to be compared with one; each as it came."""

    def __init__(self) -> None:
        self._all: list[Buffer] = []
        self._order: dict[int, int] = {}  # by address: place in the list of all
        self._by_block: dict[int, list[int]] = {}  # places
        self._wide: list[int] = []  # in more blocks than are looked at

    def add(self, buffer: Buffer) -> None:
        """It lies somewhere now, perhaps elsewhere than before."""
        place = self._order.setdefault(buffer.address, len(self._all))
        if place == len(self._all):
            self._all.append(buffer)
        blocks = self._blocks(buffer)
        if blocks is None:
            self._wide.append(place)
        for block in blocks or ():
            places = self._by_block.setdefault(block, [])
            if place not in places[-1:]:
                places.append(place)

    def of(self, buffer: Buffer) -> Iterator[Buffer]:
        """Those that may share a byte with it, the oldest first, perhaps itself."""
        blocks = self._blocks(buffer)
        if blocks is None:
            return iter(self._all)
        places = {place for block in blocks for place in self._by_block.get(block, ())}
        return (self._all[place] for place in sorted(places.union(self._wide)))

    @staticmethod
    def _blocks(buffer: Buffer) -> list[int] | None:
        """Of both views: a view's number in front of the block's keeps them apart."""
        span = buffer.span
        if span.size > _MOST_BLOCKS * _BLOCK:
            return None
        found = []
        for view, start in enumerate((span.pa, span.da)):
            if start is not None:
                found += [view << 32 | each for each in range(start // _BLOCK, (start + span.size) // _BLOCK + 1)]
        return found


@dataclass(slots=True)
class Buffers:
    """Every buffer that went through the rings."""

    buffers: dict[int, Buffer] = field(default_factory=dict)  # by the address in the descriptor
    buffers_dropped: int = 0
    neighbours: Neighbours = field(default_factory=Neighbours)
    overlaps: list[tuple[Buffer, Buffer]] = field(default_factory=list)
    origins: dict[str, int] = field(default_factory=dict)  # by vdev path, where buffers are named by offsets

    def learn_origin(self, look: Look, chain: Chain) -> None:
        """A message in a buffer that a core does not reach under its address: it may be an offset."""
        first = chain.elements[0].descriptor
        buffer = self.buffers.get(first.addr)
        if buffer is None or is_shared(buffer.span) or look.io is None or look.vdev in self.origins:
            return
        origin = look.io.start_of_message(look.views, first.addr, min(first.len, _MAX_MESSAGE))
        if origin is not None:
            self.origins[look.vdev] = origin
            for each in self.buffers.values():
                if each.ring.startswith(f"{look.vdev}."):
                    self._locate(look, each, each.span.size)

    def _locate(self, look: Look, buffer: Buffer, size: int) -> None:
        """By the address, and where a core has no memory there, by what is known to be added to it."""
        buffer.span = look.views.span_at_da("buffer", buffer.address, size)
        buffer.origin = None if is_shared(buffer.span) else self.origins.get(look.vdev)
        if buffer.origin is not None:
            buffer.span = look.views.span_at_da("buffer", buffer.origin + buffer.address, size)
        self.neighbours.add(buffer)

    def hand_to_device(self, look: Look, chain: Chain, element: ChainElement) -> None:
        address, length = element.descriptor.addr, element.descriptor.len
        path = look.traffic.path
        is_space = chain.is_empty and element.descriptor.is_writable
        buffer = self.buffers.get(address)
        if buffer is None:
            if len(self.buffers) >= MAX_BUFFERS:
                self.buffers_dropped += 1
                return
            unknown = Span("buffer", length, None, None)
            buffer = self.buffers[address] = Buffer(address, unknown, path, is_space)
            self._locate(look, buffer, length)
        elif length > buffer.span.size:
            self._locate(look, buffer, length)
        look.traffic.reclaimed += bool(buffer.used and buffer.owner is Side.DRIVER)
        buffer.ring, buffer.writable, buffer.room = path, is_space, chain.room
        self._check_overlap(buffer)
        buffer.owner = Side.DEVICE
        buffer.posted += 1
        buffer.history.append(BufferUse(chain.posted_ns, Side.DEVICE, path, chain.head, length))

    def _check_overlap(self, buffer: Buffer) -> None:
        """Only what is with the device at the same time counts: a heap gives the same bytes out again and again."""
        if len(self.overlaps) >= MAX_FAULTS:
            return
        for other in self.neighbours.of(buffer):
            if other is not buffer and other.owner is Side.DEVICE and other.span.overlaps(buffer.span):
                if all({a.address, b.address} != {other.address, buffer.address} for a, b in self.overlaps):
                    self.overlaps.append((other, buffer))
                return

    def gather(self, look: Look, chain: Chain) -> bytes | None:
        """What stands in a chain's buffers, one after the other, as far as a message can go; None: out of reach."""
        data = b""
        for element in chain.elements:
            address = element.descriptor.addr
            size = min(element.descriptor.len, _MAX_MESSAGE - len(data))
            if not size:
                continue
            buffer = self.buffers.get(address)
            origin = buffer.origin or 0 if buffer is not None else 0
            span = look.views.span_at_da("buffer", origin + address, size)
            reader = MAIN if span.pa is not None else REMOTE
            extent = span.seen_by(reader)
            if extent is None:
                return None
            try:
                data += look.views.memories[reader].read(extent.start, size)
            except RptwinError:
                return None
        return data
