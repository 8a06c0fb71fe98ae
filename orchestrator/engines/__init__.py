"""Engines make a platform live. In: a Platform and ELF images. Out: memory by view, consoles, and events in order.

No engine knows RPTUN; each stands behind :mod:`orchestrator.engines.contract`.
"""

from orchestrator.engines.registry import ENGINES, create_engine, obstacle

__all__ = ["ENGINES", "create_engine", "obstacle"]
