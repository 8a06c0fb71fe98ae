"""Where things lie in shared memory: inside their carveouts, reachable by both cores, apart from each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from orchestrator.base.dataclass import dataclass
from orchestrator.base.memory import Extent, Place
from orchestrator.base.roles import MAIN, REMOTE, ROLES
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, TableSubject, core_images, live_rings, rings, states, tables
from orchestrator.formats.elf import Image
from orchestrator.formats.footprint import Footprint, Use
from orchestrator.formats.resource_entry import ANY, Carveout, Profile, Trace
from orchestrator.observe.live import LiveCarveout, LiveRing
from orchestrator.observe.views import Span, Views

__all__: list[str] = []


def places(views: Views | None, span: Span, path: str) -> tuple[Place, ...]:
    """A span's address in every view that has it."""
    if views is None:
        return ()
    found = [(role, extent) for role in ROLES if (extent := span.seen_by(role)) is not None]
    return tuple(views.place(role, extent.start, path) for role, extent in found)


def _da_extent(ring: LiveRing) -> Extent | None:
    """The ring as its entry addresses it, whether or not there is memory."""
    if ring.span is not None:
        return Extent(ring.entry.da, ring.span.size)
    return Extent(ring.entry.da, ring.layout.extent.size) if ring.has_address and ring.layout else None


@rule(
    "vring.outside-memory",
    stage=Stage.LIVE,
    source="RPTUN, Vrings: an address that is not 0 or ANY is used as it is",
    each=live_rings,
)
def vrings_lie_in_memory(subject: RingSubject) -> Iterator[Violation]:
    """Some core has memory for all of a vring."""
    ring = subject.ring
    extent = _da_extent(ring)
    if ring.span is not None and extent is not None and ring.span.pa is None and ring.span.da is None:
        yield Violation(
            at=(ring.field("da"),),
            expected="memory for the whole ring",
            actual=f"none for all of {extent}",
            advice="correct da, num or align; da is an address of the remote core",
            touches=(extent,),
        )


@rule(
    "vring.one-core-only",
    stage=Stage.LIVE,
    source="virtio 1.3, 2.7: both sides access the virtqueue (zephyr 84168)",
    each=live_rings,
)
def both_cores_reach_vrings(subject: RingSubject) -> Iterator[Violation]:
    """Both cores have memory for all of a vring."""
    ring, views = subject.ring, subject.state.views
    if ring.span is None or views is None or (ring.span.pa is None) == (ring.span.da is None):
        return
    blind = REMOTE if ring.span.da is None else MAIN
    extent = _da_extent(ring)
    yield Violation(
        at=(ring.field("da"),),
        expected="memory that both cores reach",
        actual=f"{views.name(blind)} has none for all of {extent}",
        advice="da is an address of the remote core: place the ring in shared memory and translate it",
        touches=() if extent is None else (extent,),
    )


@rule(
    "vring.outside-carveout",
    stage=Stage.LIVE,
    source="RPTUN, Carveout: the framework cuts a device's vrings out of its carveout",
    each=live_rings,
)
def allocated_rings_lie_in_their_carveout(subject: RingSubject) -> Iterator[Violation]:
    """A ring that the host placed lies wholly inside the carveout that it was to be cut from: by RPTUN the one of the
    vdev's index, by others one that is named after the ring.
    """
    ring = subject.ring
    if subject.state.profile is not Profile.NUTTX and not (ring.carveout and _is_of_a_ring(ring.carveout)):
        return
    carveout = ring.carveout.span if ring.carveout else None
    extent = _da_extent(ring)
    if not ring.was_dynamic or carveout is None or ring.span is None or extent is None or carveout.contains(ring.span):
        return
    within = Span(ring.span.name, 1, ring.span.pa, ring.span.da)
    if (
        ring.span.pa is None
        and ring.span.da is None
        and not (carveout.contains(within) or _starts_in(carveout, extent))
    ):
        return  # vring.outside-memory
    yield Violation(
        at=(ring.field("da"),),
        expected=f"inside {carveout.name}, {carveout}",
        actual=f"{extent} (main: {ring.span.seen_by(MAIN) or 'nowhere'})",
        advice="enlarge the carveout, or give the ring an address of its own",
        touches=(*ring.span.extents, extent),
    )


_OF_A_VDEV = re.compile(r"vdev\d+(vring\d+|buffer)")  # Linux, remoteproc_virtio


def _is_of_a_ring(carveout: LiveCarveout) -> bool:
    found = _OF_A_VDEV.fullmatch(carveout.entry.value.text)
    return found is not None and found[1] != "buffer"


def _starts_in(carveout: Span, extent: Extent) -> bool:
    return any(extent.start in each for each in carveout.extents)


@rule(
    "vring.untranslated",
    stage=Stage.LIVE,
    source="RPTUN, address environment: a pointer handed to the other core is translated",
    each=live_rings,
)
def vring_addresses_are_the_remotes(subject: RingSubject) -> Iterator[Violation]:
    """A ring's da names it as the carveout's da does, in the remote core's addresses and not in main's."""
    ring = subject.ring
    carveout = ring.carveout.span if ring.carveout else None
    extent = _da_extent(ring)
    if carveout is None or ring.span is None or extent is None or not carveout.contains(ring.span):
        return
    da = carveout.seen_by(REMOTE)
    if da is not None and extent not in da:
        yield Violation(
            at=(ring.field("da"),),
            expected=f"inside {carveout.name} as the remote addresses it, {da}",
            actual=f"{extent}, which is main's name for it",
            advice="translate the address for the remote core (pa to da) before it goes into the table",
            touches=(extent,),
        )


def _placed_rings(state: State) -> Iterator[RingSubject]:
    """Each vring that has an address, in memory or, before there is one, in the image."""
    return (each for each in rings(state) if each.ring.has_address)


@rule(
    "vring.part-misaligned",
    stage=Stage.STATIC,
    source="virtio 1.3, 2.7: alignment of the three parts",
    each=_placed_rings,
)
def parts_are_aligned(subject: RingSubject) -> Iterator[Violation]:
    """Descriptor table, available and used ring start at multiples of 16, 2 and 4."""
    ring, views = subject.ring, subject.state.views
    for part in ring.parts():
        if not part.is_aligned:
            start = views.place(ring.role, part.extent.start, f"{ring.path}.{part.name}") if views else None
            yield Violation(
                at=(*((start,) if start else ()), ring.field("da")),
                expected=f"a multiple of {part.alignment}",
                actual=f"{part.extent.start:#010x}",
                advice="align each vring to 16 bytes; its size ends in a 16-bit field (zephyr 46733)",
                subject=ring.path,
            )
            return


_ADDRESSES = 1 << 32


@rule(
    "table.address-past-end",
    stage=Stage.STATIC,
    source="Linux rsc_table.h: da has 32 bits (open-amp 418: an address of 64 bits cut to them)",
    each=tables,
)
def what_the_table_names_ends_in_32_bits(subject: TableSubject) -> Iterator[Violation]:
    """Vrings, carveouts and trace buffers end within the 32 bits of an address."""
    found = [(ring.field("da"), _da_extent(ring)) for vdev in subject.vdevs for ring in vdev.rings if ring.has_address]
    for entry in subject.table.entries if subject.table else ():
        value = entry.value
        if isinstance(value, Carveout | Trace) and value.da != ANY:
            at = Place(entry.at.view, entry.at.address + value.offset_of("da"), f"{entry.at.path}.da")
            found.append((at, Extent(value.da, value.len)))
    for place, extent in found:
        if extent is not None and extent.end > _ADDRESSES:
            yield Violation(
                at=(place,),
                expected="an end of 0x100000000 at most",
                actual=f"{extent.start:#010x} and {extent.size:#x} bytes, to {extent.end:#x}",
                advice="correct da and size: is it the lower half of an address of 64 bits?",
                touches=(extent,),
            )


@dataclass(frozen=True, slots=True)
class _Taken:
    """A block that the table or the driver gives to both cores, and what one image needs of the same memory."""

    path: str
    at: Place
    extent: Extent  # in the addresses of the image's core
    image: Image
    role: str
    use: Use
    touches: tuple[Extent, ...]

    def __str__(self) -> str:
        begins = f"begins at {self.use.extent.end:#010x}" if self.use.what == "the stack" else f"is {self.use.extent}"
        return f"{self.extent} shares memory with {self.use.what} of {self.image.name}, which {begins}"


class _Footprints:
    """What both images need, found for blocks by whichever address each core has for them."""

    def __init__(self, state: State) -> None:
        self._platform = state.platform
        self._images = [(each, Footprint(each.image, each.vector_table)) for each in core_images(state)]

    def taken(self, path: str, at: Place, span: Span, *, is_pool: bool = False) -> _Taken | None:
        """What of a block an image needs itself."""
        for image, footprint in self._images:
            for extent in self._aliases(image.role, span):
                use = footprint.use_of(extent, is_pool=is_pool)
                if use is not None:
                    touches = (*span.extents, extent, use.extent)
                    return _Taken(path, at, extent, image.image, image.role, use, touches)
        return None

    def _aliases(self, role: str, span: Span) -> Iterator[Extent]:
        seen = span.seen_by(role)
        if self._platform is None or seen is None:
            return
        core = self._platform.core(role).name
        found = self._platform.region_at(core, seen.start)
        if found is not None:
            region, offset = found
            yield seen
            starts = (each.start + offset for each in region.extents(core))
            yield from (Extent(start, span.size) for start in starts if start != seen.start)


def _in_use(found: Iterable[_Taken | None]) -> Iterator[Violation]:
    """One violation for each piece of an image that blocks lie over: about the block nearest to its end."""
    groups: dict[tuple[str, Use], list[_Taken]] = {}
    for each in found:
        if each is not None:
            groups.setdefault((each.role, each.use), []).append(each)
    for group in groups.values():
        first, *others = sorted(group, key=lambda each: each.extent.start, reverse=True)
        yield Violation(
            at=tuple(each.at for each in (first, *others)),
            expected=f"memory of its own, apart from {first.use.what} of {first.image.name}",
            actual=str(first),
            advice="reserve the memory in the linker script, outside of what the program uses",
            subject=first.path,
            core=first.role,
            detail=tuple(f"{each.path} {each}" for each in others[:8]),
            touches=tuple(extent for each in group for extent in each.touches),
        )


@rule(
    "vring.memory-in-use",
    stage=Stage.STATIC,
    source="virtio 1.3, 2.7: the parts of a virtqueue are memory of its own (open-amp 3, linux-xlnx 31)",
    each=states,
)
def vrings_lie_over_no_image(state: State) -> Iterator[Violation]:
    """No vring shares memory with the code, data, stack or heap of either image."""
    footprints, found = _Footprints(state), []
    for subject in _placed_rings(state):
        ring, layout = subject.ring, subject.ring.layout
        span = ring.span
        if span is None and layout is not None and state.views is not None:
            span = state.views.span_at_da(ring.path, layout.extent.start, layout.extent.size)
        if span is not None:
            found.append(footprints.taken(ring.path, ring.field("da"), span))
    yield from _in_use(found)


@rule(
    "carveout.memory-in-use",
    stage=Stage.STATIC,
    source="RPTUN, Carveout: the shared memory of a device; Linux's others may hold the remote's own program",
    each=states,
)
def carveouts_lie_over_no_image(state: State) -> Iterator[Violation]:
    """No carveout for vrings or buffers shares memory with the code, data, stack or heap of either image."""
    footprints, found = _Footprints(state), []
    for subject in tables(state):
        for entry in subject.table.carveouts if subject.table and state.views else ():
            is_shared = state.profile is Profile.NUTTX or _OF_A_VDEV.fullmatch(entry.value.text)
            if is_shared and entry.value.da != ANY and state.views is not None:
                at = Place(entry.at.view, entry.at.address + Carveout.offset_of("da"), f"{entry.at.path}.da")
                span = state.views.span_at_da(entry.at.path, entry.value.da, entry.value.len)
                found.append(footprints.taken(entry.at.path, at, span, is_pool=True))
    yield from _in_use(found)


@rule(
    "buffer.memory-in-use",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.5: a descriptor names memory of the driver's that the device may use",
    each=states,
)
def buffers_lie_over_no_image(state: State) -> Iterator[Violation]:
    """No buffer shares memory with the code, data, stack or heap of either image, an object that holds it apart."""
    run, views = state.run, state.views
    if views is not None:
        footprints = _Footprints(state)
        yield from _in_use(
            footprints.taken(each.ring, views.place(MAIN, each.span.pa, each.ring), each.span)
            for each in run.traffic.buffers.values()
            if each.span.pa is not None and each.span.da is not None
        )


def _blocks(state: State) -> list[tuple[str, Span]]:
    """Everything that must lie apart: table, traces, rings."""
    live = state.live
    if live is None:
        return []
    found: list[tuple[str, Span | None]] = [("table", live.span)]
    found += [(each.entry.at.path, each.span) for each in live.traces]
    found += [(ring.path, ring.span) for ring in live.rings]
    return [(name, span) for name, span in found if span is not None and span.size > 0]


@rule(
    "vring.overlap",
    stage=Stage.LIVE,
    source="virtio 1.3, 2.7: the parts of a virtqueue are memory of its own",
    each=states,
)
def rings_lie_apart(state: State) -> Iterator[Violation]:
    """No vring shares bytes with another, with the table or with a trace buffer."""
    for (first, span), (second, other) in combinations(_blocks(state), 2):
        if span.overlaps(other) and "vring" in second:
            yield Violation(
                at=(*places(state.views, other, second), *places(state.views, span, first)),
                expected=f"{second} apart from {first}",
                actual=f"{first} at {span}, {second} at {other}",
                advice="reserve the ring's whole size, used ring and avail_event included",
                subject=second,
            )


def _carveouts_with_place(state: State) -> Iterator[tuple[State, Span | None, Place, Carveout]]:
    for table in tables(state):
        for each in state.live.carveouts if table.is_live and state.live else ():
            yield state, each.span, each.entry.at, each.entry.value


@rule(
    "carveout.outside-memory",
    stage=Stage.LIVE,
    source="RPTUN, Carveout: shared memory that both cores use",
    each=_carveouts_with_place,
)
def carveouts_lie_in_shared_memory(subject: tuple[State, Span | None, Place, Carveout]) -> Iterator[Violation]:
    """Both cores have memory for all of a carveout that has an address."""
    _, span, at, carveout = subject
    if span is not None and carveout.da != ANY and (span.pa is None or span.da is None):
        extent = Extent(carveout.da, carveout.len)
        yield Violation(
            at=(Place(at.view, at.address + Carveout.offset_of("da"), f"{at.path}.da"),),
            expected="memory that both cores reach",
            actual=f"{extent}: {span}",
            advice="correct da and len; da is an address of the remote core",
            touches=(extent,),
        )


@rule(
    "carveout.overlap",
    stage=Stage.LIVE,
    source="RPTUN, Carveout: one for each VirtIO device",
    each=states,
)
def carveouts_lie_apart(state: State) -> Iterator[Violation]:
    """No carveout shares bytes with another, with the table or with a trace buffer; one of Linux's may hold them."""
    live = state.live
    if live is None:
        return
    blocks: list[tuple[str, Span | None]] = [("table", live.span)]
    blocks += [*((each.entry.at.path, each.span) for each in live.traces)]
    blocks += [(each.entry.at.path, each.span) for each in live.carveouts]
    known = [(name, span) for name, span in blocks if span is not None and span.size > 0]
    for (first, span), (second, other) in combinations(known, 2):
        if state.profile is not Profile.NUTTX and not first.startswith("carveout") and other.contains(span):
            continue  # memory for the remote's program, with its table and its trace buffer
        if span.overlaps(other) and second.startswith("carveout"):
            yield Violation(
                at=places(state.views, other, second),
                expected=f"{second} apart from {first}",
                actual=f"{first} at {span}, {second} at {other}",
                advice="give each memory of its own",
                subject=second,
            )


@rule(
    "trace.outside-memory",
    stage=Stage.LIVE,
    source="Linux remoteproc, rproc_handle_trace: da is translated and len bytes are read",
    each=states,
    severity=Severity.WARNING,
    profiles={Profile.LINUX: Severity.ERROR},
)
def traces_can_be_read(state: State) -> Iterator[Violation]:
    """Main can read a trace buffer, and the remote can write it."""
    for each in state.live.traces if state.live else ():
        if each.span.pa is None or each.span.da is None:
            trace = each.entry.value
            yield Violation(
                at=(Place(each.entry.at.view, each.entry.at.address + 4, f"{each.entry.at.path}.da"),),
                expected="memory that both cores reach",
                actual=f"{Extent(trace.da, trace.len)}: {each.span}",
                advice="correct da and len; da is an address of the remote core",
            )
