"""Who may write what, and when: the words of the table, the indices, and buffers that are with the other side."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Place
from orchestrator.base.roles import Side, the
from orchestrator.base.words import counted
from orchestrator.checks.finding import Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, VdevSubject, live_rings, live_vdevs, rings_at_rest
from orchestrator.formats.resource_entry import ANY, VIRTIO_CONFIG_S_NEEDS_RESET, VdevHeader
from orchestrator.observe.history import Step, Trespass

__all__: list[str] = []


def by_whom(state: State, step: Step) -> str:
    """``remote (cpu_cm4, device_start+0x12) after 0.200 ms``."""
    image = state.images.get(step.role)
    symbol = image.symbol_at(step.pc) if image is not None else None
    line = image.source_line(step.pc) if image is not None else None
    name = state.views.name(step.role) if state.views is not None else step.role
    where = symbol or f"{step.pc:#010x}"
    return f"{the(step.role)} ({name}, {where}{f', {line}' if line else ''}) after {step.time_ns / 1e6:.3f} ms"


@rule(
    "vdev.status-writer",
    stage=Stage.LIVE,
    source="virtio 1.3, 2.1: the driver sets the status; the device sets DEVICE_NEEDS_RESET and nothing else"
    " (open-amp 140)",
    each=live_vdevs,
)
def the_driver_writes_the_status(subject: VdevSubject) -> Iterator[Violation]:
    """Only the driver writes a vdev's status, once it has set it; zero apart, with which a table begins anew."""
    run, vdev = subject.state.run, subject.vdev
    path = f"{vdev.path}.status"
    for write in run.history.writes.get(path, []):
        harmless = write.after in (0, write.before, write.before | VIRTIO_CONFIG_S_NEEDS_RESET)
        if vdev.sides.side_of(write.by.role) is not Side.DEVICE or not write.before or harmless:
            continue
        at = vdev.entry.at
        yield Violation(
            at=(Place(at.view, at.address + VdevHeader.offset_of("status"), path),),
            expected=f"written by {the(vdev.role_of(Side.DRIVER))} only",
            actual=f"written by {by_whom(subject.state, write.by)}: {write.before} before, {write.after} now",
            advice="the device reads the status, and says what it wants by DEVICE_NEEDS_RESET or by a message",
            subject=vdev.path,
            core=write.by.role,
        )
        return


@rule(
    "vdev.notifyid-misplaced",
    stage=Stage.LIVE,
    source="OpenAMP remoteproc_virtio: a vring's ANY is replaced by the id that the host chose; the vdev's own id stays"
    " (open-amp 314, 316)",
    each=live_vdevs,
)
def chosen_ids_go_into_the_vrings(subject: VdevSubject) -> Iterator[Violation]:
    """A host that chooses notify ids stores them in the vrings, and leaves the vdev's own id as it is."""
    run, vdev = subject.state.run, subject.vdev
    path = f"{vdev.path}.notifyid"
    open_ = [ring for ring in vdev.rings if ring.entry.notifyid == ANY]
    driver = vdev.role_of(Side.DRIVER)
    stores = [each for each in run.history.writes.get(path, []) if each.by.role == driver and each.before != each.after]
    if not vdev.is_driver_ok or not open_ or not stores:
        return
    now = vdev.entry.value.head.notifyid
    names = ", ".join(f"{ring.path}.notifyid" for ring in open_)
    yield Violation(
        at=(
            *(ring.field("notifyid") for ring in open_),
            Place(vdev.entry.at.view, vdev.entry.at.address + VdevHeader.offset_of("notifyid"), path),
        ),
        expected=f"the ids that {the(driver)} chose in {names}",
        actual=f"still {ANY:#x} at DRIVER_OK; {path}, {stores[0].before} before, is {now} now, written by"
        f" {by_whom(subject.state, stores[-1].by)}",
        advice="store each id in its vring; the vdev's notifyid is for changes of the status and of the config space",
        subject=vdev.path,
        core=driver,
    )


@rule(
    "ring.index-back",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.6 and 2.7.8: idx always increments; a ring is set up anew only after a reset (modm 844)",
    each=live_rings,
)
def indices_go_forward(subject: RingSubject) -> Iterator[Violation]:
    """No index goes back while the vdev is at DRIVER_OK."""
    run, views, ring = subject.state.run, subject.state.views, subject.ring
    layout = ring.layout
    if views is None or layout is None:
        return
    found = (run.history.backward.get(f"{ring.path}.{name}") for name in ("used.idx", "avail.idx"))
    write = next((each for each in found if each is not None), None)
    if write is None:
        return
    device = write.path.endswith("used.idx")
    address = layout.used_idx_at if device else layout.avail_idx_at
    lost = (write.before - write.after) & 0xFFFF
    what = "returned" if device else "made available"
    yield Violation(
        at=(views.place(ring.role, address, write.path),),
        expected="an index that only goes forward",
        actual=f"written by {by_whom(subject.state, write.by)}: {write.before} before, {write.after} now;"
        f" {counted(lost, 'buffer')} that {'was' if lost == 1 else 'were'} {what} {'is' if lost == 1 else 'are'} lost",
        advice="clear the rings before DRIVER_OK is set and the other side is told of them, never after",
        subject=ring.path,
        core=write.by.role,
    )


def _trespasses(subject: RingSubject, side: Side) -> list[Trespass]:
    found = subject.state.run.history.trespasses
    return [found[key] for key in ((subject.ring.path, side, True), (subject.ring.path, side, False)) if key in found]


def _at(subject: RingSubject, found: Trespass) -> tuple[Place, ...]:
    views = subject.state.views
    path = f"{found.ring}.desc[{found.head}] buffer"
    return (views.place(found.by.role, found.address, path) if views else Place("", found.address, path),)


@rule(
    "buffer.written-while-offered",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.13: a buffer that was made available is the device's until it is used (open-amp 181)",
    each=live_rings,
)
def drivers_leave_offered_buffers_alone(subject: RingSubject) -> Iterator[Violation]:
    """The driver does not write to a buffer that the device has."""
    for found in _trespasses(subject, Side.DRIVER):
        yield Violation(
            at=_at(subject, found),
            expected=f"head {found.head} left alone while {the(subject.vdev.role_of(Side.DEVICE))} has it",
            actual=f"{found.size} bytes written by {by_whom(subject.state, found.by)}, made available after"
            f" {found.since.time_ns / 1e6:.3f} ms",
            advice="write the message first and publish the index last; take another buffer for the next message",
            subject=subject.ring.path,
            core=found.by.role,
        )


@rule(
    "buffer.used-after-return",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 2.7.8: a buffer that was returned is the driver's again",
    each=live_rings,
)
def devices_leave_returned_buffers_alone(subject: RingSubject) -> Iterator[Violation]:
    """The device touches no buffer that it has returned."""
    for found in _trespasses(subject, Side.DEVICE)[:1]:
        verb = "written" if found.writes else "read"
        yield Violation(
            at=_at(subject, found),
            expected=f"head {found.head} left alone once it is returned",
            actual=f"{found.size} bytes {verb} by {by_whom(subject.state, found.by)}, returned after"
            f" {found.since.time_ns / 1e6:.3f} ms",
            advice="copy what is needed before the buffer is returned, or return it last",
            subject=subject.ring.path,
            core=found.by.role,
        )


@rule(
    "vring.elsewhere",
    stage=Stage.TRAFFIC,
    source="Linux remoteproc: both sides work a vring where the table says (zephyr 59456)",
    each=rings_at_rest,
    of_absence=True,
)
def cores_look_where_the_table_says(subject: RingSubject) -> Iterator[Violation]:
    """The device looks for what was made available where the table has the index, and nowhere else."""
    run, ring, layout, views = subject.state.run, subject.ring, subject.ring.layout, subject.state.views
    if layout is None or views is None or not subject.traffic.posted or subject.traffic.used:
        return
    role = subject.vdev.role_of(Side.DEVICE)
    reads = run.history.reads.get((ring.path, Side.DEVICE))
    if not run.history.told or not reads or (ring.path, Side.DEVICE) in run.history.looked_ns:
        return
    seen = ring.span.seen_by(role) if ring.span is not None else None
    own = run.history.wishes.get(ring.path, ())  # read back, as by who changes one bit of the flags
    strange = [(place[0], times) for place, times in reads.items() if place[0] not in own]
    if seen is None or not strange:
        return
    offset, count = max(strange, key=lambda each: each[1])
    wanted, found = seen.start + layout.avail_idx_at - layout.extent.start, seen.start + offset
    yield Violation(
        at=(views.place(role, wanted, f"{ring.path}.avail.idx"), ring.field("da")),
        expected=f"{the(role)} reads the available index at {wanted:#010x}",
        actual=f"never; it reads {found:#010x}, {found - wanted:+d} bytes from there, {count} times",
        advice=f"{the(role)} works the vring {found - wanted:+d} bytes from where the table says: use the table's da",
        subject=ring.path,
        core=role,
    )
