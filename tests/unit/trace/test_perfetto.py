"""Traces for Perfetto, read with the classes that its schema makes (the ``perfetto`` package)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema

from orchestrator.trace import StackSample, Trace
from orchestrator.trace.perfetto import to_perfetto

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4


def packets(trace: Trace) -> list[Any]:
    read = schema.Trace()
    data = to_perfetto(trace)
    read.ParseFromString(data)
    assert all(not len(UnknownFieldSet(each)) for packet in read.packet for each in _messages(packet))
    assert read.ByteSize() == len(data)
    return list(read.packet)


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(each)


def tracks(read: list[Any]) -> dict[int, Any]:
    return {each.track_descriptor.uuid: each.track_descriptor for each in read if each.HasField("track_descriptor")}


def path(known: dict[int, Any], uuid: int) -> str:
    track = known[uuid]
    name = track.name or track.process.process_name or "thread"
    return f"{path(known, track.parent_uuid)}/{name}" if track.parent_uuid else name


def events(trace: Trace) -> dict[str, list[Any]]:
    read = packets(trace)
    known = tracks(read)
    found: dict[str, list[Any]] = {}
    for each in read:
        if each.HasField("track_event"):
            found.setdefault(path(known, each.track_event.track_uuid), []).append(each)
    return found


@pytest.mark.parametrize("variant", ["demo", "crash-remote", "wrong-channel"])
def test_every_slice_that_begins_ends(traced: Callable[..., Trace], variant: str) -> None:
    for name, found in events(traced(variant)).items():
        depth = 0
        for each in found:
            depth += {BEGIN: 1, END: -1}.get(each.track_event.type, 0)
            assert depth >= 0, name
        assert depth == 0, name
        assert [each.timestamp for each in found] == sorted(each.timestamp for each in found)


def test_packets_are_one_sequence_whose_first_begins_anew(demo: Trace) -> None:
    read = packets(demo)
    assert {each.trusted_packet_sequence_id for each in read} == {1}
    assert [each.sequence_flags for each in read[:2]] == [1, 0]
    kinds = ["track_event" if each.HasField("track_event") else "track_descriptor" for each in read]
    assert kinds == sorted(kinds)  # a track is described before its events


def test_a_core_is_a_thread_of_a_process_with_its_states(demo: Trace) -> None:
    found = events(demo)["remote (cpu_cm4)/thread"]
    spans = [span for span in demo.states if span.core == "cpu_cm4"]
    began = [(each.timestamp, each.track_event.name) for each in found if each.track_event.type == BEGIN]
    assert began == [(span.began_ns, span.state.value) for span in spans]


def test_a_notification_flows_into_the_exception_that_takes_it(demo: Trace) -> None:
    found = events(demo)
    sent = {flow: each for each in found["main (cpu_cm7)/notifications"] for flow in each.track_event.flow_ids}
    taken = {
        flow: each for each in found["remote (cpu_cm4)/exceptions"] for flow in each.track_event.terminating_flow_ids
    }
    of_main = [each for each in demo.notifications if each.sender == "cpu_cm7" and each.taken_ns is not None]
    assert len(of_main) == len(taken) > 0
    assert {(sent[flow].timestamp, each.timestamp) for flow, each in taken.items()} == {
        (each.sent_ns, each.taken_ns) for each in of_main
    }


def test_each_flow_has_one_begin_and_at_most_one_end(demo: Trace) -> None:
    every = [each.track_event for found in events(demo).values() for each in found]
    begun = Counter(flow for each in every for flow in each.flow_ids)
    ended = Counter(flow for each in every for flow in each.terminating_flow_ids)
    assert set(begun.values()) == set(ended.values()) == {1}
    assert set(ended) <= set(begun)
    assert len(begun) == len(demo.pairs[0].messages) + sum(each.taken_ns is not None for each in demo.notifications)


def test_the_fill_of_a_ring_is_a_counter(demo: Trace) -> None:
    found = events(demo)["shared memory/vdev[0].vring[0] with the device"]
    values = [each.track_event.counter_value for each in found]
    assert (values[0], max(values), values[-1]) == (0, 8, 8)
    assert {each.track_event.type for each in found} == {COUNTER}


def test_a_finding_stands_where_it_was_seen(traced: Callable[..., Trace]) -> None:
    trace = traced("crash-remote")
    found = {each.track_event.name: each for each in events(trace)["rptwin/findings"]}
    fault = next(each for each in trace.faults if each.name == "BusFault")
    assert found["core.fault"].timestamp == fault.time_ns
    never = found["vdev.driver-ok-not-reached"]
    assert never.timestamp == trace.ended_ns
    assert {each.name: each.string_value for each in never.track_event.debug_annotations}["moment"].startswith("never")
    handler = events(trace)["remote (cpu_cm4)/exceptions"]
    assert [(each.track_event.type, each.timestamp) for each in handler] == [
        (BEGIN, fault.time_ns),
        (END, trace.ended_ns),
    ]


def test_console_lines_are_beside_the_core_that_prints_them(demo: Trace) -> None:
    found = events(demo)["main (cpu_cm7)/console main"]
    said = [(each.timestamp, each.track_event.name) for each in found]
    assert said == [(line.time_ns, line.text) for line in demo.lines if line.console == "main"]


def test_functions_are_slices_from_sample_to_sample(demo: Trace) -> None:
    sleeping = StackSample("cpu_cm4", 300, 5, 100, ("main", "sleep", "[sleeping]"))
    samples = (
        StackSample("cpu_cm4", 100, 1, 100, ("main", "poll")),
        StackSample("cpu_cm4", 200, 1, 100, ("main", "poll", "read")),
        sleeping,
    )
    found = events(replace(demo, samples=samples))["remote (cpu_cm4)/functions (sampled)"]
    assert [(each.timestamp, each.track_event.type, each.track_event.name) for each in found] == [
        (100, BEGIN, "main"),
        (100, BEGIN, "poll"),
        (200, BEGIN, "read"),
        (300, END, ""),
        (300, END, ""),
        (300, BEGIN, "sleep"),
        (300, BEGIN, "[sleeping]"),
        (800, END, ""),
        (800, END, ""),
        (800, END, ""),
    ]


@pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
def test_of_another_engine_slices_balance_too(traced: Callable[..., Trace]) -> None:
    for name, found in events(traced("demo", "mps2_an521", "qemu")).items():
        types = Counter(each.track_event.type for each in found)
        assert types[BEGIN] == types[END], name
