"""The buffers that descriptors name: where they lie, whose they are, and what stands in them."""

from __future__ import annotations

import bisect
from dataclasses import field

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RptwinError
from orchestrator.base.roles import MAIN, REMOTE, ROLES, Side
from orchestrator.formats.virtqueue import ChainElement
from orchestrator.observe.offsets import is_shared
from orchestrator.observe.ring_traffic import Buffer, BufferUse, Chain, Look
from orchestrator.observe.views import Span

__all__ = ["MAX_BUFFERS", "MAX_FAULTS", "Buffers"]

MAX_BUFFERS = 4096  # addresses that descriptors ever named; a firmware that takes each from a new place has a leak
MAX_FAULTS = 16
_MAX_MESSAGE = 0x10000  # bytes of a buffer that are read to find a message; ``len`` of its header has 16 bits


@dataclass(slots=True)
class Buffers:
    """Every buffer that went through the rings."""

    buffers: dict[int, Buffer] = field(default_factory=dict)  # by the address in the descriptor
    buffers_dropped: int = 0
    moved: set[int] = field(default_factory=set)  # that lie elsewhere, or are longer, since somebody last asked
    overlaps: list[tuple[Buffer, Buffer]] = field(default_factory=list)
    origins: dict[str, int] = field(default_factory=dict)  # by vdev path, where buffers are named by offsets
    _starts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # by role: where each lies, its address
    _near: dict[int, set[int]] = field(default_factory=dict)  # by address: the others that share bytes with it
    _longest: int = 0  # bytes

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
        if buffer.address in self._near:
            self._take_out(buffer)
            self.moved.add(buffer.address)
        buffer.span = look.views.span_at_da("buffer", buffer.address, size)
        buffer.origin = None if is_shared(buffer.span) else self.origins.get(look.vdev)
        if buffer.origin is not None:
            buffer.span = look.views.span_at_da("buffer", buffer.origin + buffer.address, size)
        self._put_in(buffer)

    def _put_in(self, buffer: Buffer) -> None:
        """Find out which others share bytes with it, once for as long as it lies here."""
        near: set[int] = set()
        self._longest = max(self._longest, buffer.span.size)
        for role in ROLES:
            extent = buffer.span.seen_by(role)
            if extent is None:
                continue
            starts = self._starts.setdefault(role, [])
            first = bisect.bisect_left(starts, (extent.start - self._longest,))
            last = bisect.bisect_left(starts, (extent.end,))
            near.update(
                address for _, address in starts[first:last] if self.buffers[address].span.overlaps(buffer.span)
            )
            bisect.insort(starts, (extent.start, buffer.address))
        near.discard(buffer.address)
        self._near[buffer.address] = near
        for address in near:
            self._near[address].add(buffer.address)

    def _take_out(self, buffer: Buffer) -> None:
        for role in ROLES:
            extent = buffer.span.seen_by(role)
            if extent is not None:
                starts = self._starts[role]
                del starts[bisect.bisect_left(starts, (extent.start, buffer.address))]
        for address in self._near.pop(buffer.address):
            self._near[address].discard(buffer.address)

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
        buffer.ring, buffer.writable, buffer.room, buffer.length = path, is_space, chain.room, length
        self._check_overlap(buffer)
        buffer.owner = Side.DEVICE
        buffer.posted += 1
        buffer.history.append(BufferUse(chain.posted_ns, Side.DEVICE, path, chain.head, length))

    def _check_overlap(self, buffer: Buffer) -> None:
        """Only what is with the device at the same time counts, and as long as it was given this time: a heap gives
        the same bytes out again and again, and a driver may cut a buffer elsewhere each time.
        """
        if len(self.overlaps) >= MAX_FAULTS:
            return
        near = self._near[buffer.address]
        for address in sorted(near) if near else ():
            other = self.buffers[address]
            if other.owner is Side.DEVICE and other.held.overlaps(buffer.held):
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
            if buffer is not None and size <= buffer.span.size and is_shared(buffer.span):
                span = buffer.span
            else:
                origin = buffer.origin if buffer is not None else None
                span = look.views.span_at_da("buffer", address if origin is None else origin + address, size)
            reader, start = (MAIN, span.pa) if span.pa is not None else (REMOTE, span.da)
            if start is None:
                return None
            try:
                data += look.views.memories[reader].read(start, size)
            except RptwinError:
                return None
        return data
