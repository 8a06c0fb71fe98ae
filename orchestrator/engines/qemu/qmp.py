"""QEMU's machine protocol, as far as it is needed: commands in turn, events as they come (QMP specification)."""

from __future__ import annotations

import json
import socket
from typing import Any

from orchestrator.base.errors import EngineError
from orchestrator.engines.qemu.errors import received, sent

__all__ = ["QmpClient"]


class QmpClient:
    """One connection; ``version`` is (major, minor, micro)."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._pending = b""
        self.events: list[dict[str, Any]] = []
        greeting = self._message()
        try:
            found = greeting["QMP"]["version"]["qemu"]
            self.version = (int(found["major"]), int(found["minor"]), int(found["micro"]))
        except (KeyError, TypeError, ValueError):
            raise EngineError("no QMP at the other end", where="engine qemu", found=str(greeting)[:80]) from None
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """What the command returns; EngineError when QEMU refuses it."""
        request: dict[str, object] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        sent(self._socket, json.dumps(request).encode() + b"\n")
        while True:
            message = self._message()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise EngineError("QEMU refuses", where=f"engine qemu: {command}", found=message["error"].get("desc"))
            else:
                return message.get("return")

    def wait_for(self, event: str) -> None:
        """Take events until this one has come."""
        while not any(each.get("event") == event for each in self.events):
            self.events.append(self._message())

    def look(self) -> None:
        """Take the events that have come."""
        self._socket.setblocking(False)
        try:
            while True:
                data = self._socket.recv(1 << 16)
                if not data:
                    return
                self._pending += data
        except BlockingIOError:
            pass
        except OSError:
            return
        finally:
            self._socket.settimeout(_PATIENCE_S)
        while b"\n" in self._pending:
            self.events.append(self._message())

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._pending:
            self._pending += received(self._socket)
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise EngineError("no QMP at the other end", where="engine qemu", found=repr(line[:80]))
        return message


_PATIENCE_S = 60.0
