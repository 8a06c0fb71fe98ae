"""Python plays a core: the host that boots a lone remote, or the remote of a lone main image.

In: a board whose engine lets a player take a core's place. Out: the remoteproc life cycle of Linux, OpenAMP or RPTUN,
and endpoints and virtio devices as Python objects. What the player does it does in its turns of virtual time, over the
same memory and the same mailbox as the core's own firmware would.
"""

from orchestrator.host.devices import Block, Console, Network, Rng, VirtioDevice
from orchestrator.host.ethernet import Capture, Switch
from orchestrator.host.host import Host, HostState
from orchestrator.host.remote import PythonRemote
from orchestrator.host.rpmsg import Endpoint

__all__ = [
    "Block",
    "Capture",
    "Console",
    "Endpoint",
    "Host",
    "HostState",
    "Network",
    "PythonRemote",
    "Rng",
    "Switch",
    "VirtioDevice",
]
