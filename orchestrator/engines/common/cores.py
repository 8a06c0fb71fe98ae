"""Cores by name, for whoever is asked of one that the board may not have."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.platform.model import Core, Platform

__all__ = ["core_named"]


def core_named(platform: Platform, name: str) -> Core:
    """:class:`UsageError` that names those there are; to an engine a role is no name."""
    for core in platform.cores:
        if core.name == name:
            return core
    raise UsageError("no such core", expected=" | ".join(core.name for core in platform.cores), found=name)
