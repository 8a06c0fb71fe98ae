"""Typed values survive the wire; anything else is refused with its place."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.contract import ConsoleText, EngineOptions, MemoryEquals
from orchestrator.engines.isolated import messages
from orchestrator.engines.isolated.channel import HEADER, Channel, ClosedError, Frame, SilentError
from orchestrator.engines.isolated.codec import MalformedError, from_plain, to_plain
from orchestrator.events import (
    Accessed,
    CoreState,
    Event,
    Fault,
    GuestError,
    NotificationSent,
    NotificationTaken,
    Poll,
    StateChanged,
    UnmodelledAccess,
    Waiting,
)
from orchestrator.events import (
    Frame as BacktraceFrame,
)
from orchestrator.platform import load_platform

words = st.integers(0, 2**32 - 1)
names = st.text(max_size=12)
maybe = st.none() | words
backtraces = st.lists(st.builds(BacktraceFrame, words, st.none() | names, st.booleans()), max_size=3).map(tuple)
details = st.one_of(
    st.builds(NotificationSent, names, names, maybe, words, st.booleans()),
    st.builds(NotificationTaken, names, st.lists(words, max_size=4).map(tuple), words),
    st.builds(StateChanged, st.sampled_from(CoreState), names),
    st.builds(UnmodelledAccess, words, st.none() | names, words, words, maybe, names, names),
    st.builds(Accessed, st.binary(max_size=80)),
    st.builds(GuestError, words, st.none() | names, words, names),
    st.builds(
        Fault,
        names,
        st.lists(names, max_size=3).map(tuple),
        maybe,
        words,
        st.none() | names,
        names,
        st.booleans(),
        st.dictionaries(names, words, max_size=4),
        backtraces,
    ),
)
events = st.builds(Event, st.integers(0, 2**63), names, details)


def there_and_back(kind: Any, value: object) -> object:
    return from_plain(kind, json.loads(json.dumps(to_plain(value))))


@given(events)
def test_an_event_arrives_as_it_left(event: Event) -> None:
    assert there_and_back(Event, event) == event


@given(
    st.builds(
        messages.Run,
        words,
        words,
        st.none()
        | st.builds(ConsoleText, names, names, st.booleans())
        | st.builds(MemoryEquals, names, words, words, words, words),
    )
)
def test_a_condition_of_either_kind_arrives_as_it_left(run: messages.Run) -> None:
    assert there_and_back(messages.Run, run) == run


def test_what_a_core_waits_for_may_be_nothing() -> None:
    waiting = Waiting(1, None, (Poll(1, 2, 3, ""),))
    assert there_and_back(Waiting | None, waiting) == waiting
    assert there_and_back(Waiting | None, None) is None


def test_a_platform_with_its_scripts_arrives_as_it_left() -> None:
    platform = load_platform("stm32h745")
    ask = messages.Open(1, "unicorn", platform, EngineOptions())
    arrived = there_and_back(messages.Open, ask)
    assert arrived == ask


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        ({"!": "Hold"}, "frame.Hold: other fields: expected core"),
        ({"!": "Hold", "core": 1}, "frame.core: not what belongs here: expected str, found 1"),
        ({"!": "Read", "core": "a", "address": True, "size": 1}, "frame.address: .* expected int, found True"),
        ({"!": "Emitted", "event": {"!": "Hold", "core": "a"}}, "frame.event: .* expected Event, found Hold"),
        ({"!": "Surprise"}, "expected a known one, found 'Surprise'"),
        ([1], "expected a known one, found None"),
    ],
)
def test_a_message_that_is_none_is_refused_with_its_place(plain: object, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        receive(framed(json.dumps(plain).encode()))


def framed(text: bytes, blob: bytes = b"") -> bytes:
    return HEADER.pack(b"rptw", len(text), len(blob), 7) + text + blob


def receive(data: bytes) -> Frame:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return Channel(ours).receive(1.0)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        receive(data)


@given(st.binary(max_size=100))
def test_text_that_is_no_message_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        receive(framed(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["Emitted", "Opened", "Failed", "Output", "Run", "Open", "Watch"]), json_values)
def test_a_message_with_wrong_fields_is_refused_whatever_they_are(name: str, value: object) -> None:
    fields = {"event": value, "version": value, "core": value, "uart": value}
    with pytest.raises(MalformedError):
        receive(framed(json.dumps({"!": name, **fields}).encode()))


@given(st.data())
def test_a_frame_that_is_cut_short_is_no_frame(data: st.DataObject) -> None:
    whole = framed(b'{"!":"Continue"}', b"blob")
    assert receive(whole) == Frame(messages.Continue(), b"blob", 7)
    with pytest.raises(ClosedError):
        receive(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_silence_is_told_from_the_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(SilentError):
        Channel(ours).receive(0.01)


@given(st.binary(max_size=300_000).filter(bool) | st.just(bytes(1 << 20)))
def test_a_blob_of_any_size_arrives_whole(blob: bytes) -> None:
    assert receive_from_thread(blob) == blob


def receive_from_thread(blob: bytes) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=Channel(theirs).send, args=(messages.Continue(), blob))
        sender.start()
        received = Channel(ours).receive(5.0).blob
        sender.join()
    return received
