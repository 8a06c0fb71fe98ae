"""Fields of a split ring that both sides pack and unpack at every step (virtio 1.3, 2.7.5 to 2.7.10)."""

from __future__ import annotations

import struct

__all__ = ["DESCRIPTOR", "NO_NOTIFICATION", "USED"]

DESCRIPTOR = struct.Struct("<QI2H")
USED = struct.Struct("<2I")
NO_NOTIFICATION = 1  # used.flags and avail.flags (virtio 1.3, 2.7.10 and 2.7.7)
