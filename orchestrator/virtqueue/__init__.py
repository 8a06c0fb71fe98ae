"""Both sides of a virtqueue over any memory: a board's, a ``bytearray``, an ``mmap``.

In: a memory, a layout and what was negotiated. Out: buffers that change hands, whether to notify the other side, and
a :class:`~orchestrator.base.errors.RingError` for each rule that it breaks. Layouts of what stands in memory are in
:mod:`orchestrator.formats`.
"""

from orchestrator.virtqueue.heap import Heap, HeapFault, HeapReport
from orchestrator.virtqueue.memory import BufferMemory, OrderedMemory, ordered
from orchestrator.virtqueue.packed import PackedDevice, PackedDriver
from orchestrator.virtqueue.side import Chain, Negotiated, Report, Returned, Segment
from orchestrator.virtqueue.split import ChainBuilder, SplitDevice, SplitDriver

__all__ = [
    "BufferMemory",
    "Chain",
    "ChainBuilder",
    "Heap",
    "HeapFault",
    "HeapReport",
    "Negotiated",
    "OrderedMemory",
    "PackedDevice",
    "PackedDriver",
    "Report",
    "Returned",
    "Segment",
    "SplitDevice",
    "SplitDriver",
    "ordered",
]
