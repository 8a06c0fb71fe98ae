"""A switch between cards that different threads serve, and captures that another program reads."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader
from support.vhost import GUEST, GuestMemory, bring_up, serving

from orchestrator.base.errors import UsageError
from orchestrator.formats.resource_entry import Feature
from orchestrator.host import Capture, Network, Switch
from orchestrator.vhost_user import Frontend
from orchestrator.virtqueue import Segment

HEADER = bytes(12)  # VERSION_1
EVERYBODY = b"\xff" * 6
A, B = (bytes((2, 0, 0, 0, 0, each)) for each in (1, 2))
RECEIVE, SEND = GUEST + 0x8000, GUEST + 0xA000


def frame(to: bytes, sender: bytes, text: bytes = b"hello") -> bytes:
    return to + sender + b"\x88\xb5" + text  # a type for experiments (IEEE 802)


class Station:
    """A driver for the card behind a socket."""

    def __init__(self, path: Path) -> None:
        self.guest = GuestMemory()
        self.frontend = Frontend.connect(str(path))
        self.receive, self.transmit = bring_up(self.frontend, self.guest, 2, Feature.VERSION_1)
        for number in range(8):
            buffer = RECEIVE + 0x200 * number
            self.receive.offer([Segment(buffer, 0x200, is_writable=True)], buffer)
        self.frontend.vrings[0].kick()

    def send(self, data: bytes) -> None:
        self.guest.memory.write(SEND, HEADER + data)
        self.transmit.offer([Segment(SEND, len(HEADER + data))])
        self.frontend.vrings[1].kick()
        while self.transmit.pop() is None:
            time.sleep(0.001)

    def received(self, count: int = 1) -> list[bytes]:
        """So many frames, or fewer after a second."""
        found: list[bytes] = []
        end = time.monotonic() + 1
        while len(found) < count and time.monotonic() < end:
            returned = self.receive.pop()
            if returned is not None:
                found.append(self.guest.memory.read(returned.token + len(HEADER), returned.length - len(HEADER)))
            else:
                time.sleep(0.001)
        return found

    def close(self) -> None:
        self.frontend.close()
        self.guest.close()


@contextlib.contextmanager
def stations(folder: Path, *cards: Network) -> Iterator[list[Station]]:
    with contextlib.ExitStack() as stack:
        for number, card in enumerate(cards):
            stack.enter_context(serving(folder / f"{number}", card))
        yield [stack.enter_context(contextlib.closing(Station(folder / f"{number}"))) for number in range(len(cards))]


def test_a_frame_goes_to_everybody_until_its_address_was_seen(path: Path) -> None:
    cards = [Network() for _ in range(3)]
    Switch(*cards)
    with stations(path.parent, *cards) as (a, b, c):
        a.send(frame(B, A))
        assert [each.received() for each in (b, c)] == [[frame(B, A)], [frame(B, A)]]
        b.send(frame(A, B))
        assert a.received() == [frame(A, B)]
        a.send(frame(B, A, b"again"))
        assert b.received() == [frame(B, A, b"again")]
        b.send(frame(EVERYBODY, B))
        assert [each.received() for each in (a, c)] == [[frame(EVERYBODY, B)], [frame(EVERYBODY, B)]]
        c.send(frame(EVERYBODY, A))  # the sender has moved
        assert [each.received() for each in (a, b)] == [[frame(EVERYBODY, A)], [frame(EVERYBODY, A)]]
        b.send(frame(A, B, b"moved"))
        assert c.received() == [frame(A, B, b"moved")]
        assert [each.receive.pop() for each in (a, b, c)] == [None, None, None]


def test_a_frame_without_addresses_goes_nowhere_and_is_counted(path: Path) -> None:
    cards = [Network() for _ in range(2)]
    switch = Switch(*cards)
    with stations(path.parent, *cards) as (a, b):
        a.send(b"short")
        a.send(frame(B, A))
        assert b.received() == [frame(B, A)]
    assert switch.dropped == 1


def test_a_card_that_somebody_answers_for_is_no_port() -> None:
    card = Network()
    card.on_frame = lambda frame: frame
    with pytest.raises(UsageError, match="somebody who answers its frames"):
        Switch(card)


def test_a_capture_is_read_by_another_program(path: Path) -> None:
    times = iter(range(1_700_000_000_123_456_789, 1_700_000_001_000_000_000, 1_000))
    cards = [Network(), Network()]
    Switch(*cards)
    file = path.with_suffix(".pcapng")
    with Capture(file, clock=lambda: next(times)) as capture:
        for name, card in zip(("left", "right"), cards, strict=True):
            capture.tap(card, name)
        with stations(path.parent, *cards) as (a, b):
            for number in range(3):
                a.send(frame(B, A, b"x" * number))
                assert b.received() == [frame(B, A, b"x" * number)]
        assert capture.frames == 6
    cards[0].taps[0](frame(B, A), True)  # closed: nothing is recorded, and nothing fails
    with PcapNgReader(str(file)) as reader:
        packets = list(reader)
    assert [bytes(each) for each in packets] == [frame(B, A, b"x" * (number // 2)) for number in range(6)]
    assert [each.sniffed_on for each in packets] == ["left", "right"] * 3
    assert [each.direction for each in packets] == [2, 1] * 3  # out of the one, into the other
    assert float(packets[0].time) == pytest.approx(1_700_000_000.123456)


def test_a_capture_that_cannot_be_written_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        Capture(path.parent / "none" / "x.pcapng")


def test_a_capture_without_its_library_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pcapng", None)
    with pytest.raises(UsageError, match=r"pip install rptwin\[pcapng\]"):
        Capture(path)
