"""An engine that takes long to start begins before the rest of rptwin is loaded; so this module imports nothing."""

from __future__ import annotations

import importlib

__all__ = ["prepare_engine"]

# name: module with a function ``prepare``
_EARLY = {"renode": "orchestrator.engines.renode.process"}


def prepare_engine(name: str) -> None:
    """Let the engine begin now, for the next board; nothing happens for one that starts at once."""
    if name in _EARLY:
        importlib.import_module(_EARLY[name]).prepare()
