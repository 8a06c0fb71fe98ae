"""Chains of descriptors by chance, walked by rptwin and by an oracle of its own.

The oracle is written from the text of virtio 1.3, section 2.7 ("Split Virtqueues"), and from nothing of rptwin: a
descriptor is le64 address, le32 length, le16 flags, le16 next (2.7.5); NEXT is 1, WRITE 2, INDIRECT 4. "A driver MUST
NOT set both INDIRECT and NEXT" (2.7.5.3.1), nor INDIRECT inside an indirect table, whose length is a multiple of 16;
no chain is longer than the queue. In the legacy layout (2.7.2) the available ring follows the table, and the used ring
begins at the next multiple of the alignment behind ``used_event``.
"""

from __future__ import annotations

import random
import struct

from fuzz.target import BrokenError
from orchestrator.base.errors import RingError
from orchestrator.base.memory import BytesMemory
from orchestrator.formats.virtqueue import RingLayout, SplitRing
from orchestrator.virtqueue import SplitDevice

__all__ = ["Layouts", "Rings"]

_SIZE = 1 << 14
_NEXT, _WRITE, _INDIRECT = 1, 2, 4

Buffers = list[tuple[int, int, bool]]


def walk(memory: bytes, table: int, num: int, head: int) -> Buffers | None:
    """Address, length and whether it is for the device to write, of each buffer; None: the chain breaks a rule."""
    buffers: Buffers = []
    index, visited = head, 0
    while True:
        if index >= num or visited >= num:
            return None
        visited += 1
        address, length, flags, following = struct.unpack_from("<QIHH", memory, table + 16 * index)
        if flags & _INDIRECT:
            if flags & _NEXT or length == 0 or length % 16 or address + length > len(memory):
                return None
            inner = _indirect(memory, address, length // 16, num - len(buffers))
            return None if inner is None else buffers + inner
        buffers.append((address, length, bool(flags & _WRITE)))
        if not flags & _NEXT:
            return buffers
        index = following


def _indirect(memory: bytes, table: int, entries: int, room: int) -> Buffers | None:
    buffers: Buffers = []
    index = 0
    while True:
        if index >= entries or len(buffers) >= min(entries, room):
            return None
        address, length, flags, following = struct.unpack_from("<QIHH", memory, table + 16 * index)
        if flags & _INDIRECT:
            return None
        buffers.append((address, length, bool(flags & _WRITE)))
        if not flags & _NEXT:
            return buffers
        index = following


class Rings:
    """A table of descriptors, most of them sensible, and each head of it."""

    name = "rings"

    def make(self, chance: random.Random) -> bytes:
        num = 1 << chance.randrange(6)
        memory = bytearray(_SIZE)
        inner = 0x2000
        for index in range(num):
            flags = chance.choice((0, 1, 1, 1, 2, 3, 4, 4, 5, 7, chance.getrandbits(16)))
            following = chance.choice((index + 1, index + 1, chance.randrange(num), chance.randrange(num + 2)))
            length = chance.choice((0, 1, 16, 32, 48, 16 * num, 512, chance.getrandbits(32)))
            address = chance.choice((inner, inner + 64, 0x1000, _SIZE - 16, chance.getrandbits(64)))
            struct.pack_into("<QIHH", memory, 16 * index, address, length, flags, following & 0xFFFF)
        for index in range(64):
            flags = chance.choice((0, 1, 1, 1, 2, 3, 4))
            following = chance.choice((index + 1, index + 1, chance.randrange(8)))
            struct.pack_into("<QIHH", memory, inner + 16 * index, chance.randrange(_SIZE), 8, flags, following)
        return struct.pack("<H", num) + bytes(memory)

    def check(self, data: bytes) -> None:
        (num,), memory = struct.unpack_from("<H", data), data[2:]
        layout = RingLayout(num, 0, 0x3000, 0x3800)
        ring = SplitRing(BytesMemory("ring", 0, memory), layout, translate=_inside)
        for head in range(num + 1):
            expected = walk(memory, 0, num, head)
            found: Buffers | None
            try:
                found = [(e.descriptor.addr, e.descriptor.len, e.descriptor.is_writable) for e in ring.chain(head)]
            except RingError:
                found = None
            if found != expected:
                raise BrokenError(f"head {head} of {num}: virtio has {expected}, rptwin {found}")
        self._take(num, memory)

    @staticmethod
    def _take(num: int, memory: bytes) -> None:
        """The device's side takes each chain that is whole and whose buffers are there, and no other."""
        for head in range(num):
            expected = walk(memory, 0, num, head)
            kinds = [writable for _, _, writable in expected or ()]
            is_good = bool(expected) and kinds == sorted(kinds)  # 2.7.4.2: what is read comes before what is written
            is_good = is_good and all(size > 0 and at + size <= _SIZE for at, size, _ in expected or ())
            writable = _Memory(memory)
            struct.pack_into("<HHH", writable.data, 0x3000, 0, 1, head)
            chain = SplitDevice(writable, RingLayout(num, 0, 0x3000, 0x3800), translate=_inside, negotiated=None).take()
            if is_good and not _uses_indirect(memory, num, head) and chain is None:
                raise BrokenError(f"head {head} of {num}: the device refuses {expected}")
            if expected is None and chain is not None:
                raise BrokenError(f"head {head} of {num}: the device takes a chain that breaks a rule")


def _uses_indirect(memory: bytes, num: int, head: int) -> bool:
    """Whether a chain has a descriptor of a feature that nobody has negotiated here."""
    index = head
    for _ in range(num):
        _, _, flags, following = struct.unpack_from("<QIHH", memory, 16 * index)
        if flags & _INDIRECT:
            return True
        if not flags & _NEXT or following >= num:
            return False
        index = following
    return False


def _inside(address: int, size: int) -> int:
    if address + size > _SIZE:
        raise RingError("no memory", rule="fuzz")
    return address


class _Memory:
    view = "ring"

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def read(self, address: int, size: int) -> bytes:
        _inside(address, size)
        return bytes(self.data[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        _inside(address, len(data))
        self.data[address : address + len(data)] = data


class Layouts:
    """Where the parts of a legacy queue lie."""

    name = "layouts"

    def make(self, chance: random.Random) -> bytes:
        num, align = chance.choice((chance.randint(1, 40), 1 << chance.randrange(16))), 1 << chance.randrange(13)
        return struct.pack("<IHH", chance.randrange(1 << 31), num, align)

    def check(self, data: bytes) -> None:
        base, num, align = struct.unpack("<IHH", data)
        layout = RingLayout.legacy(base, num, align)
        end_of_available = 16 * num + 2 + 2 + 2 * num + 2  # flags, idx, ring, used_event
        used = base + -(-end_of_available // align) * align
        expected = (base, base + 16 * num, used, used + 2 + 2 + 8 * num + 2)
        found = (layout.desc, layout.avail, layout.used, layout.extent.end)
        if found != expected:
            raise BrokenError(f"{num} entries at {base:#x}, align {align}: virtio has {expected}, rptwin {found}")
