"""What a board shows: the table as declared and as it stands in memory, every vring, buffer and message, each core.

In: images, memory by view, and events in order. Out: facts, each with the time and the core that made it so, kept for
the whole run in bounded memory. Nothing here judges: :mod:`orchestrator.checks` does.
"""

__all__: list[str] = []
