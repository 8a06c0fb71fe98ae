"""``rptwin``, and ``python -m orchestrator``: what is seen to before anything else is imported.

A signal in the middle of an import is a traceback at best. Until a command runs nothing has begun that would have to be
taken down: rptwin says that it was interrupted, and ends with exit code 2 at once.
"""
# ruff: noqa: PLC0415  # see above: __future__ is an import too, and one that looks for a file

import _signal  # type: ignore[import-not-found]  # what signal is made of, without the enumerations whose import takes longer than all else here
import atexit
import gc
import os
import sys

TYPE_CHECKING = False  # typing's own would be an import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

__all__ = ["main"]

_YOUNG_OBJECTS = 200_000  # after which cycles are looked for: modules and a board are more, and stay

_ENDING = [getattr(_signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(_signal, name)]


def _leave(_number: int, _frame: "FrameType | None") -> None:
    try:
        os.write(2, b"rptwin: error: interrupted\n")
    finally:
        os._exit(2)


def _open_standard_streams() -> None:
    """What is closed would be taken by the next file that is opened, and be written to by whoever prints.

    Output that was closed cannot be written to, and that is an error as on a full disk; messages that nobody wants to
    read go nowhere.
    """
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # the lowest that is free: this one
            os.set_inheritable(descriptor, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # descriptors, and for good
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _give_up(descriptor: int) -> None:
    """The interpreter's own flush at exit is not to fail once more, which would be exit code 120."""
    stream = {1: sys.stdout, 2: sys.stderr}[descriptor]
    try:
        stream.flush()
    except (OSError, ValueError):
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        except OSError:
            os._exit(2)


def main() -> "NoReturn":
    """The command; ends by SystemExit."""
    for each in _ENDING:
        if _signal.getsignal(each) != _signal.SIG_IGN:
            _signal.signal(each, _leave)
    gc.set_threshold(_YOUNG_OBJECTS)
    _open_standard_streams()
    from orchestrator.base.interrupts import was_raised
    from orchestrator.cli import main as command

    code: object = 2
    try:
        command(prog_name="rptwin")
    except SystemExit as left:
        code = left.code
    finally:
        for each in _ENDING:
            _signal.signal(each, _signal.SIG_IGN)  # all has been said, and the exit code with it
        _give_up(1)
        _give_up(2)
    if was_raised():
        # CPython remembers a KeyboardInterrupt that passed through exec() of a text, as dataclasses do when a module
        # is imported, and kills itself by SIGINT in the end, whatever became of it.
        atexit._run_exitfuncs()
        os._exit(code if isinstance(code, int) else 2)
    gc.freeze()  # what is collected at exit goes back to the system anyway
    sys.exit(code if isinstance(code, int) else 2)


if __name__ == "__main__":
    main()
