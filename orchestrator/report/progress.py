"""How far a bring-up came: the steps that every one has, each with its time or with what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.roles import ROLES
from orchestrator.events import CoreState
from orchestrator.formats.resource_entry import Feature, status_names
from orchestrator.observe.live import LiveVdev
from orchestrator.report.record import Record

__all__ = ["Step", "steps_of"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a bring-up: when the last part of it was there (virtual ns), or what of it is missing."""

    name: str
    time_ns: int | None
    missing: str = ""

    def __str__(self) -> str:
        if self.time_ns is None:
            return f"{self.name} missing" + (f" ({self.missing})" if self.missing else "")
        return f"{self.name} {self.time_ns / 1e6:.3f}"


def steps_of(record: Record) -> tuple[Step, ...]:
    """Boot, table, vrings, DRIVER_OK, notifications, name service, traffic; those that a pair can have."""
    return tuple(_steps(record))


def _steps(record: Record) -> Iterator[Step]:
    live, vdevs = record.live, record.live.vdevs
    yield _boot(record)
    if not live.is_given:
        yield _of_milestones(
            record, "table", {f"table present as {role} sees it": f"in {role}'s view" for role in ROLES}
        )
    if not vdevs:
        return
    yield _of_milestones(record, "vrings", {f"{ring.path} resolved": ring.path for ring in live.rings})
    states = {vdev.path: "|".join(status_names(vdev.status)) or "0" for vdev in vdevs}
    yield _of_milestones(
        record, "DRIVER_OK", {f"{vdev.path} DRIVER_OK": f"{vdev.path} at {states[vdev.path]}" for vdev in vdevs}
    )
    yield _of_milestones(
        record, "notifications", {f"first notification to {role}": f"none to {role}" for role in ROLES}
    )
    named = [vdev for vdev in vdevs if vdev.is_rpmsg and (vdev.features or 0) & Feature.NS]
    if named:
        yield _name_service(record, named)
    yield _traffic(record, vdevs)


def _boot(record: Record) -> Step:
    held = []
    times = [0]
    for role in record.vector_tables:
        core = record.run.cores.get(role)
        if core is None:
            continue
        if core.state is CoreState.HELD and core.released_ns is None:
            held.append(f"{role} held in reset")
        times.append(core.released_ns or 0)
    return Step("boot", None if held else max(times), ", ".join(held))


def _of_milestones(record: Record, name: str, wanted: dict[str, str]) -> Step:
    """Reached with the last of some milestones; each with what is said where it is missing."""
    found = {each: record.run.milestone(each) for each in wanted}
    missing = [wanted[each] for each, milestone in found.items() if milestone is None]
    times = (milestone.time_ns for milestone in found.values() if milestone is not None)
    return _step(name, times, missing)


def _step(name: str, times: Iterable[int], missing: list[str]) -> Step:
    return Step(name, None if missing else max(times, default=0), ", ".join(missing))


def _name_service(record: Record, vdevs: list[LiveVdev]) -> Step:
    logs = {vdev.path: record.run.traffic.messages.get(vdev.path) for vdev in vdevs}
    first = {path: log.announced[0].time_ns if log and log.announced else None for path, log in logs.items()}
    missing = [f"none through {path}" for path, time_ns in first.items() if time_ns is None]
    return _step("name service", (each for each in first.values() if each is not None), missing)


def _traffic(record: Record, vdevs: Iterable[LiveVdev]) -> Step:
    """Messages both ways; of other devices, a buffer back on each ring."""
    missing, times = [], []
    for vdev in vdevs:
        if vdev.is_rpmsg:
            names = {f"{vdev.path} first message from {role}": f"none from {role}" for role in ROLES}
        else:
            names = {f"{ring.path} first buffer used": f"none through {ring.path}" for ring in vdev.rings}
        for name, what in names.items():
            reached = record.run.milestone(name)
            if reached is None:
                missing.append(what)
            else:
                times.append(reached.time_ns)
    return _step("traffic", times, list(dict.fromkeys(missing)))
