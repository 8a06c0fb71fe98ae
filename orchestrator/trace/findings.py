"""When what a finding is about was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.checks.finding import Finding
from orchestrator.observe.run import Run
from orchestrator.trace.model import TableChange

__all__ = ["Moments"]


class Moments:
    """The moments of a run that findings may be about, by what a finding says of its places."""

    def __init__(self, run: Run, table_changes: Iterable[TableChange]) -> None:
        self._by_rule = dict(_faults_of_rings(run))
        self._by_address: dict[int, int] = {}
        for address, time_ns in _deeds(run):
            self._by_address.setdefault(address, time_ns)
        self._by_path = {change.path: change.time_ns for change in table_changes}

    def of(self, finding: Finding) -> int | None:
        """When the first of its places was accessed or changed; None: nothing of it was seen."""
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
    for channel, pc in run.ledger.last_ignored_pc.items():
        yield pc, run.ledger.last_ignored_ns[channel]
