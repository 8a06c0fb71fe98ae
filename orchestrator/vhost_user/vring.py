"""One vring as the back-end has it: what the front-end has said of it so far, and the queue that this makes."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable

from orchestrator.base.errors import RingError, VhostUserError
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.resource_entry import Feature
from orchestrator.formats.virtqueue import Part, RingLayout
from orchestrator.host.devices import Queue
from orchestrator.vhost_user.channel import close_all
from orchestrator.vhost_user.memory_table import MemoryTable
from orchestrator.vhost_user.messages import VringAddress
from orchestrator.virtqueue import Negotiated, PackedDevice, SplitDevice

__all__ = ["BackendVring"]

_ONE = (1).to_bytes(8, "little")
_EVENT_SIZE = 8  # of an eventfd (eventfd(2))


class BackendVring:
    """A vring: stopped until a kick comes for it or polling is agreed on, and served while it is enabled."""

    def __init__(self, index: int, report: Callable[[RingError], None]) -> None:
        self.index = index
        self.name = f"vring[{index}]"
        self.num = 0
        self.base = 0
        self.enabled = False
        self.kick: int | None = None  # descriptor; None: polled
        self.address: VringAddress | None = None
        self.is_started = False
        self.queue: Queue | None = None  # while it is started and has memory
        self._report = report
        self._call: int | None = None
        self._error: int | None = None

    # what the front-end says

    def set_address(self, address: VringAddress, memory: MemoryTable, features: int) -> None:
        """Where its parts are, by user addresses; a ring that is started goes on there. VhostUserError: in no memory,
        and the ring stands as before.
        """
        if self.num:
            self._layout(address, memory, features)
        self.address = address
        if self.is_started:
            self.start(memory, features)

    def start(self, memory: MemoryTable, features: int) -> None:
        """Serve it from its base on; VhostUserError when it lacks a size or addresses, or they lie in no memory."""
        if not self.num or self.address is None:
            missing = "addresses (SET_VRING_ADDR)" if self.num else "size (SET_VRING_NUM)"
            raise VhostUserError(
                "started before it was set up", rule="vhost.vring-not-set", where=self.name, expected=f"its {missing}"
            )
        if self.queue is not None:
            self.base, self.queue = self.queue.base, None
        layout = self._layout(self.address, memory, features)
        negotiated = Negotiated.of(features)
        queue: Queue
        if isinstance(layout, PackedLayout):
            queue = PackedDevice(memory, layout, negotiated, name=self.name, report=self._report)
        else:
            queue = SplitDevice(memory, layout, negotiated, name=self.name, report=self._report)
        queue.resume(self.base)
        self.queue, self.is_started = queue, True

    def stop(self) -> int:
        """Serve it no more, and take back its kick and call; where it stood."""
        if self.queue is not None:
            self.base = self.queue.base
        self.queue, self.is_started = None, False
        self._close_events()
        return self.base

    def forget(self) -> None:
        """As before the front-end said anything."""
        self.stop()
        self.num = self.base = 0
        self.enabled, self.address = False, None

    def replace_event(self, kind: str, descriptor: int | None) -> None:
        """A new ``kick``, ``_call`` or ``_error``; the one before is closed."""
        before = getattr(self, kind)
        setattr(self, kind, descriptor)
        close_all(() if before is None else (before,))

    def _close_events(self) -> None:
        for kind in ("kick", "_call", "_error"):
            self.replace_event(kind, None)

    # where it is

    def _layout(self, address: VringAddress, memory: MemoryTable, features: int) -> RingLayout | PackedLayout:
        num = self.num
        given: RingLayout | PackedLayout
        if features & Feature.RING_PACKED:
            given = PackedLayout(num, address.desc, address.avail, address.used)
        else:
            given = RingLayout(num, address.desc, address.avail, address.used)
        desc, avail, used = (self._place(part, memory) for part in given.parts)
        if isinstance(given, PackedLayout):
            return PackedLayout(num, desc, avail, used)
        return RingLayout(num, desc, avail, used)

    def _place(self, part: Part, memory: MemoryTable) -> int:
        """The guest address of a part, all of which lies in one region."""
        start, size = part.extent.start, part.extent.size
        guest, reached = memory.user_to_guest(start, size)
        if reached < size:
            raise VhostUserError(
                "across a region's end" if reached else "in no region",
                rule="vhost.vring-memory",
                where=f"{self.name}.{part.name} at user address {start:#x}",
                expected=f"{size} bytes of memory",
                found=reached,
            )
        if not part.is_aligned:
            raise VhostUserError(
                "not aligned",
                rule="vhost.vring-alignment",
                where=f"{self.name}.{part.name}",
                expected=f"a multiple of {part.alignment}",
                found=f"{start:#x}",
            )
        return guest

    # events

    def take_kick(self) -> None:
        """Empty the counter that made ``select`` say that there was a kick; as the peer set it up, which is not ours
        to change (O_NONBLOCK is the peer's too).
        """
        if self.kick is not None and select.select([self.kick], [], [], 0)[0]:
            os.read(self.kick, _EVENT_SIZE)

    def call(self) -> None:
        """Tell the driver; one that cannot hear, as its counter is full or it is gone, is told nothing."""
        if self._call is not None:
            with contextlib.suppress(OSError, ValueError):
                if select.select([], [self._call], [], 0)[1]:
                    os.write(self._call, _ONE)
