"""For pytest: one module of rptwin has the fault that the environment names (``RPTWIN_MUTANT``, "module:number")."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

from mutation.mutants import mutated

VARIABLE = "RPTWIN_MUTANT"


class _Loader(importlib.machinery.SourceFileLoader):
    number = 0

    def get_code(self, fullname: str) -> CodeType:
        """Never from a compiled file, and never into one."""
        path = self.get_filename(fullname)
        return compile(mutated(self.get_data(path).decode(), self.number), path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, number: int) -> None:
        self._module = module
        self._number = number

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = loader = _Loader(fullname, spec.origin)
        loader.number = self._number
        return spec


if VARIABLE in os.environ:
    name, _, given = os.environ[VARIABLE].partition(":")
    if name in sys.modules:
        raise RuntimeError(f"{name} is loaded already: its fault would not be there")
    sys.meta_path.insert(0, _Finder(name, int(given)))
