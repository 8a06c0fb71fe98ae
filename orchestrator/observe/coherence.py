"""What the models of data caches have found of a run, kept in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.base.dataclass import dataclass
from orchestrator.events import Doing, IncoherenceKind, Incoherent
from orchestrator.observe.history import Step

__all__ = ["Incoherence", "Incoherences"]

_MOST = 512  # distinct ones: a core without any maintenance has several for each line that both use


@dataclass(slots=True)
class Incoherence:
    """Bytes of a line that are not to all what they are to one, the first time; roles of a device are "".

    Addresses are in the view of the core with the cache, whose role is ``role``; the steps are as
    :class:`~orchestrator.events.Incoherent` has them.
    """

    kind: IncoherenceKind
    role: str
    line: int
    address: int
    size: int
    by: Step
    of: Step
    since: Step
    times: int = 1


class Incoherences:
    """By what was done to which bytes by which instructions."""

    def __init__(self) -> None:
        self.found: dict[tuple[object, ...], Incoherence] = {}
        self.dropped = 0

    def see(self, role: str, detail: Incoherent, roles: Mapping[str, str]) -> None:
        """Count one; ``roles`` are by the name of the core."""

        def step(doing: Doing) -> Step:
            return Step(doing.time_ns, roles.get(doing.core, doing.core), doing.pc)

        by, of, since = step(detail.by), step(detail.of), step(detail.since)
        key = (detail.incoherence, detail.line, by.role, by.pc, of.role, of.pc)
        known = self.found.get(key)
        if known is not None:
            known.times += 1
        elif len(self.found) < _MOST:
            self.found[key] = Incoherence(
                detail.incoherence, role, detail.line, detail.address, detail.size, by, of, since
            )
        else:
            self.dropped += 1
