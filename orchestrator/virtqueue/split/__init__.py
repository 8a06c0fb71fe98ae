"""Both sides of a split virtqueue (virtio 1.3, 2.7).

The driver takes an entry, chains buffers to it, publishes it, and is told whether to notify; the device takes the
chain, reads and writes its buffers, and gives it back; the driver pops it and has its descriptors again. Each index
is published by one 16-bit store after everything that it covers. A step costs the same whatever the queue's size.
"""

from orchestrator.virtqueue.split.device import SplitDevice
from orchestrator.virtqueue.split.driver import ChainBuilder, SplitDriver

__all__ = ["ChainBuilder", "SplitDevice", "SplitDriver"]
