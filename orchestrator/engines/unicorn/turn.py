"""Whose turn it is and what time: the moment that a board's parts share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from orchestrator.base.errors import UsageError
from orchestrator.engines.unicorn.cpu.core import Core

__all__ = ["Turn"]


class Turn:
    """``core`` acts, in quantum number ``quantum`` since power-on; None: the host does."""

    def __init__(self, quantum_ns: int) -> None:
        self.quantum_ns = quantum_ns
        self.quantum = 0  # whole ones since power-on, the one that runs included
        self.core: Core | None = None

    @property
    def time_ns(self) -> int:
        """The end of the quantum: where the board stands between two turns."""
        return self.quantum * self.quantum_ns

    @contextlib.contextmanager
    def of(self, core: Core | None) -> Iterator[None]:
        """What happens inside is done by this core, or by the host."""
        before, self.core = self.core, core
        try:
            yield
        finally:
            self.core = before

    def refuse_inside(self, what: str) -> None:
        """UsageError while a core has its turn."""
        if self.core is not None:
            raise UsageError(f"{what} in the middle of a core's turn", where=self.core.name, advice="stop the run")

    @property
    def is_trial(self) -> bool:
        """Whether what is done now is tried out only, and must have no effect."""
        return self.core is not None and self.core.is_probing()
