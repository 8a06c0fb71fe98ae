"""A child process that serves an engine: how it is started, what it prints, how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from orchestrator.base.errors import EngineError
from orchestrator.base.interrupts import uninterrupted
from orchestrator.engines.common.scratch import Scratch
from orchestrator.engines.isolated.child import STOP

__all__ = ["SERVER", "Child"]

SERVER = (sys.executable, "-P", "-m", "orchestrator.engines.isolated.child")  # -P: nothing of the current folder

_LOG_LINES = 200
_LINE_BYTES = 4096
_LEAVE_S = 5.0  # for a child that was asked to leave
_DRAIN_S = 1.0  # for what a dead child has printed; a grandchild may hold the pipe open
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[3])


class Child:
    """One process, started at once; ``command`` gets the descriptors of its two sockets and its folder's path.

    The folder is its TMPDIR and goes with it, whatever it has left there.
    Raises EngineError when the program cannot be started. The process never outlives this object or this interpreter.
    """

    def __init__(self, command: Sequence[str] = SERVER, environment: Mapping[str, str] | None = None) -> None:
        with uninterrupted():  # until all of it is known to who takes it down
            self._start(command, environment)

    def _start(self, command: Sequence[str], environment: Mapping[str, str] | None) -> None:
        scratch = Scratch()
        frames, child_frames = socket.socketpair()
        self._control, child_control = socket.socketpair()
        paths = [_PACKAGE_PARENT, *filter(None, [os.environ.get("PYTHONPATH")])]
        variables = {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(scratch.path)}
        inherited = (child_frames.fileno(), child_control.fileno())
        try:
            self._process = subprocess.Popen(
                [*command, *(str(each) for each in inherited), str(scratch.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(*inherited, scratch.lock),
                start_new_session=True,  # Ctrl-C at the terminal is for the parent alone
                env={**(os.environ if environment is None else environment), **variables},
            )
        except OSError as error:
            frames.close()
            self._control.close()
            scratch.remove()
            raise EngineError(
                "the engine's process cannot be started", where=command[0], found=error.strerror
            ) from None
        finally:
            child_frames.close()
            child_control.close()
        self.frames = frames
        self._lines: deque[str] = deque(maxlen=_LOG_LINES)
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=_collect, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()
        # A board that nobody closed, and the end of the interpreter.
        self._ended = weakref.finalize(self, _end, self._process, frames, self._control, scratch)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def stop(self, run: int) -> None:
        """Ask for the end of a run; from any thread or signal handler."""
        with contextlib.suppress(OSError):
            self._control.send(STOP.pack(run))

    def leave(self) -> None:
        """Wait for a child that was asked to leave, not for long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        self.end()

    def end(self) -> str:
        """End the process if it has not ended, and say how: "ended with exit code 3", "was killed by SIGABRT"."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_DRAIN_S if self._process.poll() is None else 0)
        was_running = self._process.poll() is None
        self._ended()
        self._reader.join(_DRAIN_S)
        return "had to be ended" if was_running else _how(self._process.returncode)

    def kill(self) -> None:
        """End the process at once."""
        self._ended()
        self._reader.join(_DRAIN_S)

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that it has printed."""
        return tuple(self._lines)


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    if code > 128 and code - 128 in signal.valid_signals():
        return f"ended with exit code {code} ({signal.Signals(code - 128).name})"
    return f"ended with exit code {code}"


def _collect(stream: BinaryIO, lines: deque[str]) -> None:
    with stream:
        while line := stream.readline(_LINE_BYTES):
            text = line.decode(errors="replace").rstrip()
            if text:
                lines.append(text)


def _end(process: subprocess.Popen[bytes], frames: socket.socket, control: socket.socket, scratch: Scratch) -> None:
    with uninterrupted():
        frames.close()
        control.close()
        if process.poll() is None:
            # Its session holds whatever it has started itself.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        scratch.remove()
