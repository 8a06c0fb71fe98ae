"""A board as settings describe it: a file of settings, or what was typed."""

from __future__ import annotations

from orchestrator.base.errors import UsageError
from orchestrator.board.options import BoardOptions
from orchestrator.board.schedule import Schedule, load_schedule
from orchestrator.config import Settings

__all__ = ["board_options"]


def board_options(settings: Settings) -> BoardOptions:
    """What the settings tell a board."""
    return BoardOptions(
        main=settings.main,
        remote=settings.remote,
        others=settings.firmware,
        engine=settings.engine,
        profile=settings.profile,
        table=settings.table,
        vrings=settings.vrings,
        memory=settings.memory,
        vtor=settings.vtor,
        maps=settings.map,
        nuttx_config=settings.nuttx_config,
        notify=settings.notify,
        quantum_ns=settings.quantum,
        seed=settings.seed,
        schedule=_schedule(settings),
        quiet_for=None if settings.quiet_for is None else f"{settings.quiet_for} ns",
        console_size=settings.console_size,
        coherence=settings.coherence,
        order=settings.order,
        faults=settings.fault,
        fault_seed=settings.fault_seed,
        svd=settings.svd,
        wall_time=f"{settings.wall_time} ns",
    )


def _schedule(settings: Settings) -> Schedule | None:
    if settings.schedule is None:
        return None
    for name, default in (("quantum", Settings().quantum), ("seed", Settings().seed)):
        if getattr(settings, name) != default:
            raise UsageError("contradict each other", where=f"--schedule and --{name}")
    return load_schedule(settings.schedule)
