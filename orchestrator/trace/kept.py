"""Lists that have an end."""

from __future__ import annotations

from dataclasses import field
from typing import Generic, TypeVar

from orchestrator.base.dataclass import dataclass
from orchestrator.trace.model import LeftOut

__all__ = ["MOST", "Kept"]

MOST = 250_000  # of each kind: some 50 MB

T = TypeVar("T")


@dataclass(slots=True)
class Kept(Generic[T]):
    """The first ``most`` of many things, and a count of the rest."""

    most: int = MOST
    items: list[T] = field(default_factory=list)
    left_out: LeftOut | None = None

    def add(self, time_ns: int, item: T) -> bool:
        """Keep one more; False: there is no room, and it is only counted."""
        if len(self.items) < self.most:
            self.items.append(item)
            return True
        left = self.left_out
        self.left_out = LeftOut(1, time_ns) if left is None else LeftOut(left.number + 1, left.since_ns)
        return False
