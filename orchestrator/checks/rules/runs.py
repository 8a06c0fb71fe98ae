"""What whoever started a run wanted of it."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Place
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, states

__all__: list[str] = []


@rule(
    "run.until-not-met",
    stage=Stage.BOOT,
    source="rptwin: what a run waits for is what it is run for",
    each=states,
    of_absence=True,
)
def runs_see_what_they_wait_for(state: State) -> Iterator[Violation]:
    """A run that waits for something (``--until``) sees it before it ends."""
    run = state.run
    if run.unmet is None:
        return
    waited = run.time_ns - run.unmet.since_ns
    yield Violation(
        at=tuple(Place(core.name, core.backtrace[0].pc, core.where) for core in run.cores.values() if core.backtrace),
        expected=run.unmet.what,
        actual=f"not within {waited / 1e6:.3f} ms, when the run ended ({run.ended})",
        advice="what stopped it stands above; if nothing did, give --timeout more, or ask for something else",
        subject="until",
    )
