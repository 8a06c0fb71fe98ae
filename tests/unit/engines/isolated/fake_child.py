"""A child that dies as it is told: ``fake_child.py PHASE DEATH FRAMES CONTROL FOLDER``.

Its engine does next to nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.base.console_output import Fresh
from orchestrator.base.memory import BytesMemory
from orchestrator.engines.contract import EngineOptions, Stop, StopReason
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.channel import HEADER, Channel, Frame
from orchestrator.engines.isolated.child import Stops
from orchestrator.engines.isolated.server import Server
from orchestrator.events import CoreState, Event, Listener, Note
from orchestrator.formats.elf import Image
from orchestrator.platform.model import Platform

PHASE, DEATH = sys.argv[1:3]
CONNECTION = socket.socket(fileno=int(sys.argv[3]))


def die() -> None:
    print("last words", flush=True)
    match DEATH:
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "unhandled":
            print("Unhandled exception. System.Exception: the reason\n   at Somewhere()\n   at Elsewhere()", flush=True)
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(1000)
        case "close":
            CONNECTION.shutdown(socket.SHUT_RDWR)
            time.sleep(1000)
        case "truncate":
            CONNECTION.sendall(HEADER.pack(b"rptw", 100, 0, 0) + b'{"!":')
            os._exit(0)
        case "garbage":
            CONNECTION.sendall(b"Unhandled exception. System.NullReferenceException")
            time.sleep(1000)
        case "huge":
            CONNECTION.sendall(HEADER.pack(b"rptw", 0xFFFF_FFFF, 0xFFFF_FFFF, 0))
            time.sleep(1000)
        case "unknown":
            text = b'{"!":"Surprise"}'
            CONNECTION.sendall(HEADER.pack(b"rptw", len(text), 0, 0) + text)
            time.sleep(1000)
        case "wrong answer":
            Channel(CONNECTION).send(messages.Done({"not": "it"}))
            time.sleep(1000)
        case "grandchild":  # which holds the standard output open
            subprocess.Popen(["sleep", "1000"])
            os.abort()


class FakeConsole:
    name = "usart3"
    output = b""

    @property
    def total(self) -> int:
        return len(self.output)

    def since(self, position: int) -> Fresh:
        return Fresh(0, self.output[position:])

    def write(self, data: bytes) -> None:
        self.output += data


class FakeEngine:
    capabilities: frozenset[object] = frozenset()

    def __init__(self, platform: Platform, options: EngineOptions) -> None:
        self.time_ns = 0
        self.consoles = {"usart3": FakeConsole()}
        self.listener: Listener | None = None
        self.stopped = False

    def load(self, core: str, image: Image, vector_table: int) -> None:
        pass

    def run(self, timeout_ns: int, until: object) -> Stop:
        self.time_ns += timeout_ns
        self.consoles["usart3"].output += b"boot\n"
        if self.listener is not None:
            self.listener(Event(self.time_ns, "cpu_cm7", Note("still alive")))
        if PHASE == "event":
            die()
        if PHASE == "long run":
            while not self.stopped:
                self.time_ns += 1
                time.sleep(0.01)
        return Stop(StopReason.TIMEOUT, self.time_ns)

    def stop(self) -> None:
        self.stopped = True

    def state(self, core: str) -> CoreState:
        return CoreState.RUNNING

    def memory(self, core: str) -> BytesMemory:
        return BytesMemory(core, 0x3800_0000, bytes(range(256)) * 256)

    def subscribe(self, listener: Listener) -> None:
        self.listener = listener
        listener(Event(0, "", Note("subscribed")))


class DyingChannel(Channel):
    def receive(self, patience_s: float | None = None) -> Frame:
        frame = super().receive(patience_s)
        if type(frame.message).__name__ == PHASE:
            die()
        return frame


class OldChannel(DyingChannel):
    def send(self, message: messages.Message, blob: bytes = b"", time_ns: int = 0) -> None:
        if isinstance(message, messages.Opened):
            message = messages.Opened(0, message.capabilities, message.consoles)
        super().send(message, blob, time_ns)


def create(name: str, platform: Platform, options: EngineOptions, _prepared: object) -> FakeEngine:
    return FakeEngine(platform, options)


if PHASE == "start":
    die()
print("noise on standard output", flush=True)
os.write(2, b"and \xff on standard error\n")
signal.signal(signal.SIGINT, signal.SIG_IGN)
server = Server((OldChannel if PHASE == "version" else DyingChannel)(CONNECTION), create)
control = socket.socket(fileno=int(sys.argv[4]))
Stops(control, Path(sys.argv[5])).stop = server.stop
server.serve()
