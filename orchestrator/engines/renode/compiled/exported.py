"""A platform as Renode takes it: its description, with scripts as types where they have one, and those types in C#."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.engines.renode.compiled.models import Models
from orchestrator.platform.export import export, named
from orchestrator.platform.model import Platform

__all__ = ["MODELS", "exported"]

MODELS = "scripts.cs"


def exported(platform: Platform, quantum_ns: int) -> Mapping[str, str]:
    """Text of each file by its name; ``scripts.cs`` is there where a script has a type.

    Raises :class:`~orchestrator.base.errors.PlatformError` for what Renode would refuse.
    """
    models = Models()
    files = export(platform, quantum_ns=quantum_ns, scripts=named, models=models.name_of)
    return files | ({MODELS: models.source} if models.source else {})
