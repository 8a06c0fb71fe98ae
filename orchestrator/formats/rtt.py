"""SEGGER Real Time Transfer: the control block and its ring buffers (UM08001, "RTT": implementation).

A target writes an up-buffer at ``wr_off`` and the host reads it at ``rd_off``; a down-buffer is the other way round.
Each side changes its own offset only, and a buffer is empty where both are equal.
"""

from __future__ import annotations

from orchestrator.base.dataclass import dataclass
from orchestrator.formats.layout import Structure, layout

__all__ = [
    "MOST_BUFFERS",
    "RTT_ID",
    "RTT_SYMBOL",
    "RttBuffer",
    "RttControlBlock",
    "RttHeader",
    "parse_control_block",
    "size_of_control_block",
]

RTT_ID = b"SEGGER RTT"
RTT_SYMBOL = "_SEGGER_RTT"
MOST_BUFFERS = 64  # of each direction: more is no control block


@layout("<16s2i")
class RttHeader(Structure):
    """The start of SEGGER_RTT_CB."""

    id: bytes
    max_num_up_buffers: int
    max_num_down_buffers: int


@layout("<6I")
class RttBuffer(Structure):
    """SEGGER_RTT_BUFFER_UP and SEGGER_RTT_BUFFER_DOWN."""

    name: int  # address of a string
    buffer: int
    size_of_buffer: int
    wr_off: int
    rd_off: int
    flags: int

    @property
    def is_configured(self) -> bool:
        """The target has given it memory."""
        return self.buffer != 0 and self.size_of_buffer > 0

    @property
    def is_sound(self) -> bool:
        """Both offsets lie inside."""
        return self.wr_off < self.size_of_buffer and self.rd_off < self.size_of_buffer


@dataclass(frozen=True, slots=True)
class RttControlBlock:
    """The whole of it."""

    ups: tuple[RttBuffer, ...]
    downs: tuple[RttBuffer, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return RttHeader.size + RttBuffer.size * (len(self.ups) + len(self.downs))

    @staticmethod
    def up_offset(index: int) -> int:
        """Of an up-buffer in the block."""
        return RttHeader.size + RttBuffer.size * index

    def down_offset(self, index: int) -> int:
        """Of a down-buffer in the block."""
        return self.up_offset(len(self.ups) + index)


def size_of_control_block(data: bytes) -> int | None:
    """Bytes of the control block that begins here; None where none does, or not yet."""
    if len(data) < RttHeader.size:
        return None
    header = RttHeader.unpack_from(data)
    counts = (header.max_num_up_buffers, header.max_num_down_buffers)
    if header.id.rstrip(b"\0") != RTT_ID or not all(0 <= count <= MOST_BUFFERS for count in counts):
        return None
    return RttHeader.size + RttBuffer.size * sum(counts)


def parse_control_block(data: bytes) -> RttControlBlock | None:
    """The control block in these bytes; None where there is none, or it does not end in them."""
    size = size_of_control_block(data)
    if size is None or len(data) < size:
        return None
    header = RttHeader.unpack_from(data)
    buffers = tuple(RttBuffer.unpack_from(data, at) for at in range(RttHeader.size, size, RttBuffer.size))
    return RttControlBlock(buffers[: header.max_num_up_buffers], buffers[header.max_num_up_buffers :])
