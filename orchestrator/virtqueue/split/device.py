"""The device of a split virtqueue: takes chains, and gives them back as used (virtio 1.3, 2.7.14)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.base.errors import RingError, UsageError
from orchestrator.base.memory import Memory
from orchestrator.formats.virtqueue import DescriptorFlag, RingLayout, SplitRing
from orchestrator.virtqueue.memory import ordered
from orchestrator.virtqueue.side import (
    Chain,
    Negotiated,
    Report,
    Segment,
    Translate,
    VirtqueueSide,
    check_order,
    needs_event,
    resolve,
    same_address,
)
from orchestrator.virtqueue.split.fields import DESCRIPTOR, NO_NOTIFICATION, USED

__all__ = ["SplitDevice"]


class SplitDevice(VirtqueueSide):
    """The side that uses buffers; ``translate`` gives the address of a descriptor in this side's view."""

    def __init__(
        self,
        memory: Memory,
        layout: RingLayout,
        negotiated: Negotiated | None = None,
        *,
        translate: Translate = same_address,
        name: str = "",
        report: Report | None = None,
    ) -> None:
        super().__init__(memory, name, report)
        self.layout = layout
        self.negotiated = negotiated or Negotiated()
        self._memory = ordered(memory)
        self._translate = translate
        self._ring = SplitRing(memory, layout, translate=translate, name=name)
        self._wants = True
        self.reset()

    def reset(self) -> None:
        """Start from the beginning of a ring that the driver has emptied."""
        self._next_avail = self._next_used = self._notified = self._expected_head = 0
        self._taken: set[int] = set()
        self.is_broken = False

    @property
    def base(self) -> int:
        """Where :meth:`resume` goes on: the free-running index of the next chain to take."""
        return self._next_avail

    def resume(self, base: int) -> None:
        """Go on in a ring that is under way: at this chain, behind what its used index says was given back."""
        self.reset()
        self._next_avail = base & 0xFFFF
        self._next_used = self._notified = self._memory.load16(self.layout.used_idx_at)

    @property
    def taken_count(self) -> int:
        """Chains taken and not given back."""
        return len(self._taken)

    def take(self) -> Chain | None:
        """The next chain that the driver made available; None when there is none.

        One that breaks a rule goes back with nothing written, if it can be named at all, and the next is looked at.
        """
        while not self.is_broken:
            idx = self._memory.load16(self.layout.avail_idx_at)
            pending = (idx - self._next_avail) & 0xFFFF
            if not pending:
                return None
            if pending + len(self._taken) > self.layout.num:
                self.is_broken = True
                self.blame(
                    "ring.avail-overrun",
                    "more made available than the queue holds",
                    self.layout.avail_idx_at,
                    "avail.idx",
                    expected=f"at most {self.layout.num - len(self._taken)} after {self._next_avail}",
                    found=idx,
                )
                return None
            chain = self._take_slot(self._next_avail % self.layout.num)
            self._next_avail = (self._next_avail + 1) & 0xFFFF
            if self.negotiated.event_idx and self._wants:
                self._memory.store16(self.layout.avail_event_at, self._next_avail)
            if chain is not None:
                return chain
        return None

    def _take_slot(self, slot: int) -> Chain | None:
        at = self.layout.avail_ring_at(slot)
        head = self._memory.load16(at)
        if head >= self.layout.num or head in self._taken:
            in_use = head in self._taken
            self.blame(
                "ring.head-in-use" if in_use else "ring.index-out-of-range",
                "made available again while the device has it" if in_use else "no descriptor has this index",
                at,
                f"avail.ring[{slot}]",
                expected="a head that is not with the device" if in_use else f"0..{self.layout.num - 1}",
                found=head,
            )
            return None
        found = self._walk(head)
        self._taken.add(head)
        if isinstance(found, RingError):
            self.fault(found)
            self._give_back(head, 0)
            return None
        if self.negotiated.in_order:
            self._check_in_order(head, found, at, slot)
        return found

    def _check_in_order(self, head: int, chain: Chain, at: int, slot: int) -> None:
        """Descriptors are taken from 0 on, round and round (virtio 1.3, 2.7.9)."""
        if head != self._expected_head:
            self.blame(
                "ring.avail-out-of-order",
                "not the next descriptor of the table",
                at,
                f"avail.ring[{slot}]",
                expected=self._expected_head,
                found=head,
            )
        self._expected_head = (head + chain.slots) % self.layout.num

    def _walk(self, head: int) -> Chain | RingError:
        try:
            addr, length, flags, _next = DESCRIPTOR.unpack(self._memory.read(self.layout.desc_at(head), 16))
            if flags & (DescriptorFlag.NEXT | DescriptorFlag.INDIRECT):
                return self._walk_chain(head, flags)
            segment = resolve(
                self._memory,
                self._translate,
                addr,
                length,
                is_writable=bool(flags & DescriptorFlag.WRITE),
                where=lambda: self.place(self.layout.desc_at(head), f"desc[{head}].addr"),
            )
            return segment if isinstance(segment, RingError) else self._chain(head, (segment,), 1)
        except RingError as error:
            if error.rule != "ring.unreadable":
                return error
            # The ring itself can be read, so it is a table that cannot.
            return RingError(
                error.what,
                rule="ring.indirect-address",
                where=error.place or error.where,
                expected=error.expected,
                found=error.found,
            )

    def _walk_chain(self, head: int, flags: int) -> Chain | RingError:
        elements = self._ring.chain(head)
        nested = any("indirect" in each.at.path for each in elements)
        if nested and not self.negotiated.indirect:
            return RingError(
                "an indirect table that was not negotiated",
                rule="ring.indirect-not-negotiated",
                where=self.place(self.layout.desc_at(head), f"desc[{head}].flags"),
                expected="no INDIRECT",
                found=f"{flags:#x}",
            )
        segments: list[Segment] = []
        for each in elements:
            descriptor = each.descriptor
            found = resolve(
                self._memory,
                self._translate,
                descriptor.addr,
                descriptor.len,
                is_writable=descriptor.is_writable,
                where=lambda at=each.at: replace(at, path=f"{at.path}.addr"),  # type: ignore[misc]  # bound in each round
            )
            if isinstance(found, RingError):
                return found
            segments.append(found)
        wrong = check_order(segments, self.place(self.layout.desc_at(head), f"desc[{head}]"))
        own = sum("indirect" not in each.at.path for each in elements) + nested
        return wrong if wrong is not None else self._chain(head, tuple(segments), own)

    def _chain(self, head: int, segments: tuple[Segment, ...], slots: int) -> Chain:
        return Chain(head, segments, slots, self._memory, self.fault)

    def give_back(self, chain: Chain, written: int = 0) -> None:
        """Return a chain with the number of bytes written to it; UsageError when the device does not have it."""
        if chain.head not in self._taken:
            raise UsageError("a chain that this device does not have", where=self.name, found=chain.head)
        self._give_back(chain.head, written)

    def _give_back(self, head: int, written: int) -> None:
        self._taken.discard(head)
        self._memory.write(self.layout.used_ring_at(self._next_used), USED.pack(head, written))
        self._next_used = (self._next_used + 1) & 0xFFFF
        # Buffer and element are in memory before the index that publishes them (virtio 1.3, 2.7.8.2).
        self._memory.store16(self.layout.used_idx_at, self._next_used)

    def give_back_batch(self, chains: Iterable[Chain], written: int = 0) -> None:
        """Return consecutive chains by one element, that of the last (virtio 1.3, 2.7.9); needs IN_ORDER.

        The driver takes all but the last as used completely.
        """
        batch = list(chains)
        if not self.negotiated.in_order or not batch or any(each.head not in self._taken for each in batch):
            raise UsageError("no batch to give back", where=self.name, expected="IN_ORDER, and chains that were taken")
        for each in batch:
            self._taken.discard(each.head)
        self._memory.write(self.layout.used_ring_at(self._next_used), USED.pack(batch[-1].head, written))
        self._next_used = (self._next_used + len(batch)) & 0xFFFF
        self._memory.store16(self.layout.used_idx_at, self._next_used)

    def should_notify(self) -> bool:
        """Whether the driver wants to hear of what was given back since the last call (virtio 1.3, 2.7.7)."""
        old, self._notified = self._notified, self._next_used
        if old == self._next_used:
            return False
        if self.negotiated.event_idx:
            return needs_event(self._memory.load16(self.layout.used_event_at), self._next_used, old)
        return not self._memory.load16(self.layout.avail_flags_at) & NO_NOTIFICATION

    def want_notifications(self, wanted: bool) -> None:
        """Whether the driver is to tell of new buffers; look for some once more after asking for it."""
        self._wants = wanted
        if not self.negotiated.event_idx:
            self._memory.store16(self.layout.used_flags_at, 0 if wanted else NO_NOTIFICATION)
            return
        event = self._next_avail if wanted else self._next_avail - 1
        self._memory.store16(self.layout.avail_event_at, event & 0xFFFF)
