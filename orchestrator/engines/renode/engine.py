"""The Renode engine, seen from rptwin: found first, then started in a process of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import ClassVar

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import Capability, EngineOptions
from orchestrator.engines.isolated.engine import IsolatedEngine
from orchestrator.engines.isolated.process import SERVER, Child
from orchestrator.engines.renode.compiled.exported import exported
from orchestrator.engines.renode.discovery import Kind, discover
from orchestrator.platform.model import Platform

__all__ = ["RenodeEngine"]

_COMMAND = (*SERVER, "renode")
_OPENING_S = 300.0  # wall time until .NET, Renode and the platform are loaded: 5 s where nothing else runs
_THEIRS = ("PYRENODE_RUNTIME", "PYRENODE_BUILD_OUTPUT", "PYRENODE_SKIP_LOAD", *(kind.variable for kind in Kind))


class RenodeEngine(IsolatedEngine):
    """Implements the engine contract; EngineError that says what is missing where there is no Renode."""

    name = "renode"
    served = "renode"
    lacking = {
        Capability.SNAPSHOT: "Renode's Save refuses a board whose scripts have functions, and hooks into Python",
        Capability.DEBUG: "a debugger's core waits inside Renode's clock, and so does the end of every run",
    }

    @staticmethod
    def check(_platform: Platform) -> None:
        """EngineError for a computer on which this engine does not run."""
        discover()

    @staticmethod
    def prepared(platform: Platform, options: EngineOptions) -> Mapping[str, str]:
        """The platform as files of Renode's, and its scripts as classes."""
        return exported(platform, options.quantum_ns)

    _prepared: ClassVar[Child | None] = None

    @classmethod
    def prepare(cls) -> None:
        """Start a process that loads Renode, for the next board: nothing happens where there is no Renode."""
        with contextlib.suppress(EngineError):
            cls._prepared = cls._prepared or Child(_COMMAND, _environment())

    def __init__(self, platform: Platform, options: EngineOptions) -> None:
        child, RenodeEngine._prepared = RenodeEngine._prepared or Child(_COMMAND, _environment()), None
        super().__init__(platform, options, child=child, opening_s=_OPENING_S)


def _environment() -> dict[str, str]:
    """Of the child; EngineError where there is no Renode."""
    found = discover()
    environment = {name: value for name, value in os.environ.items() if name not in _THEIRS}
    # For a process of seconds, what .NET would learn from counting calls comes too late.
    environment.setdefault("DOTNET_TieredPGO", "0")
    if found.dotnet is not None:
        environment["DOTNET_ROOT"] = str(found.dotnet.root)
    return environment | found.renode.environment
