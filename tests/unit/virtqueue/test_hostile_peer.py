"""A peer that breaks a rule: one finding with the rule's source, and the queue survives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_peers import HOSTILE_PEERS

from orchestrator.base.memory import BytesMemory
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.rules.rings import RING_RULES
from orchestrator.formats.packed_virtqueue import PackedLayout
from orchestrator.formats.virtqueue import RingLayout
from orchestrator.virtqueue import Negotiated, PackedDevice, PackedDriver, Segment, SplitDevice, SplitDriver

BASE = 0x1000
EVERYTHING = Negotiated(indirect=True, event_idx=True, in_order=True)


@pytest.mark.parametrize("rule", HOSTILE_PEERS)
def test_each_broken_rule_gives_its_finding_alone(rule: str) -> None:
    finding = HOSTILE_PEERS[rule]()
    assert finding.rule == rule
    assert "virtio 1.3" in finding.source
    assert finding.advice
    assert finding.at[0].view == "cpu_cm4"


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ("ring.avail-out-of-order", "do not take descriptors from a free list when IN_ORDER is negotiated"),
        ("ring.used-out-of-order", "do not accept IN_ORDER, or finish requests in order"),
    ],
)
def test_the_advice_about_order_goes_to_the_side_that_broke_it(rule: str, advice: str) -> None:
    assert HOSTILE_PEERS[rule]().advice == advice


def test_every_rule_that_a_peer_can_break_has_an_example() -> None:
    of_a_history = {"ring.wrong-writer", "ring.used-twice"}  # a side alone does not know them
    assert RING_RULES.keys() - of_a_history == HOSTILE_PEERS.keys() - {"buffer.unreachable-by-device"}
    assert {each.id for each in catalogue()} >= HOSTILE_PEERS.keys()


def test_a_bad_chain_goes_back_unwritten_and_the_next_one_is_served() -> None:
    memory = BytesMemory("m", BASE, bytearray(0x1000))
    layout = RingLayout.legacy(BASE, 4, 16)
    driver, device = SplitDriver(memory, layout), SplitDevice(memory, layout)
    driver.reset()
    driver.offer([Segment(0xDEAD_0000, 16, is_writable=True)], "bad")
    driver.offer([Segment(BASE + 0x800, 16, is_writable=True)], "good")
    chain = device.take()
    assert chain is not None
    device.give_back(chain, chain.write(b"hello"))
    assert [(each.token, each.length) for each in (driver.pop(), driver.pop()) if each] == [("bad", 0), ("good", 5)]
    assert device.take() is None
    assert [each.rule for each in device.faults] == ["buffer.unreachable-by-device"]


writes = st.lists(st.tuples(st.integers(0, 0x3FF), st.binary(min_size=1, max_size=16)), max_size=24)


@settings(max_examples=150, deadline=None)
@given(writes, st.sampled_from([Negotiated(), EVERYTHING]))
def test_a_split_ring_full_of_anything_gives_findings_and_ends(
    changes: list[tuple[int, bytes]], negotiated: Negotiated
) -> None:
    memory = BytesMemory("m", BASE, bytearray(0x1000))
    layout = RingLayout.legacy(BASE, 8, 16)
    driver, device = SplitDriver(memory, layout, negotiated), SplitDevice(memory, layout, negotiated)
    driver.reset()
    for index in range(3):
        driver.offer([Segment(BASE + 0x800 + 64 * index, 64, is_writable=True)], index)
    for offset, data in changes:
        memory.write(BASE + offset, data[: 0x1000 - offset])
        for _ in range(20):
            chain = device.take()
            if chain is None:
                break
            chain.read()
            device.give_back(chain, chain.write(b"x" * 100))
        device.should_notify()
        for _ in range(20):
            if driver.pop() is None:
                break
        assert driver.free_count + driver.posted_count <= 8
        assert device.taken_count == 0
    assert {each.rule for each in (*driver.faults, *device.faults)} <= HOSTILE_PEERS.keys()


@settings(max_examples=150, deadline=None)
@given(writes, st.sampled_from([Negotiated(), EVERYTHING]))
def test_a_packed_ring_full_of_anything_gives_findings_and_ends(
    changes: list[tuple[int, bytes]], negotiated: Negotiated
) -> None:
    memory = BytesMemory("m", BASE, bytearray(0x1000))
    layout = PackedLayout.contiguous(BASE, 8)
    driver, device = PackedDriver(memory, layout, negotiated), PackedDevice(memory, layout, negotiated)
    driver.reset()
    for index in range(3):
        driver.offer([Segment(BASE + 0x800 + 64 * index, 64, is_writable=True)], index)
    for offset, data in changes:
        memory.write(BASE + offset % 0xA0, data)
        for _ in range(20):
            chain = device.take()
            if chain is None:
                break
            chain.read()
            device.give_back(chain, chain.write(b"x" * 100))
        device.should_notify()
        driver.should_notify()
        for _ in range(20):
            if driver.pop() is None:
                break
        assert 0 <= driver.free_count <= 8
        assert device.taken_count == 0
    assert {each.rule for each in (*driver.faults, *device.faults)} <= HOSTILE_PEERS.keys()
