"""Roles of cores and sides of virtqueues, which are never the same word.

*main* and *remote* are roles: RPTUN's master and slave, Linux's host and its remote processor. A platform gives each to
one of its cores. *driver* and *device* are sides of a virtqueue: who makes buffers available, and who uses them. Main
drives, unless the table has the remote drive a vdev (RPTUN's ``VdevRole``): only a vdev knows which role has which
side.
"""

from __future__ import annotations

import enum

__all__ = ["MAIN", "REMOTE", "ROLES", "Side", "other_role"]

MAIN = "main"
REMOTE = "remote"
ROLES = (MAIN, REMOTE)


def other_role(role: str) -> str:
    """The role of the core on the other side."""
    return MAIN if role == REMOTE else REMOTE


class Side(enum.StrEnum):
    """A side of a virtqueue (virtio 1.3, 2.6)."""

    DRIVER = "driver"  # makes buffers available
    DEVICE = "device"  # uses them

    @property
    def other(self) -> Side:
        """The side across the queue."""
        return Side.DEVICE if self is Side.DRIVER else Side.DRIVER
