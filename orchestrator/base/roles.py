"""Roles of cores and sides of virtqueues, which are never the same word.

*main* and *remote* are roles: RPTUN's master and slave, Linux's host and its remote processor. A platform gives each to
one of its cores. *driver* and *device* are sides of a virtqueue: who makes buffers available, and who uses them. Main
drives, unless the table has the remote drive a vdev (RPTUN's ``VdevRole``): :class:`Sides` of a vdev is the only
translation between them.
"""

from __future__ import annotations

import enum

from orchestrator.base.dataclass import dataclass

__all__ = ["MAIN", "REMOTE", "ROLES", "Side", "Sides", "other_role", "the"]

MAIN = "main"
REMOTE = "remote"
ROLES = (MAIN, REMOTE)


def other_role(role: str) -> str:
    """The role of the core on the other side."""
    return MAIN if role == REMOTE else REMOTE


def the(role: str) -> str:
    """A role as a sentence has it: main is a name, the remote is not."""
    return f"the {role}" if role == REMOTE else role


class Side(enum.StrEnum):
    """A side of a virtqueue (virtio 1.3, 2.6)."""

    DRIVER = "driver"  # makes buffers available
    DEVICE = "device"  # uses them

    @property
    def other(self) -> Side:
        """The side across the queue."""
        return Side.DEVICE if self is Side.DRIVER else Side.DRIVER


@dataclass(frozen=True, slots=True)
class Sides:
    """Who plays which side of a vdev's queues."""

    driver: str = MAIN  # role

    def role_of(self, side: Side) -> str:
        """The role of the core that plays a side."""
        return self.driver if side is Side.DRIVER else other_role(self.driver)

    def side_of(self, role: str) -> Side | None:
        """The side that a role plays; None for a core of another pair, and where nobody knows who acted ("")."""
        if role == self.driver:
            return Side.DRIVER
        return Side.DEVICE if role == other_role(self.driver) else None
