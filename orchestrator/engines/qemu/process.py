"""QEMU as a child process: how it is found and started, what it logs, how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import EngineError
from orchestrator.base.interrupts import uninterrupted
from orchestrator.engines.common.scratch import Scratch, no_room
from orchestrator.engines.qemu.control import Control
from orchestrator.engines.qemu.machines import Machine

__all__ = ["COMMAND", "OLDEST", "PACKAGE", "Qemu", "QemuProcess", "find_qemu"]

COMMAND, PACKAGE = "qemu-system-arm", "qemu-system-arm"
OLDEST = (7, 2)
PLUGIN = Path(__file__).parent / "_native" / "libturns.so"

_MOST_LOG = 1 << 24  # bytes on disk of what has been read
_PATIENCE_S = 60.0  # of wall time without an answer; a step is a few ms
_OPENING_S = 30.0
_LONGEST_S = 10.0  # to say a version
_LAST_LINES = 5
_EVENTS = ("nvic_acknowledge_irq", "nvic_complete_irq")


@dataclass(frozen=True, slots=True)
class Qemu:
    """An installed QEMU."""

    path: str
    version: tuple[int, ...]


def find_qemu() -> Qemu:
    """EngineError when there is none, it does not start, is too old, or rptwin came without its plugin."""
    path = shutil.which(COMMAND)
    if path is None:
        raise EngineError("no QEMU", where="engine qemu", expected=COMMAND, advice=f"sudo apt-get install {PACKAGE}")
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, errors="replace", timeout=_LONGEST_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineError("QEMU does not start", where=path, found=str(error)) from None
    said = re.search(r"version (\d+)\.(\d+)(?:\.(\d+))?", done.stdout, re.ASCII)
    version = tuple(int(part) for part in said.groups("0")) if said else ()
    if version < OLDEST:
        oldest = ".".join(str(part) for part in OLDEST)
        found = ".".join(str(part) for part in version) or done.stdout[:60]
        raise EngineError("QEMU is too old", where=path, expected=f"{oldest} or newer", found=found)
    if not PLUGIN.exists():
        raise EngineError("rptwin's plugin for QEMU is not there", where=str(PLUGIN), advice="install rptwin on Linux")
    return Qemu(path, version)


class QemuProcess:
    """A machine that stands still at power-on; EngineError with QEMU's own words when it does not come up.

    The process never outlives this object or this interpreter: it ends itself when the pipe to it closes.
    """

    def __init__(self, qemu: Qemu, machine: Machine, shift: int, *, turn: int, arguments: Sequence[str] = ()) -> None:
        names = ("gdb", "qmp", *machine.uarts)
        self._log_read = self._log_given_back = 0
        self._sockets: dict[str, socket.socket] = {}
        with uninterrupted():  # until all of it is known to who takes it down
            self._start(qemu, machine, names, shift, turn, arguments)
        try:
            for name in names:
                self._sockets[name] = self._connected(name)
        except BaseException:
            self._ended()
            raise

    def _start(
        self, qemu: Qemu, machine: Machine, names: Sequence[str], shift: int, turn: int, arguments: Sequence[str]
    ) -> None:
        folder = Scratch()
        self.scratch = folder.path
        try:
            self.control = Control(self.scratch / "control")
        except OSError as error:
            folder.remove()
            raise no_room(error) from None
        self.control.set_turns(turn, shift)  # before QEMU is there: its cores take the first turn as they are made
        theirs, self._parent = os.pipe()
        command = [qemu.path, "-M", machine.name, "-display", "none", "-nodefaults", "-S", "-nic", "none"]
        command += ["-icount", f"shift={shift},sleep=off"]
        for name in names:
            command += ["-chardev", f"socket,id={name},path={self.scratch / name},server=on,wait=off"]
        command += ["-gdb", "chardev:gdb", "-mon", "chardev=qmp,mode=control"]
        for name in machine.uarts:
            command += ["-serial", f"chardev:{name}"]
        logged = ",".join(("plugin", "int", "guest_errors", "unimp", *(f"trace:{each}" for each in _EVENTS)))
        command += ["-d", logged, "-D", str(self.scratch / "log")]
        plugin = f"{PLUGIN},control={self.scratch / 'control'},dump={self.dump},parent={theirs}"
        command += ["-plugin", plugin, *arguments]
        try:
            with (self.scratch / "stderr").open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(theirs, folder.lock),
                    start_new_session=True,  # Ctrl-C at the terminal is for the parent alone
                )
        except OSError as error:
            os.close(self._parent)
            folder.remove()
            raise EngineError("QEMU cannot be started", where=qemu.path, found=error.strerror) from None
        finally:
            os.close(theirs)
        self._ended = weakref.finalize(self, _end, self._process, self._parent, self._sockets, folder)

    def _connected(self, name: str) -> socket.socket:
        patience = time.monotonic() + _OPENING_S
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_PATIENCE_S)
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                connection.connect(str(self.scratch / name))
                return connection
            if self._process.poll() is not None or time.monotonic() > patience:
                connection.close()
                what = "QEMU did not come up" if self._process.poll() is None else f"QEMU {self.how_it_ended()}"
                raise EngineError(what, where="engine qemu", found=" | ".join(self.last_words()) or "no word")
            time.sleep(0.002)

    @property
    def pid(self) -> int:
        """Of QEMU."""
        return self._process.pid

    @property
    def dump(self) -> Path:
        """Where the plugin saves memory when QEMU aborts."""
        return self.scratch / "dump"

    def socket(self, name: str) -> socket.socket:
        """``gdb``, ``qmp`` or a UART."""
        return self._sockets[name]

    def log_lines(self) -> list[str]:
        """Whole lines since the last call; the machine stands still."""
        try:
            with (self.scratch / "log").open("rb") as file:
                file.seek(self._log_read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rpartition(b"\n")[0]
        if not whole and not data.startswith(b"\n"):
            return []
        self._log_read += len(whole) + 1
        if len(whole) + 1 == len(data) and self._log_read > self._log_given_back + _MOST_LOG:
            os.truncate(self.scratch / "log", 0)  # QEMU writes on behind the hole, which takes no room
            self._log_given_back = self._log_read
        return whole.decode(errors="replace").split("\n")

    def last_words(self) -> list[str]:
        """The last lines that QEMU has printed."""
        try:
            text = (self.scratch / "stderr").read_text(errors="replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip() and "warning:" not in line][-_LAST_LINES:]

    def wait_for_end(self) -> None:
        """For a process that has closed its sockets."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LONGEST_S)

    def how_it_ended(self) -> str:
        """In words: "ended with exit code 1", "was killed by SIGSEGV", "does not answer"."""
        code = self._process.poll()
        if code is None:
            return "does not answer"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def close(self) -> None:
        """End the process and remove its files."""
        self._ended()


def _end(process: subprocess.Popen[bytes], parent: int, sockets: dict[str, socket.socket], scratch: Scratch) -> None:
    with uninterrupted():
        for each in sockets.values():
            each.close()
        with contextlib.suppress(OSError):
            os.close(parent)
        if process.poll() is None:
            process.kill()
        process.wait()
        scratch.remove()
