"""The stacks of the cores: what an image sets aside, and whether a run stays within."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Extent, Place
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.writers import by_whom
from orchestrator.checks.state import CoreImage, CoreSubject, core_images, cores
from orchestrator.formats.footprint import Footprint

__all__: list[str] = []

_MOST_NAMED = 4


@rule(
    "vector.stack-in-use",
    stage=Stage.STATIC,
    source="AAPCS32 6.2.1.1: the stack has memory of its own between its limit and its base",
    each=core_images,
)
def declared_stacks_are_free(subject: CoreImage) -> Iterator[Violation]:
    """The stack that an image declares, by a section, an object or a symbol, holds nothing else of the image."""
    footprint = Footprint(subject.image, subject.vector_table)
    stack = footprint.declared_stack
    if stack is None:
        return
    for section in footprint.sections_in_stack:
        extent = Extent(section.address, section.size)
        shared = Extent.between(max(extent.start, stack.extent.start), min(extent.end, stack.extent.end))
        named = ", ".join(footprint.objects_in(shared)[:_MOST_NAMED])
        platform = subject.state.platform
        view = platform.core(subject.role).name if platform else subject.image.name
        yield Violation(
            at=(Place(view, stack.extent.start, "stack"),),
            expected=f"nothing else in {stack.extent}, by {stack.what}",
            actual=f"{section.name} at {extent}" + (f", with {named}" if named else ""),
            advice="move the stack, or give it less memory, in the linker script",
            subject=f"{subject.image.name}: stack",
            core=subject.role,
            touches=(shared,),
        )
        return


@rule(
    "core.stack-overflow",
    stage=Stage.BOOT,
    source="AAPCS32 6.2.1.1: SP is between the stack's limit and its base; ARMv7-M does not check it",
    each=cores,
)
def stacks_stay_within(subject: CoreSubject) -> Iterator[Violation]:
    """No core pushes below the end of its stack."""
    core, guard = subject.core, subject.run.stacks.get(subject.core.role)
    if guard is None or guard.crossed is None or guard.deepest_by is None:
        return
    state = subject.state
    image = state.images.get(core.role)
    below = Extent.between(guard.deepest, guard.end)
    footprint = Footprint(image, state.vector_tables.get(core.role, image.vector_table)) if image else None
    named = footprint.objects_in(below)[:_MOST_NAMED] if footprint else ()
    place = guard.crossed.pc
    yield Violation(
        at=(Place(core.name, place, (image.symbol_at(place) if image else None) or ""),),
        expected=f"no push below {guard.end:#010x}, where its stack ends ({guard.how})",
        actual=f"pushed by {by_whom(state, guard.crossed)}, down to {guard.deepest:#010x},"
        f" {guard.end - guard.deepest} bytes below" + (f", over {', '.join(named)}" if named else ""),
        advice=f"give it more than the {guard.top - guard.end} bytes that it has, or less to call and keep: what it"
        " overwrites is wrong from then on",
        subject=core.role,
        core=core.role,
        touches=(below,),
    )
