"""What a data cache does to memory that others reach too, by a model of what it holds (``--coherence``).

The places are as both sides address them; what lies there is named by the table, by the rings, or by a symbol.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import other_role, the
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.rules.writers import by_whom
from orchestrator.checks.state import CoreSubject, State, cores
from orchestrator.events import IncoherenceKind
from orchestrator.observe.coherence import Incoherence
from orchestrator.observe.history import Step, table_field_at

__all__: list[str] = []

_LINE = 32  # bytes
_MORE = 3  # of one object that are said by themselves
_MOST_LINES = 16
_MPU = "an MPU region for it that is Normal and not cached (TEX 1, C 0, B 0)"
_SOURCE = "DDI0403E A3.9: caches are not coherent with others by themselves; DDI0489F 5.2"


@dataclass(frozen=True, slots=True)
class _About:
    """What lies at some bytes: its subject, and its name in full."""

    subject: str
    path: str


def _about(state: State, role: str, address: int) -> _About:
    """By the table, the rings, the buffers, a symbol, or the region."""
    live, run = state.live, state.run
    for vdev in live.vdevs if live is not None else ():
        for ring in vdev.rings:
            extent = ring.span.seen_by(role) if ring.span is not None else None
            if extent is not None and address in extent and ring.layout is not None:
                part = ring.layout.path_of(address - extent.start + ring.layout.extent.start)
                return _About(ring.path, f"{ring.path}.{part}" if part else ring.path)
    for buffer in run.traffic.buffers.values():
        extent = buffer.span.seen_by(role)
        if extent is not None and address in extent:
            return _About(buffer.ring, f"a buffer of {buffer.ring}")
    extent = live.span.seen_by(role) if live is not None and live.span is not None else None
    if live is not None and extent is not None and address in extent:
        field = table_field_at(live, state.views, role, address) if state.views is not None else None
        return _About("table", field or f"table+{address - extent.start:#x}")
    for trace in live.traces if live is not None else ():
        extent = trace.span.seen_by(role)
        if extent is not None and address in extent:
            return _About(trace.entry.at.path, trace.entry.at.path)
    for carveout in live.carveouts if live is not None else ():
        extent = carveout.span.seen_by(role) if carveout.span is not None else None
        if extent is not None and address in extent:
            return _About(carveout.entry.at.path, f"{carveout.entry.at.path}+{address - extent.start:#x}")
    return _of_image(state, role, address)


def _of_image(state: State, role: str, address: int) -> _About:
    for each, at in ((role, address), (other_role(role), _elsewhere(state, role, address))):
        image = state.images.get(each)
        name = image.symbol_at(at) if image is not None and at is not None else None
        if name is not None:
            return _About(name.partition("+")[0], name)
    found = None if state.platform is None else state.platform.region_at(state.platform.core(role).name, address)
    return _About(found[0].name if found is not None else "", f"{found[0].name}+{found[1]:#x}" if found else "")


def _elsewhere(state: State, role: str, address: int) -> int | None:
    """The same byte as the other core addresses it."""
    extent = state.views.span_at(role, "", address, 1).seen_by(other_role(role)) if state.views is not None else None
    return None if extent is None else extent.start


def _places(state: State, each: Incoherence, path: str) -> tuple[Place, ...]:
    views = state.views
    if views is None:
        return (Place(each.role, each.address, path),)
    other = _elsewhere(state, each.role, each.address)
    places = [views.place(each.role, each.address, path)]
    if other is not None:
        places.append(views.place(other_role(each.role), other, path))
    return tuple(places)


def _bytes(each: Incoherence) -> str:
    return f"{each.size} byte{'s' if each.size > 1 else ''}"


def _reads(state: State, each: Incoherence) -> str:
    """Whether the bytes are read as data or as instructions."""
    views = state.views
    if views is None or not each.by.role:
        return "read"
    at = views.span_at(each.by.role, "", each.by.pc, 1).seen_by(each.role)
    is_code = at is not None and each.address <= at.start < each.address + each.size
    return "fetched as an instruction" if is_code else "read"


def _content(state: State, each: Incoherence) -> str:
    """What lies in the line, from its first byte to its last."""
    at = (each.line, each.address, each.line + _LINE - 1)
    return " and ".join(dict.fromkeys(path for address in at if (path := _about(state, each.role, address).path)))


def _who(state: State, step: Step) -> str:
    if step.role and step.pc:
        return by_whom(state, step)
    who = f"{the(step.role)} (played in Python)" if step.role else "a device (DMA)"
    return f"{who} after {step.time_ns / 1e6:.3f} ms"


def _by_object(subject: CoreSubject, kind: IncoherenceKind) -> Iterator[tuple[_About, list[Incoherence]]]:
    """What was found of a kind, by what lies there, in the order in which it was found."""
    state, role = subject.state, subject.core.role
    found: dict[str, tuple[_About, list[Incoherence]]] = {}
    for each in state.run.coherence.found.values():
        if each.kind is kind and each.role == role:
            about = _about(state, role, each.address)
            found.setdefault(about.subject, (about, []))[1].append(each)
    yield from found.values()


def _more(state: State, found: list[Incoherence]) -> tuple[str, ...]:
    """How often, and what was found next."""
    times, lines = sum(each.times for each in found), len({each.line for each in found})
    more = [f"{times} times in all, in {lines} line{'s' if lines > 1 else ''}"] if times > 1 else []
    for each in found[1 : 1 + _MORE]:
        where = _about(state, each.role, each.address).path
        more.append(f"{each.address:#010x} ({where}): {_who(state, each.by)}; written by {_who(state, each.of)}")
    return tuple(more)


def _lines(found: list[Incoherence]) -> tuple[Extent, ...]:
    return tuple(Extent(each.line, _LINE) for each in found[:_MOST_LINES])


@rule(
    "cache.stale-read",
    stage=Stage.LIVE,
    source=f"{_SOURCE} (open-amp 338, 679)",
    each=cores,
)
def what_others_wrote_is_invalidated_before_it_is_read(subject: CoreSubject) -> Iterator[Violation]:
    """A core with a data cache invalidates a line after another wrote to it, and before it reads it."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.STALE_READ):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"the line {first.line:#010x} invalidated between the write and the read",
            actual=f"{_bytes(first)} read by {_who(state, first.by)} from a line that was fetched by"
            f" {_who(state, first.since)}; written by {_who(state, first.of)}",
            advice=f"SCB_InvalidateDCache_by_Addr((void *){first.line:#010x}, {_LINE}) before the read, or {_MPU}",
            subject=about.subject or subject.core.role,
            core=first.by.role,
            detail=_more(state, found),
            touches=_lines(found),
        )


@rule(
    "cache.write-stayed",
    stage=Stage.LIVE,
    source=f"{_SOURCE} (open-amp 292, 466)",
    each=cores,
)
def what_is_for_others_is_cleaned(subject: CoreSubject) -> Iterator[Violation]:
    """A core with a data cache cleans a line that it wrote to before another reads it."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.WRITE_STAYED):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"the line {first.line:#010x} cleaned between the write and the read",
            actual=f"{_bytes(first)} {_reads(state, first)} by {_who(state, first.by)}, written by"
            f" {_who(state, first.of)}: it may still be in its cache alone",
            advice=f"SCB_CleanDCache_by_Addr((void *){first.line:#010x}, {_LINE}) after the write, or {_MPU}",
            subject=about.subject or subject.core.role,
            core=first.of.role,
            detail=_more(state, found),
            touches=_lines(found),
        )


@rule(
    "cache.invalidate-destroyed",
    stage=Stage.LIVE,
    source=f"{_SOURCE}; DDI0403E B2.2.7: invalidating a line discards what was not written back (open-amp 339)",
    each=cores,
)
def invalidating_destroys_nothing_that_is_read(subject: CoreSubject) -> Iterator[Violation]:
    """Nothing that is read later lies dirty in a line that is invalidated without being cleaned."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.INVALIDATE_DESTROYED):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"nothing dirty in the line {first.line:#010x}, or the line cleaned first",
            actual=f"{_bytes(first)} written by {_who(state, first.of)}, discarded with their line by"
            f" {_who(state, first.since)}, read by {_who(state, first.by)}; the line has {_content(state, first)}",
            advice=f"align what is invalidated to {_LINE} bytes and give it whole lines; "
            f"SCB_CleanInvalidateDCache_by_Addr((void *){first.line:#010x}, {_LINE}) where the line has neighbours",
            subject=about.subject or subject.core.role,
            core=first.since.role,
            detail=_more(state, found),
            touches=_lines(found),
        )


@rule(
    "cache.write-back-overwrites",
    stage=Stage.LIVE,
    source=f"{_SOURCE}: a line is written back as a whole, at any time",
    each=cores,
)
def no_line_has_two_writers(subject: CoreSubject) -> Iterator[Violation]:
    """What two write does not lie in one line, unless it is clean while the other writes."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.WRITE_BACK_OVERWRITES):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"one writer at a time for the line {first.line:#010x}",
            actual=f"{_bytes(first)} written by {_who(state, first.of)}; the line was fetched by"
            f" {_who(state, first.since)} and is dirty by {_who(state, first.by)}: its write-back brings back what was"
            f" there before; the line has {_content(state, first)}",
            advice=f"give each side whole lines of {_LINE} bytes; or SCB_CleanInvalidateDCache_by_Addr((void *)"
            f"{first.line:#010x}, {_LINE}) before the other side may write, or {_MPU}",
            subject=about.subject or subject.core.role,
            core=first.by.role,
            detail=_more(state, found),
            touches=_lines(found),
        )


@rule(
    "cache.invalidated-early",
    stage=Stage.LIVE,
    source=f"{_SOURCE}: a core may fetch Normal memory at any time",
    each=cores,
    severity=Severity.WARNING,
)
def lines_are_invalidated_after_the_write(subject: CoreSubject) -> Iterator[Violation]:
    """A line is invalidated after another wrote to it, not only before: a prefetch may bring back what was there."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.INVALIDATED_EARLY):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"the line {first.line:#010x} invalidated between the write and the read",
            actual=f"invalidated by {_who(state, first.since)}, written by {_who(state, first.of)}, read by"
            f" {_who(state, first.by)}",
            advice=f"SCB_InvalidateDCache_by_Addr((void *){first.line:#010x}, {_LINE}) once the other side has told"
            " that it wrote",
            subject=about.subject or subject.core.role,
            core=first.by.role,
            detail=_more(state, found),
            touches=_lines(found),
        )


@rule(
    "cache.stale-code",
    stage=Stage.LIVE,
    source=f"{_SOURCE}; DDI0403E B2.2.7: the instruction cache does not see what is stored",
    each=cores,
)
def new_code_is_not_executed_from_an_old_line(subject: CoreSubject) -> Iterator[Violation]:
    """A core with an instruction cache invalidates it where code was written anew that it had fetched before."""
    state = subject.state
    for about, found in _by_object(subject, IncoherenceKind.STALE_CODE):
        first = found[0]
        yield Violation(
            at=_places(state, first, about.path),
            expected=f"the line {first.line:#010x} invalidated in the instruction cache after the write",
            actual=f"{_bytes(first)} executed by {_who(state, first.by)} from a line that was fetched by"
            f" {_who(state, first.since)}; written by {_who(state, first.of)}",
            advice="SCB_InvalidateICache() once the code is written, and cleaned, before it is executed",
            subject=about.subject or subject.core.role,
            core=first.by.role,
            detail=_more(state, found),
            touches=_lines(found),
        )
