"""A command for Renode's monitor through the protocol, with an engine that has one and with one that has not."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from orchestrator.base.errors import EngineError, PlatformError, RptwinError
from orchestrator.engines.contract import Capability, EngineOptions
from orchestrator.engines.isolated import messages, server
from orchestrator.engines.isolated.channel import Channel, ClosedError
from orchestrator.engines.isolated.messages import Message
from orchestrator.engines.isolated.server import Server
from orchestrator.platform import Platform, load_platform


class Plain:
    """As much of an engine as a server needs before it is asked anything."""

    capabilities: frozenset[Capability] = frozenset()
    time_ns = 0
    consoles: dict[str, object] = {}

    def close(self) -> None:
        pass


class WithMonitor(Plain):
    def execute(self, command: str) -> str:
        if command != "version":
            raise EngineError("Renode refuses", where=f"engine renode: {command}", found="No such command")
        return "Renode 1.16.1"


@pytest.fixture
def parent() -> Iterator[Channel]:
    """Opens what its first message names."""
    ours, theirs = socket.socketpair()

    def create(name: str, _platform: Platform, _options: EngineOptions, _prepared: object) -> Plain:
        return {"monitored": WithMonitor, "doomed": Doomed}.get(name, Plain)()

    def serve() -> None:
        with contextlib.suppress(ClosedError):  # left
            Server(Channel(theirs), create).serve()

    thread = threading.Thread(target=serve)
    thread.start()
    channel = Channel(ours)
    yield channel
    with contextlib.suppress(ClosedError):  # nobody may be there any more
        channel.send(messages.Close())
    thread.join()
    ours.close()
    theirs.close()


def answer(parent: Channel, engine: str, command: str) -> Message:
    parent.send(messages.Open(messages.VERSION, engine, load_platform("stm32h745"), EngineOptions()))
    parent.receive(10)
    parent.send(messages.Execute(command))
    return parent.receive(10).message


def test_what_the_monitor_prints_comes_back(parent: Channel) -> None:
    assert answer(parent, "monitored", "version") == messages.Done("Renode 1.16.1")


def test_what_the_monitor_refuses_comes_back_with_its_words(parent: Channel) -> None:
    said = answer(parent, "monitored", "versoin")
    assert isinstance(said, messages.Failed)
    assert (said.kind, said.where, said.found) == ("EngineError", "engine renode: versoin", "No such command")


def test_an_engine_without_a_monitor_refuses_by_name(parent: Channel) -> None:
    assert answer(parent, "plain", "version") == messages.Failed("CapabilityError", "no monitor", found="version")


class Doomed(Plain):
    """Takes its process with it when it is asked something."""

    def when_lost(self, tell: Callable[[RptwinError], NoReturn]) -> None:
        self.lost = tell

    def state(self, core: str) -> None:
        self.lost(PlatformError("the script fails: no name", file="hsem.py", line=4))


def test_why_the_process_is_about_to_end_is_the_answer(parent: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    left = threading.Event()

    def leave(code: int) -> NoReturn:
        codes.append(code)
        left.set()
        raise ClosedError(f"left with {code}")

    monkeypatch.setattr(server, "leave", leave)
    parent.send(messages.Open(messages.VERSION, "doomed", load_platform("stm32h745"), EngineOptions()))
    parent.receive(10)
    parent.send(messages.AskState("cpu_cm7"))
    said = parent.receive(10).message
    assert isinstance(said, messages.Failed)
    assert (said.kind, said.what, said.where, said.place) == (
        "PlatformError",
        "the script fails: no name",
        "hsem.py",
        (4, None),
    )
    assert left.wait(60)
    assert codes == [3]
