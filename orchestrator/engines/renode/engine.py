"""The Renode engine, seen from rptwin: found first, then started in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.engines.contract import Capability, EngineOptions
from orchestrator.engines.isolated.engine import IsolatedEngine
from orchestrator.engines.renode.compiled.exported import exported
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.renode.process import take
from orchestrator.platform.model import Platform

__all__ = ["RenodeEngine"]

_OPENING_S = 300.0  # wall time until .NET, Renode and the platform are loaded: 5 s where nothing else runs


class RenodeEngine(IsolatedEngine):
    """Implements the engine contract; EngineError that says what is missing where there is no Renode."""

    name = "renode"
    served = "renode"
    tells_slowly = True  # each observed access is a call into Python, 0.05 ms
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

    def __init__(self, platform: Platform, options: EngineOptions) -> None:
        super().__init__(platform, options, child=take(), opening_s=_OPENING_S)
