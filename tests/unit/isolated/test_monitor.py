"""A command for Renode's monitor through the protocol, with an engine that has one and with one that has not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from orchestrator.engines.contract import Capability, EngineOptions
from orchestrator.engines.isolated import protocol
from orchestrator.engines.isolated.protocol import Channel, Message
from orchestrator.engines.isolated.server import Server
from orchestrator.errors import EngineError
from orchestrator.platform import Platform, load_platform


class Plain:
    """As much of an engine as a server needs before it is asked anything."""

    capabilities: frozenset[Capability] = frozenset()
    time_ns = 0
    consoles: dict[str, object] = {}


class WithMonitor(Plain):
    def execute(self, command: str) -> str:
        if command != "version":
            raise EngineError("Renode refuses", where=f"engine renode: {command}", found="No such command")
        return "Renode 1.16.1"


@pytest.fixture
def parent() -> Iterator[Channel]:
    """Opens what its first message names."""
    ours, theirs = socket.socketpair()

    def create(name: str, _platform: Platform, _options: EngineOptions) -> Plain:
        return WithMonitor() if name == "monitored" else Plain()

    thread = threading.Thread(target=Server(Channel(theirs), create).serve)
    thread.start()
    channel = Channel(ours)
    yield channel
    channel.send(protocol.Close())
    thread.join()
    ours.close()
    theirs.close()


def answer(parent: Channel, engine: str, command: str) -> Message:
    parent.send(protocol.Open(protocol.VERSION, engine, load_platform("stm32h745"), EngineOptions()))
    parent.receive(10)
    parent.send(protocol.Execute(command))
    return parent.receive(10).message


def test_what_the_monitor_prints_comes_back(parent: Channel) -> None:
    assert answer(parent, "monitored", "version") == protocol.Done("Renode 1.16.1")


def test_what_the_monitor_refuses_comes_back_with_its_words(parent: Channel) -> None:
    said = answer(parent, "monitored", "versoin")
    assert isinstance(said, protocol.Failed)
    assert (said.kind, said.where, said.found) == ("EngineError", "engine renode: versoin", "No such command")


def test_an_engine_without_a_monitor_refuses_by_name(parent: Channel) -> None:
    assert answer(parent, "plain", "version") == protocol.Failed("CapabilityError", "no monitor", found="version")
