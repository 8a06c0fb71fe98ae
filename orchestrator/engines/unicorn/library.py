"""Unicorn's package, imported without :mod:`importlib.resources`.

It asks that, once, in which folder it lies: an import that brings archives, compression and temporary files with it and
takes as long as all of Unicorn's own.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

__all__ = ["arm_const", "uclib", "unicorn", "unicorn_const"]

_RESOURCES = "importlib.resources"


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


if _RESOURCES not in sys.modules and "unicorn" not in sys.modules:
    stand_in = ModuleType(_RESOURCES)
    stand_in.files = _folder  # type: ignore[attr-defined]
    sys.modules[_RESOURCES] = stand_in
    try:
        import unicorn
    finally:
        del sys.modules[_RESOURCES]
else:
    import unicorn

from unicorn import arm_const, unicorn_const  # noqa: E402
from unicorn.unicorn_py3.unicorn import uclib  # noqa: E402
