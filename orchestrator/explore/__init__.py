"""Which schedules break a pair: many runs of one board, each with the cores in another order.

In: what opens a board, and how far to go. Out: how many schedules were tried, what each came to, and the shortest one
that breaks a rule. Needs ``fork``, and an engine that can delay a core.
"""

from orchestrator.explore.explorer import Bounds, Exploration, Progress, explore
from orchestrator.explore.outcome import Outcome

__all__ = ["Bounds", "Exploration", "Outcome", "Progress", "explore"]
