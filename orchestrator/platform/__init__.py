"""Platforms: a Renode platform description and the ``.toml`` beside it in, a :class:`Platform` out."""

from __future__ import annotations

from orchestrator.platform.memory import with_memory
from orchestrator.platform.model import (
    Core,
    Interrupt,
    Mailbox,
    MailboxLine,
    Peripheral,
    Platform,
    Region,
    Registration,
    Source,
)
from orchestrator.platform.resolve import available_platforms, load_platform, platforms_folder, refuse_without_pair

__all__ = [
    "Core",
    "Interrupt",
    "Mailbox",
    "MailboxLine",
    "Peripheral",
    "Platform",
    "Region",
    "Registration",
    "Source",
    "available_platforms",
    "load_platform",
    "platforms_folder",
    "refuse_without_pair",
    "with_memory",
]
