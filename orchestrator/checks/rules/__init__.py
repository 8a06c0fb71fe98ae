"""Every rule, by what it is about; importing this registers them all."""

from orchestrator.checks.rule import registered
from orchestrator.checks.rules import (
    activity,
    boot,
    buffers,
    caches,
    coherence,
    endpoints,
    images,
    notifications,
    order,
    placement,
    rings,
    runs,
    stacks,
    table,
    table_contents,
    vdevs,
    vrings,
    writers,
)

__all__ = [
    "RULES",
    "activity",
    "boot",
    "buffers",
    "caches",
    "coherence",
    "endpoints",
    "images",
    "notifications",
    "order",
    "placement",
    "rings",
    "runs",
    "stacks",
    "table",
    "table_contents",
    "vdevs",
    "vrings",
    "writers",
]

RULES = registered()
