"""How far work got on its way to the core that is to act on it, and who waits for whom."""

from __future__ import annotations

import pytest
from test_rules import find, roots, takes_and_does_not_look, wait_for_each_other

from bench import Bench, Script, causes, message, run
from orchestrator.checks.finding import Finding
from orchestrator.events import Fault
from orchestrator.formats.resource_entry import Feature

EVENT_IDX = {"patch": lambda table: table.patched("vdev[0].dfeatures", 5 | Feature.EVENT_IDX)}


def negotiate(bench: Bench) -> None:
    """The driver takes EVENT_IDX too, before DRIVER_OK."""
    bench.poke("vdev[0].gfeatures", 5 | Feature.EVENT_IDX)


def asks(bench: Bench, side: str, event: int) -> None:
    """A side says when it wants to be told: behind the other side's ring."""
    ring = bench.sides[0].rings[1 if side == "device" else 0]
    at = ring.used + 4 + 8 * ring.num if side == "device" else ring.avail + 4 + 2 * ring.num
    core = bench.device if side == "device" else bench.driver
    bench.turn(core, lambda: bench.write(core, at, event.to_bytes(2, "little")))


def publish(bench: Bench, side: str) -> None:
    """One more for this side, of which nobody tells it."""
    if side == "device":
        bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")))
    else:
        bench.turn(bench.device, lambda: bench.device_send(bench.devices[0], message(1024, 1030, b"ping")))


def found_after(side: str, event: int) -> tuple[Finding, ...]:
    def act(bench: Bench) -> None:
        bench.turn(bench.driver, lambda: negotiate(bench))
        asks(bench, side, event)
        bench.time_ns += 1_000_000
        publish(bench, side)

    return run(after=act, **EVENT_IDX).findings


# The device has seen 3 messages, the driver 4 that came back: the next one moves the index from there.
SEEN = {"device": 3, "driver": 4}


@pytest.mark.parametrize("side", SEEN)
@pytest.mark.parametrize("ahead", [1, 100, -1])
def test_an_event_index_elsewhere_suppresses_and_is_named(driver: str, side: str, ahead: int) -> None:
    found = found_after(side, (SEEN[side] + ahead) & 0xFFFF)
    assert roots(found) == ["notification.suppressed"]
    (one,) = find(found, "notification.suppressed")
    name = "avail_event" if side == "device" else "used_event"
    assert one.at[0].path.endswith(name)
    assert f"by {name} {(SEEN[side] + ahead) & 0xFFFF}" in one.actual
    assert one.core == (driver if side == "driver" else {"main": "remote", "remote": "main"}[driver])


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("side", SEEN)
def test_an_event_index_at_what_comes_next_asks_for_a_notification(side: str) -> None:
    assert roots(found_after(side, SEEN[side])) == ["notification.missing"]


@pytest.mark.usefixtures("driver")
def test_flags_mean_nothing_where_the_event_index_was_negotiated() -> None:
    def act(bench: Bench) -> None:
        bench.turn(bench.driver, lambda: negotiate(bench))
        ring = bench.sides[0].rings[1]
        bench.turn(bench.device, lambda: bench.write(bench.device, ring.used, b"\x01\x00"))
        asks(bench, "device", SEEN["device"])
        bench.time_ns += 1_000_000
        publish(bench, "device")

    assert roots(run(after=act, **EVENT_IDX).findings) == ["notification.missing"]


@pytest.mark.usefixtures("driver")
def test_a_device_that_polls_under_an_event_index_is_found_at_no_fault() -> None:
    """It has put the index far away, and looks by a timer of its own."""

    def act(bench: Bench) -> None:
        bench.turn(bench.driver, lambda: negotiate(bench))
        asks(bench, "device", 0x8000)
        for _ in range(2):
            publish(bench, "device")
            bench.time_ns += 5_000_000
            bench.turn(bench.device, lambda: bench.device_poll(bench.devices))
            bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))

    assert run(after=act, **EVENT_IDX).findings == ()


@pytest.mark.usefixtures("driver")
def test_a_core_that_has_looked_is_not_told_in_vain() -> None:
    def act(bench: Bench) -> None:
        takes_and_does_not_look(bench)
        bench.look(bench.device, bench.sides[0].rings[1].avail + 2)

    assert "notification.in-vain" not in [each.rule for each in run(after=act).findings]


@pytest.mark.usefixtures("driver")
def test_of_a_core_whose_accesses_nobody_tells_nobody_says_where_it_looked() -> None:
    class Untold(Bench):
        def observe(self, *args: object, **more: object) -> frozenset[str]:
            super().observe(*args, **more)  # type: ignore[arg-type]
            return frozenset((self.driver,))

    found = Untold(Script(after=takes_and_does_not_look)).run().findings
    assert roots(found) == ["buffer.not-returned"]


@pytest.mark.usefixtures("driver")
def test_a_circle_of_waits_names_both_and_what_each_waits_for() -> None:
    (found,) = (each.finding for each in run(after=wait_for_each_other).causes)
    assert found.rule == "core.deadlock"
    assert "a buffer on vdev[0].vring[1]" in found.actual
    assert "an empty buffer on vdev[0].vring[0]" in found.actual
    assert len(found.detail) == 2


@pytest.mark.usefixtures("driver")
def test_a_core_that_died_waits_for_nothing() -> None:
    def act(bench: Bench) -> None:
        wait_for_each_other(bench)
        bench.emit(bench.device, Fault("BusFault", (), None, 0x0800_0100, None, "reads", False, {}, ()))  # type: ignore[arg-type]

    assert causes(run(after=act)) == ["core.fault"]


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("side", ["driver", "device"])
def test_a_core_that_does_not_look_for_a_buffer_does_not_wait_for_one(side: str) -> None:
    def act(bench: Bench) -> None:
        look = bench.look
        blind = bench.driver if side == "driver" else bench.device
        bench.look = lambda core, at: None if core == blind else look(core, at)  # type: ignore[method-assign]
        wait_for_each_other(bench)

    assert "core.deadlock" not in [each.rule for each in run(after=act).findings]
