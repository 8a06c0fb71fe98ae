"""Virtqueues handed to another process, as vhost-user has it (QEMU ``docs/interop/vhost-user.rst``).

In: a connected socket, and a device or a memory. Out: requests carried out, with typed errors for a peer that breaks
the protocol; every descriptor and mapping is given back with :meth:`close`. The rings are those of
:mod:`orchestrator.virtqueue`.
"""

from orchestrator.vhost_user.backend import Backend, Server
from orchestrator.vhost_user.bridge import Bridge, BridgeOptions, IfLost
from orchestrator.vhost_user.channel import Channel
from orchestrator.vhost_user.frontend import Frontend, SharedRegion
from orchestrator.vhost_user.memory_table import MemoryTable
from orchestrator.vhost_user.messages import Message, ProtocolFeature, RegionEntry, Request

__all__ = [
    "Backend",
    "Bridge",
    "BridgeOptions",
    "Channel",
    "Frontend",
    "IfLost",
    "MemoryTable",
    "Message",
    "ProtocolFeature",
    "RegionEntry",
    "Request",
    "Server",
    "SharedRegion",
]
