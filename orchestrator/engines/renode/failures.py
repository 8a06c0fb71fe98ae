"""What .NET throws, in words: a script's error with its file and line, anything else with Renode's own text behind it.

Renode lets an error of a script through to .NET without saying where it was, and an error on a core's thread ends the
process. So each exception is kept as it is thrown: IronPython's knows the lines of the scripts that it came through.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from orchestrator.base.errors import EngineError, PlatformError, RptwinError

__all__ = ["Failures", "refused"]

_PLACE = re.compile(r"(?P<file>[^\s'\":]+\.repl):(?P<line>\d+):(?P<column>\d+)")
_SYNTAX = re.compile(r"(?P<what>[^\n]*) \(Line (?P<line>\d+), Column (?P<column>\d+)\)")
_SCRIPT = re.compile(r"from: (?P<file>.+\.py)\.")
_WHERE = re.compile(r"At .*:\d+:\d+:|   at ")
_INNERMOST = re.compile(r".* ---> [\w.]+: ")  # an exception of .NET around another, and the inner one's type
_FULL = os.strerror(errno.ENOSPC)
_OF_RENODE = "Python runtime error: "
_COMPILED = re.compile(r"script (?P<file>[^\n]+\.py):(?P<line>\d+): (?P<what>[^\n]*)")  # Script.cs


class Failures:
    """Sees every exception of .NET in this process from now on; ``home`` is the folder of the platform.

    ``lost`` is called with the one that nobody has handled, on its thread; when it returns, .NET ends the process.
    """

    def __init__(self, home: Path, lost: Callable[[RptwinError], None]) -> None:
        from System import AppDomain, UnhandledExceptionEventHandler  # noqa: PLC0415

        self._home = home
        self._thrown: Any = _last_of_a_script()
        unhandled = UnhandledExceptionEventHandler(lambda _, event: lost(self.in_words(event.ExceptionObject)))
        self._handler = unhandled  # it must not be collected
        AppDomain.CurrentDomain.UnhandledException += unhandled

    def in_words(self, error: Any) -> RptwinError:
        """An exception of .NET as an error of ours."""
        if isinstance(error, RptwinError):
            return error
        compiled = _COMPILED.search(str(error))
        if compiled is not None:
            return self._script(compiled["what"], Path(compiled["file"]), int(compiled["line"]))
        text = str(error).strip().splitlines() or [type(error).__name__]
        what = text[0].rpartition(": ")[2] if _OF_RENODE in text[0] else text[0]
        place = next(self._places(what), None)
        if place is not None:
            name, line = place
            return self._script(what, Path(name), line)
        failed = EngineError("Renode has failed", where="engine renode", found=what)
        for line_of_net in text[1:]:
            failed.add_note(line_of_net)
        return failed

    def _script(self, what: str, file: Path, line: int) -> EngineError:
        """As the Unicorn engine says it."""
        return EngineError(f"a script failed: {what}", where=f"{_shown(file, self._home)}:{line}")

    def _places(self, what: str) -> Iterator[tuple[str, int]]:
        """Lines of scripts that the last exception of one came through, innermost first; none where it is another."""
        from IronPython.Runtime.Operations import PythonOps  # noqa: PLC0415

        thrown = self._thrown[0]
        is_it = thrown is not None and str(thrown.Message).startswith(what)
        for frame in () if not is_it else PythonOps.GetDynamicStackFrames(thrown):
            name = str(frame.GetFileName() or "")
            if name.endswith(".py"):
                yield name, int(frame.GetFileLineNumber())


def _last_of_a_script() -> Any:
    """An array whose one element is the exception that last came through a script.

    What fills it is .NET's own code and not Python's: exceptions are thrown under locks for which a thread that has
    Python's own may be waiting.
    """
    import clr  # noqa: PLC0415
    from IronPython.Runtime.Operations import PythonOps  # noqa: PLC0415
    from System import AppDomain, Array, EventHandler, Int32, Object, Type  # noqa: PLC0415
    from System import Exception as NetException  # noqa: PLC0415
    from System.Linq.Expressions import Expression, ParameterExpression  # noqa: PLC0415
    from System.Runtime.ExceptionServices import FirstChanceExceptionEventArgs  # noqa: PLC0415

    last = Array[NetException]([None])
    sender = Expression.Parameter(clr.GetClrType(Object))
    event = Expression.Parameter(clr.GetClrType(FirstChanceExceptionEventArgs))
    thrown = Expression.Property(event, "Exception")
    frames = clr.GetClrType(PythonOps).GetMethod("GetDynamicStackFrames", Array[Type]([clr.GetClrType(NetException)]))
    count = Expression.ArrayLength(Expression.Call(frames, thrown))
    nothing = Expression.Constant(Int32(0))
    keep = Expression.Assign(Expression.ArrayAccess(Expression.Constant(last), nothing), thrown)
    body = Expression.IfThen(Expression.GreaterThan(count, nothing), keep)
    handler = EventHandler[FirstChanceExceptionEventArgs]
    act = Expression.Lambda[handler](body, Array[ParameterExpression]([sender, event])).Compile()
    # By reflection: `+=` would call it by way of Python.
    clr.GetClrType(AppDomain).GetEvent("FirstChanceException").AddEventHandler(AppDomain.CurrentDomain, act)
    return last


def _shown(file: Path, home: Path) -> str:
    return os.path.relpath(file, home) if home in file.parents else str(file)


def refused(error: Any, repl: str, home: Path) -> EngineError | PlatformError:
    """Why Renode does not take a description: its own place in it, or in a script; its whole text comes behind."""
    text = str(error).strip().splitlines() or [type(error).__name__]
    # Renode's own words; then comes where.
    what = " ".join(itertools.takewhile(lambda line: line.strip() and _WHERE.match(line) is None, text))
    what = _INNERMOST.sub("", what)
    place, syntax = _PLACE.search(str(error)), _SYNTAX.search(str(error))
    script = _SCRIPT.search(str(error))
    result: EngineError | PlatformError
    if _FULL in what:
        advice = "TMPDIR names another folder"
        result = EngineError("no room for Renode's files", where=os.environ.get("TMPDIR"), found=what, advice=advice)
    elif script is not None and syntax is not None:
        line, column = int(syntax["line"]), int(syntax["column"])
        what = syntax["what"].rpartition(": ")[2]
        result = PlatformError(
            f"Renode refuses it ({what})", file=_shown(Path(script["file"]), home), line=line, column=column
        )
    elif place is not None:
        line, column = int(place["line"]), int(place["column"])
        result = PlatformError(f"Renode refuses it ({what})", file=Path(place["file"]).name, line=line, column=column)
    else:
        result = EngineError("Renode refuses the platform", where=f"engine renode: {repl}", found=what)
    for each in text[1:]:
        result.add_note(each)
    return result
