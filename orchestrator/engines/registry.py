"""Engines by name; an engine's package is imported only when it is asked for."""

from __future__ import annotations

import importlib

from orchestrator.base.errors import CapabilityError, EngineError, UsageError
from orchestrator.engines.contract import Capability, Engine, EngineOptions
from orchestrator.platform.model import Platform

__all__ = ["ENGINES", "create_engine", "obstacle"]

# name: (module, class)
ENGINES = {
    "unicorn": ("orchestrator.engines.unicorn.engine", "UnicornEngine"),
    "qemu": ("orchestrator.engines.qemu.engine", "QemuEngine"),
    "renode": ("orchestrator.engines.renode.engine", "RenodeEngine"),
}
_HIDDEN = {"unicorn-remote": ("orchestrator.engines.isolated.engine", "IsolatedUnicorn")}  # for tests of the protocol


def create_engine(name: str, platform: Platform, options: EngineOptions | None = None) -> Engine:
    """A board of this platform at power-on; :class:`UsageError` when there is no such engine."""
    known = ENGINES | _HIDDEN
    if name not in known:
        raise UsageError("no such engine", expected=" | ".join(ENGINES), found=name)
    module, cls = known[name]
    options = options or EngineOptions()
    maker = getattr(importlib.import_module(module), cls)
    if options.shares_memory and Capability.SHARE not in getattr(maker, "capabilities", ()):
        raise CapabilityError("no memory that other processes can map", where=f"engine {name}", expected="unicorn")
    if options.order and Capability.ORDER not in getattr(maker, "capabilities", ()):
        raise CapabilityError("tells no barriers", where=f"engine {name}", expected="unicorn", found="order")
    if options.coherence is not None and Capability.COHERENCE not in getattr(maker, "capabilities", ()):
        raise CapabilityError("no model of data caches", where=f"engine {name}", expected="unicorn", found="coherence")
    engine: Engine = maker(platform, options)
    return engine


def obstacle(name: str, platform: Platform) -> str | None:
    """Why an engine cannot run this platform on this machine, before anything is started; None when it can."""
    module, cls = ENGINES[name]
    check = getattr(getattr(importlib.import_module(module), cls), "check", None)
    try:
        if check is not None:
            check(platform)
    except EngineError as error:
        return error.what
    return None
