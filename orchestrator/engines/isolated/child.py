"""What the process of an engine runs first: it leaves with its parent, and loads an engine while the rest is loaded.

Started by ``python -m orchestrator.engines.isolated.child``, the name of an engine that is to be loaded before anybody
asks, if any, two descriptors and a folder. Ctrl-C is the parent's to handle. Standard output and error are for whatever
the engine prints; the protocol has its own two sockets.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from orchestrator.base.errors import RptwinError
from orchestrator.engines.common.scratch import remove

__all__ = ["STOP", "Stops", "main"]

STOP = struct.Struct("<I")  # on the second socket: number of the run that is to end

# engine: (module, function) that loads it; what it is given to call meanwhile is the import of the rest
_EARLY = {"renode": ("orchestrator.engines.renode.assemblies", "load_renode")}
_SERVER = "orchestrator.engines.isolated.server"


class Stops:
    """Listens on the second socket in a thread: passes stops on, and leaves at once when the parent is gone.

    The folder, which the parent would have removed, goes too.
    """

    def __init__(self, control: socket.socket, scratch: Path) -> None:
        self._control = control
        self._scratch = scratch
        self.stop: Callable[[int], None] | None = None  # of the server, when there is one
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def wait(self, patience_s: float) -> None:
        """For the parent's end, which a server may see first."""
        self._thread.join(patience_s)

    def _listen(self) -> NoReturn:
        while True:
            try:
                data = self._control.recv(STOP.size, socket.MSG_WAITALL)
            except OSError:
                data = b""
            if len(data) < STOP.size:
                remove(self._scratch)
                os._exit(1)
            if self.stop is not None:
                # Not in this thread, which must see the parent's end even when the engine does not stop.
                threading.Thread(target=self.stop, args=STOP.unpack(data), daemon=True).start()


def main(frames: int, control: int, scratch: Path, early: str = "") -> NoReturn:
    """Serve over two inherited sockets, by their descriptors; what goes wrong early is said when somebody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stops = Stops(socket.socket(fileno=control), scratch)
    if early in _EARLY:
        module, function = _EARLY[early]
        with contextlib.suppress(RptwinError):
            getattr(importlib.import_module(module), function)(lambda: _serving().import_served(early))
    serve: Callable[[socket.socket, Stops], NoReturn] = _serving().serve
    serve(socket.socket(fileno=frames), stops)


def _serving() -> Any:
    return importlib.import_module(_SERVER)


if __name__ == "__main__":
    main(int(sys.argv[-3]), int(sys.argv[-2]), Path(sys.argv[-1]), *sys.argv[1:-3])
