"""Renode's assemblies, loaded by pyrenode3; what goes wrong with them, in words that say what to do.

What .NET and pyrenode3 say themselves comes as notes of the error.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.base.errors import EngineError
from orchestrator.engines.renode.installed import TRIED, Kind

__all__ = ["as_known", "load_renode"]

_WHERE = "engine renode"
_LOADERS = {Kind.BUILD: "from_net_build", Kind.PACKAGE: "from_net_pkg", Kind.BINARY: "from_net_bin"}
_UNFIT = {
    Kind.BUILD: ("assemblies of this build are missing or damaged", "build Renode again"),
    Kind.PACKAGE: ("assemblies of this package are missing or damaged", "get it again"),
    Kind.BINARY: ("this program is no portable Renode, or a damaged one", "get it again"),
}


# What most scripts have: a function, a condition, a list, a dictionary.
_ANY_SCRIPT = """
def f(a):
    if a == 1:
        return {1: 2}
    return [a]
f(2)
"""

_refused: EngineError | None = None
_loaded = False


def load_renode(meanwhile: Callable[[], object] = lambda: None) -> None:
    """Import pyrenode3 with what discovery has put into the environment; it reads that once, at its import.

    ``meanwhile`` is called while Renode looks through its types on another thread. What was refused once is refused
    again, with the same words.
    """
    global _loaded, _refused  # noqa: PLW0603  # as pyrenode3 and .NET are: once in a process
    if _refused is not None:
        raise _refused.with_traceback(None)
    if not _loaded:
        try:
            _load(meanwhile)
        except EngineError as error:
            _refused = error
            raise
        _loaded = True


def _load(meanwhile: Callable[[], object]) -> None:
    os.environ["PYRENODE_SKIP_LOAD"] = "1"
    kind = next((each for each in Kind if os.environ.get(each.variable)), None)
    if kind is None:
        raise EngineError("no Renode is named", where=_WHERE, advice="`rptwin doctor` says how")
    try:
        from pyrenode3 import loader  # noqa: PLC0415

        # A Renode without Mono.Posix: the function gives None where its caller wants a list.
        libraries = loader.ensure_additional_libs
        loader.ensure_additional_libs = lambda folder: libraries(folder) or []
        getattr(loader.RenodeLoader, _LOADERS[kind])(os.environ[kind.variable])
        looking = _begin_to_look()
        meanwhile()
        _warm_up()
        looking.Wait()
    except (Exception, SystemExit) as error:
        what, advice = _UNFIT[kind]
        refused = EngineError(f"Renode cannot be loaded: {what}", where=os.environ[kind.variable], advice=advice)
        raise _with_words(refused, error) from None


def _begin_to_look() -> Any:
    """Renode looks through all its types when it is first used, a second long: on a thread of .NET's own, as a task."""
    from Antmicro.Renode.Core import EmulationManager  # noqa: I001, PLC0415  # of .NET: there as soon as Renode is
    import clr  # noqa: PLC0415
    from System import Action, Delegate  # noqa: PLC0415
    from System.Threading.Tasks import Task  # noqa: PLC0415

    first_use = clr.GetClrType(EmulationManager).GetMethod("RebuildInstance")
    # By reflection: as a function of Python's it would wait for this thread.
    return Task.Run(Delegate.CreateDelegate(clr.GetClrType(Action), first_use))


def _warm_up() -> None:
    """The first use of IronPython has most of it compiled; it needs none of Renode's types. Nor do these imports."""
    import pyrenode3.conversion  # noqa: PLC0415
    import pyrenode3.wrappers  # noqa: F401, PLC0415
    from IronPython.Hosting import Python  # noqa: PLC0415  # of .NET

    Python.CreateEngine().Execute(_ANY_SCRIPT)


@contextlib.contextmanager
def as_known() -> Iterator[None]:
    """EngineError where a class, a method or its arguments are not those of the Renode that rptwin was written for."""
    try:
        yield
    except (ImportError, AttributeError, TypeError) as error:
        text = str(error).strip().splitlines()
        refused = EngineError(
            "this Renode is another one than rptwin knows",
            where=_WHERE,
            expected=f"{TRIED}, which was tried",
            found=text[0] if text else type(error).__name__,
        )
        raise _with_words(refused, error) from None


def _with_words(refused: EngineError, error: BaseException) -> EngineError:
    for line in "".join(traceback.format_exception_only(error)).strip().splitlines():
        refused.add_note(line)
    return refused
