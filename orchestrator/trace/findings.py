"""When what a finding is about was seen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from orchestrator.base.roles import ROLES
from orchestrator.checks.finding import Finding, Stage
from orchestrator.observe.run import Run
from orchestrator.trace.model import TableChange

__all__ = ["Moments"]


_RING = re.compile(r"vdev\[\d+\]\.vring\[\d+\]")
_OF_CORES = ("core", "vector")  # rules about a core as a whole


class Moments:
    """The moments of a run that findings may be about, by what a finding says of its places."""

    def __init__(self, run: Run, table_changes: Iterable[TableChange]) -> None:
        self._by_rule = dict(_faults_of_rings(run))
        self._by_address: dict[int, int] = {}
        for address, time_ns in _deeds(run):
            self._by_address.setdefault(address, time_ns)
        self._by_path = {change.path: change.time_ns for change in table_changes}
        self._steps = {each.name: each.time_ns for each in reversed(run.milestones)}
        self._cores = {role: core.acted_ns or core.released_ns or 0 for role, core in run.cores.items()}

    def of(self, finding: Finding) -> int | None:
        """When the first of its places was accessed or changed; of a cause, else when what it is about was there first.

        Of a core as a whole: when it last did something that can be seen. None: nothing of it was seen.
        """
        found = self._deed(finding)
        if found is not None or not finding.is_cause:
            return found
        if finding.rule.partition(".")[0] in _OF_CORES:
            return self._cores.get(finding.core)
        return self._step(finding)

    def _step(self, finding: Finding) -> int | None:
        """The step of the bring-up with which the ring or the table was there."""
        texts = (*(place.path for place in finding.at), finding.subject)
        ring = next((found[0] for text in texts if (found := _RING.search(text))), "")
        names = [f"{ring} resolved", *(f"table present as {role} sees it" for role in ROLES)]
        if finding.stage is Stage.TRAFFIC:
            names.insert(0, f"{ring} first buffer available")
        return next((self._steps[name] for name in names if name in self._steps), None)

    def _deed(self, finding: Finding) -> int | None:
        for place in finding.at:
            found = self._by_rule.get((finding.rule, place.address))
            if found is None:
                found = self._by_address.get(place.address)
            if found is None:
                found = self._by_path.get(place.path)
            if found is not None:
                return found
        return None


def _faults_of_rings(run: Run) -> Iterator[tuple[tuple[str, int], int]]:
    for ring in run.traffic.rings.values():
        for fault in ring.faults.values():
            yield (fault.rule, fault.at.address), fault.by.time_ns


def _deeds(run: Run) -> Iterator[tuple[int, int]]:
    """Addresses of instructions and of what they touched, and when; what is worst comes first."""
    for core in run.cores.values():
        yield from ((fault.pc, time_ns) for time_ns, fault in core.faults)
        if core.lockup is not None:
            yield core.lockup[1].pc, core.lockup[0]
        yield from ((error.pc, time_ns) for time_ns, error in core.errors)
    for trespass in run.history.trespasses.values():
        yield trespass.address, trespass.by.time_ns
        yield trespass.by.pc, trespass.by.time_ns
    for write in run.history.backward.values():
        yield write.by.pc, write.by.time_ns
    for incoherence in run.coherence.found.values():
        yield incoherence.address, incoherence.by.time_ns
        yield incoherence.by.pc, incoherence.by.time_ns
    for buffer in run.traffic.buffers.values():
        if buffer.history:
            yield from ((extent.start, buffer.history[0].time_ns) for extent in buffer.span.extents)
            yield buffer.address, buffer.history[0].time_ns
    for channel, pc in run.ledger.last_ignored_pc.items():
        yield pc, run.ledger.last_ignored_ns[channel]
