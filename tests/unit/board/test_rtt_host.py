"""The host's side of RTT against memory that a hostile target has written."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.base.errors import TranslationError
from orchestrator.board.rtt import Rtt
from orchestrator.events import Changed, Event
from orchestrator.formats.rtt import RTT_ID, RttBuffer, RttHeader

BASE, AT, RING = 0x2000_0000, 0x2000_0000, 0x2000_0100


class FakeEngine:
    """One core's 4 KB."""

    time_ns = 0

    def __init__(self) -> None:
        self.bytes = bytearray(0x1000)
        self.watched = {}

    def memory(self, core):
        return self

    def subscribe(self, listener):
        self.listener = listener

    def watch(self, name, core, extent):
        self.watched[name] = extent

    def unwatch(self, name):
        self.watched.pop(name, None)

    def _checked(self, address, size):
        if not BASE <= address <= address + size <= BASE + len(self.bytes):
            raise TranslationError("no memory", where=f"cpu at {address:#010x}")
        return address - BASE

    def read(self, address, size):
        at = self._checked(address, size)
        return bytes(self.bytes[at : at + size])

    def write(self, address, data):
        at = self._checked(address, len(data))
        self.bytes[at : at + len(data)] = data


class Target:
    """A control block with one up-buffer and one down-buffer of 8 bytes, and the host that looks at it."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        self.notes: list[str] = []
        image = SimpleNamespace(symbols={"_SEGGER_RTT": SimpleNamespace(address=AT)}, segments=(), sections=())
        report = lambda event: self.notes.append(event.detail.text)  # noqa: E731
        self.rtt = Rtt({"main": "cpu"}, {"main": image}, self.engine, report)

    def put(self, up: RttBuffer, down: RttBuffer = RttBuffer(0, 0, 0, 0, 0, 0)) -> None:  # noqa: B008
        self.engine.write(AT, RttHeader(RTT_ID.ljust(16, b"\0"), 1, 1).pack() + up.pack() + down.pack())
        self.engine.listener(Event(0, "cpu", Changed("rtt.cpu")))

    def buffer(self, index: int) -> RttBuffer:
        return RttBuffer.unpack_from(self.engine.read(AT + RttHeader.size + RttBuffer.size * index, RttBuffer.size))

    @property
    def heard(self) -> bytes:
        return self.rtt.consoles["main.rtt0"].output


def test_what_wraps_is_put_together_and_taken_out():
    target = Target()
    target.engine.write(RING, b"lo...hel")
    target.put(RttBuffer(0, RING, 8, 2, 5, 0))
    assert target.heard == b"hello"
    assert target.buffer(0).rd_off == 2
    target.put(target.buffer(0))
    assert target.heard == b"hello", "it was taken"


def test_input_wraps_and_waits_for_room():
    target = Target()
    up, down = RttBuffer(0, RING, 8, 0, 0, 0), RttBuffer(0, RING + 0x10, 8, 6, 6, 0)
    target.put(up, down)
    target.rtt.consoles["main.rtt0"].write(b"0123456789")
    assert target.engine.read(RING + 0x10, 8) == b"23456\x0001"
    assert target.buffer(1).wr_off == 5
    target.put(up, RttBuffer(0, RING + 0x10, 8, 5, 5, 0))
    assert target.buffer(1).wr_off == 0
    assert target.engine.read(RING + 0x15, 3) == b"789"


@pytest.mark.parametrize(
    ("up", "note"),
    [
        (RttBuffer(0, RING, 8, 9, 0, 0), "RTT: up-buffer 0 has an offset past its end: not used"),
        (RttBuffer(0, 0x7000_0000, 8, 4, 0, 0), "RTT: control block at 0x20000000: cpu at 0x70000000: no memory"),
        (RttBuffer(0, RING, 0xFFFF_FFFF, 0xFFFF_0000, 0, 0), "RTT: control block at 0x20000000: cpu at 0x20000100"),
    ],
)
def test_a_broken_buffer_is_noted_once_and_never_followed(up, note):
    target = Target()
    for _ in range(3):
        target.put(up)
    (said,) = target.notes
    assert said.startswith(note)
