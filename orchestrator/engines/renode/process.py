"""The process that loads Renode, started before there is a board for it, as that takes seconds."""

from __future__ import annotations

import contextlib
import os

from orchestrator.base.errors import EngineError
from orchestrator.engines.isolated.process import SERVER, Child
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.renode.installed import Kind

__all__ = ["prepare", "take"]

_COMMAND = (*SERVER, "renode")
_THEIRS = ("PYRENODE_RUNTIME", "PYRENODE_BUILD_OUTPUT", "PYRENODE_SKIP_LOAD", *(kind.variable for kind in Kind))

_prepared: Child | None = None


def prepare() -> None:
    """Start a process that loads Renode, for the next board: nothing happens where there is no Renode."""
    global _prepared  # noqa: PLW0603  # one for this process
    with contextlib.suppress(EngineError):
        _prepared = _prepared or _start()


def take() -> Child:
    """The process that was prepared, or a new one; EngineError where there is no Renode."""
    global _prepared
    child, _prepared = _prepared or _start(), None
    return child


def _start() -> Child:
    found = discover()
    environment = {name: value for name, value in os.environ.items() if name not in _THEIRS}
    # For a process of seconds, what .NET would learn from counting calls comes too late.
    environment.setdefault("DOTNET_TieredPGO", "0")
    if found.dotnet is not None:
        environment["DOTNET_ROOT"] = str(found.dotnet.root)
    return Child(_COMMAND, environment | found.renode.environment)
