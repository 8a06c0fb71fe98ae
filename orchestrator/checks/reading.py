"""The verdict on memory alone: a board that runs elsewhere, looked at once, or twice with a pause.

Nobody watched it come up: what only a run shows (exceptions, notifications, who wrote, and in which order) is not
judged, and the rules that need it are named. Of what moved between two looks the indices tell how much, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import RingError
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.causes import relate
from orchestrator.checks.finding import Stage
from orchestrator.checks.sources import with_sources
from orchestrator.checks.state import State
from orchestrator.checks.static import look_at
from orchestrator.checks.verdict import Verdict
from orchestrator.formats.elf import Image
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import Profile
from orchestrator.observe.declared import DeclaredTable, choose_profile
from orchestrator.observe.live import LiveView
from orchestrator.observe.run import Run
from orchestrator.observe.views import Views
from orchestrator.platform.model import Platform

__all__ = ["Indices", "Look", "Subject", "judge_look", "not_applied"]

_WHOLE = 1 << 16  # values of an index
_OF_A_RUN = ("cache.", "core.", "endpoint.", "notification.", "order.", "run.")  # prefixes, and names:
_NEED_A_RUN = {
    "buffer.not-offered-again",
    "buffer.not-returned",
    "buffer.used-after-return",
    "buffer.written-while-offered",
    "message.blank",
    "message.unknown-destination",
    "ring.avail-out-of-order",
    "ring.index-back",
    "ring.used-out-of-order",
    "ring.wrong-writer",
    "table.second-copy",
    "vdev.driver-ok-unseen",
    "vdev.notifyid-misplaced",
    "vdev.status-writer",
    "vring.elsewhere",
}
_OF_IMAGES = ("elf.", "vector.")
_NEED_IMAGES = {
    "buffer.memory-in-use",
    "carveout.memory-in-use",
    "table.missing",
    "table.not-copied",
    "table.not-loaded",
    "vring.memory-in-use",
}
_NEED_ALL_MEMORY = {
    "buffer.unreachable-by-device",
    "buffer.unreachable-by-driver",
    "carveout.outside-memory",
    "trace.outside-memory",
}
_NEED_CONFIG = {"vdev.buffer-size", "vdev.config-size", "vdev.features-without-config"}
_NEED_REST = {"ring.layout-disagreement"}


class Indices(NamedTuple):
    """Of one ring."""

    avail: int
    used: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: who is asked for memory, where the table is, and what is known beside it."""

    views: Views
    declared: DeclaredTable
    images: Mapping[str, Image]
    profile: Profile | None = None  # None: chosen by the table
    release: NuttxRelease | None = None
    has_memory: bool = True  # False: nothing but the table is known
    is_partial: bool = False  # memory may be where none can be read: what was dumped is a part

    @property
    def platform(self) -> Platform | None:
        """None: nobody has said which chip it is."""
        return self.views.platform


@dataclass(frozen=True, slots=True)
class Look:
    """What stood in memory at one moment, as of a run without a past; ``indices`` are by ring."""

    live: LiveView
    run: Run
    indices: Mapping[str, Indices]

    @classmethod
    def at(cls, subject: Subject) -> Look:
        """Look now."""
        live, run = look_at(subject.views, subject.declared, subject.release)
        indices = {}
        for ring in live.rings:
            queue = ring.open(subject.views)
            try:
                if queue is not None:
                    indices[ring.path] = Indices(queue.avail_idx, queue.used_idx)
            except RingError:
                continue  # a rule says so
        return cls(live, run, indices)

    def moved_since(self, before: Look) -> dict[str, Indices]:
        """By how much the indices went on, by ring; of a ring that was begun anew in between, by anything."""
        moved = {}
        for path in sorted(self.indices.keys() & before.indices.keys()):
            now, then = self.indices[path], before.indices[path]
            moved[path] = Indices((now.avail - then.avail) % _WHOLE, (now.used - then.used) % _WHOLE)
        return moved

    def waiting(self) -> dict[str, int]:
        """Messages that the device has not returned, by ring; buffers that wait for something to say are none."""
        return {
            path: count
            for path, ring in sorted(self.run.traffic.rings.items())
            if (count := sum(not chain.is_empty for chain in ring.outstanding.values()))
        }


def not_applied(subject: Subject, *, at_rest: bool) -> dict[str, str]:
    """Why, by rule, in the order of the catalogue."""
    reasons = {}
    for rule in catalogue():
        if rule.id in _NEED_A_RUN or rule.id.startswith(_OF_A_RUN):
            reasons[rule.id] = "needs a run that was watched"
        elif not subject.images and (rule.id in _NEED_IMAGES or rule.id.startswith(_OF_IMAGES)):
            reasons[rule.id] = "needs the ELF files"
        elif not subject.has_memory and rule.stage in (Stage.LIVE, Stage.TRAFFIC):
            reasons[rule.id] = "needs shared memory"
        elif subject.declared.told is not None and rule.id in _NEED_CONFIG:
            reasons[rule.id] = "needs the config space of the vdevs, which a host does not show"
        elif subject.is_partial and rule.id in _NEED_ALL_MEMORY:
            reasons[rule.id] = "needs the platform, or a gdb server, to say where memory is"
        elif rule.id in _NEED_REST and not at_rest:
            reasons[rule.id] = "needs two looks between which nothing moved"
    return reasons


def judge_look(subject: Subject, look: Look, *, still_ns: int = 0) -> Verdict:
    """The verdict on a look; ``still_ns``: nothing has moved for so long before (0: nobody knows)."""
    run = look.run
    if still_ns:
        run.ended, run.time_ns = "looked at twice, and nothing moved", still_ns
    declared = subject.declared
    profile, why = choose_profile(declared.scan or look.live.scan)
    if subject.profile is not None:
        profile, why = subject.profile, "given"
    state = State(
        profile=profile,
        images=subject.images,
        declared=declared,
        platform=subject.platform,
        views=subject.views,
        live=look.live,
        run=run,
    )
    left_out = not_applied(subject, at_rest=bool(still_ns))
    findings = tuple(found for rule in catalogue() if rule.id not in left_out for found in rule.apply(state))
    return Verdict(
        up=look.live.is_up if subject.has_memory else _is_up_by_its_table(look.live),
        stopped=False,
        ended=run.ended,
        time_ns=run.time_ns,
        profile=profile,
        profile_reason=why,
        findings=with_sources(relate(findings), subject.images, subject.platform),
        run=run,
        live=look.live,
        views=subject.views,
        notify={},
        knows_rings=subject.has_memory,
    )


def _is_up_by_its_table(live: LiveView) -> bool:
    """Every vdev at DRIVER_OK, every vring with an address."""
    return bool(live.vdevs) and all(
        vdev.is_driver_ok and vdev.rings and all(ring.has_address for ring in vdev.rings) for vdev in live.vdevs
    )
