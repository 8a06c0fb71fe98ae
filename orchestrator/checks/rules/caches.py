"""What a core's data cache may keep of the memory that both cores use: by its registers, as no engine has the cache."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Extent, Place
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import CoreSubject, cores, live_rings

__all__: list[str] = []


def _shared(subject: CoreSubject) -> Iterator[tuple[str, Extent]]:
    """The vrings in use and the buffers in them, as this core addresses them."""
    role = subject.core.role
    for each in live_rings(subject.state):
        extent = each.ring.span.seen_by(role) if each.ring.span is not None and each.ring.is_resolved else None
        if each.vdev.is_driver_ok and extent is not None:
            yield each.ring.path, extent
    for buffer in subject.run.traffic.buffers.values():
        extent = buffer.span.seen_by(role)
        if extent is not None:
            yield f"a buffer of {buffer.ring}", extent


@rule(
    "cache.unmaintained",
    stage=Stage.LIVE,
    source="DDI0489F 5.2: caches are not coherent with others; DDI0403E B2.2.7, maintenance (nuttx 10202)",
    each=cores,
    severity=Severity.WARNING,
    of_absence=True,
)
def shared_memory_is_not_left_to_a_cache(subject: CoreSubject) -> Iterator[Violation]:
    """A core whose data cache is on cleans and invalidates vrings and buffers, where memory is cached for it."""
    cache = subject.core.data_cache
    if cache is None:
        return
    kept = [(what, extent) for what, extent in _shared(subject) if cache.keeps(extent)]
    if kept:
        what, extent = kept[0]
        yield Violation(
            at=(Place(subject.core.name, extent.start, what),),
            expected="memory that is not cached, or lines that are cleaned and invalidated",
            actual=f"CCR.DC is 1, {extent} is cacheable, and nothing of it was ever cleaned or invalidated",
            advice="an MPU region for all of it that is not cached, or Shareable: on the chip stale bytes are read",
            subject=subject.core.role,
            core=subject.core.role,
            detail=tuple(f"{name}: {at}" for name, at in kept[1:9]),
        )
