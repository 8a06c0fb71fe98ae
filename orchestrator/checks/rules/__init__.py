"""Every rule, by what it is about; importing this registers them all."""

from orchestrator.checks.rule import registered
from orchestrator.checks.rules import (
    boot,
    buffers,
    endpoints,
    images,
    notifications,
    placement,
    rings,
    table,
    vdevs,
    vrings,
)

__all__ = [
    "RULES",
    "boot",
    "buffers",
    "endpoints",
    "images",
    "notifications",
    "placement",
    "rings",
    "table",
    "vdevs",
    "vrings",
]

RULES = registered()
