"""What a platform description means: files in, :class:`~orchestrator.platform.model.Platform` out.

Entries of all ``using`` files are merged as Renode does (``merge``); then cores, memories, peripherals, mailboxes and
gates are made of them, names, registrations and interrupts resolved and checked. Peripherals of types unknown here are
kept with their type: whether one can be modelled is the engine's to say.
"""

from orchestrator.platform.resolve.cores import CORE_TYPE, NVIC_TYPE
from orchestrator.platform.resolve.load import (
    available_platforms,
    load_platform,
    refuse_without_pair,
    tag_of,
)
from orchestrator.platform.resolve.memories import REGION_TYPES
from orchestrator.platform.resolve.merge import beside_or_above
from orchestrator.platform.resolve.peripherals import SCRIPT_TYPE
from orchestrator.platform.resolve.shipped import platforms_folder

__all__ = [
    "CORE_TYPE",
    "NVIC_TYPE",
    "REGION_TYPES",
    "SCRIPT_TYPE",
    "available_platforms",
    "beside_or_above",
    "load_platform",
    "platforms_folder",
    "refuse_without_pair",
    "tag_of",
]
