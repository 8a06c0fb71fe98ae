"""The vring entries: sizes, alignments, notify ids, addresses."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Place
from orchestrator.base.roles import MAIN, REMOTE, Side
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import RingSubject, State, TableSubject, VdevSubject, rings, states, tables, vdevs
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_FAILED,
    Checksum,
    Profile,
    RprocMem,
    VdevHeader,
)
from orchestrator.formats.virtqueue import MAX_QUEUE_SIZE
from orchestrator.observe.live import ring_layout

__all__: list[str] = []

_VRINGS = "virtio 1.3, 2.7: Queue Size is a power of two, at most 32768"


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@rule("vring.num-zero", stage=Stage.STATIC, source="Linux remoteproc, rproc_parse_vring: num is not zero", each=rings)
def num_is_not_zero(subject: RingSubject) -> Iterator[Violation]:
    """A vring has entries."""
    if subject.ring.entry.num == 0:
        yield Violation((subject.ring.field("num"),), "a power of two", "0", "give the vring a size, 8 or 16 is usual")


@rule("vring.num-not-power-of-two", stage=Stage.STATIC, source=_VRINGS, each=rings)
def num_is_a_power_of_two(subject: RingSubject) -> Iterator[Violation]:
    """The number of entries is a power of two."""
    num = subject.ring.entry.num
    if num and not _is_power_of_two(num):
        advice = "indices run freely modulo 65536 and would jump: take the next power of two"
        yield Violation((subject.ring.field("num"),), "a power of two", str(num), advice)


@rule("vring.num-too-large", stage=Stage.STATIC, source=_VRINGS, each=rings)
def num_has_16_bits(subject: RingSubject) -> Iterator[Violation]:
    """The number of entries is at most 32768."""
    num = subject.ring.entry.num
    if num > MAX_QUEUE_SIZE and _is_power_of_two(num):
        yield Violation((subject.ring.field("num"),), f"at most {MAX_QUEUE_SIZE}", str(num), "an index has 16 bits")


@rule(
    "vring.align-zero", stage=Stage.STATIC, source="Linux remoteproc, rproc_parse_vring: align is not zero", each=rings
)
def align_is_not_zero(subject: RingSubject) -> Iterator[Violation]:
    """A vring has an alignment."""
    if subject.ring.entry.align == 0:
        yield Violation((subject.ring.field("align"),), "a power of two", "0", "16 suits every reader")


@rule(
    "vring.align-not-power-of-two",
    stage=Stage.STATIC,
    source="Linux virtio_ring.h, vring_init: the used ring is placed by masking with align - 1",
    each=rings,
)
def align_is_a_power_of_two(subject: RingSubject) -> Iterator[Violation]:
    """The alignment is a power of two."""
    align = subject.ring.entry.align
    if align and not _is_power_of_two(align):
        advice = "masking with any other number places the used ring differently in each implementation"
        yield Violation((subject.ring.field("align"),), "a power of two", str(align), advice)


@rule(
    "vring.align-too-small",
    stage=Stage.STATIC,
    source="virtio 1.3, 2.7: the used ring is aligned to 4",
    each=rings,
)
def align_keeps_the_used_ring_aligned(subject: RingSubject) -> Iterator[Violation]:
    """The alignment puts the used ring at a multiple of 4."""
    entry = subject.ring.entry
    layout = ring_layout(0, entry.num, entry.align)
    if layout is not None and _is_power_of_two(entry.align) and layout.used % 4:
        found = f"{entry.align}, which puts it at offset {layout.used:#x}"
        yield Violation(
            (subject.ring.field("align"),), "a used ring at a multiple of 4", found, "align 4 at least; 16 is usual"
        )


def _rings_of(subject: TableSubject) -> list[RingSubject]:
    return [RingSubject(subject, vdev, ring) for vdev in subject.vdevs for ring in vdev.rings]


def _are_all_zero(subject: TableSubject) -> bool:
    """Nobody numbered anything: the ids are left to a host that does, as Linux."""
    ids = [vdev.entry.value.head.notifyid for vdev in subject.vdevs]
    return not any([*ids, *(each.ring.entry.notifyid for each in _rings_of(subject))])


def _is_of_old_openamp(subject: TableSubject) -> bool:
    """An entry that only releases have which give out ids without a look at what is taken (before open-amp PR 403)."""
    return any(isinstance(each.value, RprocMem | Checksum) for each in (subject.table.entries if subject.table else ()))


def _ids_given(subject: TableSubject) -> list[tuple[RingSubject, int, str | None]]:
    """Each vring's id as OpenAMP gives them out, in the table's order, and who has it already.

    A vdev takes its id before its vrings; ANY is the lowest that is free then.
    """
    holders: dict[int, str] = {}  # by id; a vdev's own id is taken too, and vdev.notifyid-collision is about it

    def lowest_free() -> int:
        return next(i for i in range(len(holders) + 1) if i not in holders)

    found = []
    for vdev in subject.vdevs:
        own = vdev.entry.value.head.notifyid
        holders.setdefault(lowest_free() if own == ANY else own, f"{vdev.path}, ANY," if own == ANY else "")
        for ring in vdev.rings:
            is_any = ring.entry.notifyid == ANY
            notifyid = lowest_free() if is_any else ring.entry.notifyid
            found.append((RingSubject(subject, vdev, ring), notifyid, holders.get(notifyid) or None))
            if not holders.get(notifyid):
                holders[notifyid] = f"{ring.path}, ANY," if is_any else ring.path
    return found


@rule(
    "vring.notifyid-not-unique",
    stage=Stage.STATIC,
    source="OpenAMP remoteproc: notify ids come from one bitmap (nuttx PR 6902; open-amp 386); Linux numbers them anew",
    each=tables,
    profiles={Profile.LINUX: Severity.NOTE},
)
def notify_ids_are_unique(subject: TableSubject) -> Iterator[Violation]:
    """No two vrings of a table have the same notify id, those that are left to the host (ANY) counted too."""
    unnumbered = _are_all_zero(subject) and (subject.state.profile is Profile.COMMON or _is_of_old_openamp(subject))
    for each, notifyid, holder in _ids_given(subject):
        if holder is not None:
            has = "is given" if holder.endswith(",") else "has"
            yield Violation(
                at=(each.ring.field("notifyid"),),
                expected=f"an id of its own ({holder} {has} {notifyid})",
                actual=str(notifyid),
                advice="number the vrings of all vdevs, or leave the ids to the host (ANY)",
                severity=Severity.NOTE if unnumbered else None,
            )


@rule(
    "vring.notifyid-range",
    stage=Stage.STATIC,
    source="OpenAMP remoteproc: the bitmap of notify ids has 32 bits (open-amp 386); Linux numbers them anew",
    each=rings,
    profiles={Profile.LINUX: Severity.NOTE},
)
def notify_ids_fit_the_bitmap(subject: RingSubject) -> Iterator[Violation]:
    """A notify id is at most 31, or ANY for the host to choose."""
    notifyid = subject.ring.entry.notifyid
    if notifyid > 31 and notifyid != ANY:
        yield Violation((subject.ring.field("notifyid"),), "0..31 or ANY", str(notifyid), "OpenAMP refuses larger ids")


_BITMAP = "remoteproc_allocate_id"  # OpenAMP's, in an image that has it parse its own table


@rule(
    "vdev.notifyid-collision",
    stage=Stage.STATIC,
    source="OpenAMP remoteproc: vdev and vrings share one bitmap; Linux renumbers vrings from 0 up (open-amp 438)",
    each=vdevs,
    severity=Severity.NOTE,
    profiles={Profile.OPENAMP: Severity.ERROR, Profile.NUTTX: None},
)
def vdev_ids_differ_from_vring_ids(subject: VdevSubject) -> Iterator[Violation]:
    """A vdev's notify id is none of a vring's, as the table has them and for Linux as it will number them."""
    notifyid, table = subject.vdev.entry.value.head.notifyid, subject.table
    renumbered = subject.state.profile is Profile.LINUX and not table.is_live
    clash = next(
        (
            each
            for i, each in enumerate(_rings_of(table))
            if notifyid != ANY and notifyid == (i if renumbered else each.ring.entry.notifyid)
        ),
        None,
    )
    if clash is not None:
        at = subject.vdev.entry.at
        yield Violation(
            at=(Place(at.view, at.address + VdevHeader.offset_of("notifyid"), f"{at.path}.notifyid"),),
            expected=f"not {notifyid}, which {clash.ring.path} {'is given by Linux' if renumbered else 'has'}",
            actual=str(notifyid),
            advice="give the vdev an id after those of all vrings; 31 suits every host",
            severity=_weight_of_a_collision(subject),
        )


def _weight_of_a_collision(subject: VdevSubject) -> Severity | None:
    """Nothing in a table says whether the remote has OpenAMP's bitmap; its image, or the run, may."""
    if subject.state.profile is not Profile.OPENAMP:
        remote = subject.state.images.get(REMOTE)
        return Severity.WARNING if remote is not None and _BITMAP in remote.symbols else None
    if _is_of_old_openamp(subject.table):
        return Severity.NOTE
    return Severity.WARNING if _works(subject) else None


def _works(subject: VdevSubject) -> bool:
    """It came up and the device used buffers: what made it asks no bitmap (OpenAMP without remoteproc)."""
    run = subject.state.run
    if not subject.table.is_live or not subject.vdev.is_driver_ok:
        return False
    return all(run.traffic.ring(ring.path).used for ring in subject.vdev.rings)


def _declared(state: State) -> Iterator[RingSubject]:
    return rings(State(state.profile, state.images, state.declared))


@rule(
    "vring.pa-preset",
    stage=Stage.STATIC,
    source="Linux remoteproc, rproc_parse_vring (old): reserved must be zero; now pa, written by the host",
    each=_declared,
    severity=Severity.WARNING,
    profiles={Profile.OPENAMP: None, Profile.NUTTX: None, Profile.COMMON: None},
)
def pa_is_left_to_the_host(subject: RingSubject) -> Iterator[Violation]:
    """In the image, a vring's pa (once: reserved) is zero."""
    if subject.ring.entry.pa:
        yield Violation(
            (subject.ring.field("pa"),), "0", f"{subject.ring.entry.pa:#010x}", "old Linux refuses the table"
        )


def _why_unplaced(missing: list[RingSubject]) -> str:
    """What the status says of main's part, where main sets it."""
    status = 0
    for each in missing:
        status |= each.vdev.status if each.vdev.role_of(Side.DRIVER) == MAIN else 0
    if status & VIRTIO_CONFIG_S_FAILED and all(each.ring.entry.da == 0 for each in missing):
        return "main found the vdev and gave up: it must place a vring whose da is 0 as it does ANY (nuttx PR 11719)"
    if status & VIRTIO_CONFIG_S_FAILED:
        return "main found the vdev and gave up (FAILED): was there room, and did it like what the vring says?"
    if status:
        return "main found the vdev and went no further: what does it wait for, or refuse, before it places the vrings?"
    return "main never placed them: it did not find the table, or never started the device (zephyr 69433)"


@rule(
    "vring.unresolved",
    stage=Stage.BOOT,
    source="RPTUN, Vrings: da 0 or ANY is for the framework to fill in",
    each=states,
    of_absence=True,
)
def every_vring_gets_an_address(state: State) -> Iterator[Violation]:
    """At the end no vring's address is still 0 or ANY."""
    unplaced = [each for each in rings(state) if each.table.is_live and not each.ring.has_address]
    missing = [each.ring for each in unplaced]
    if missing:
        yield Violation(
            at=tuple(ring.field("da") for ring in missing),
            expected="an address in each",
            actual=", ".join(f"{ring.path}.da {ring.entry.da:#x}" for ring in missing),
            advice=_why_unplaced(unplaced),
            subject=missing[0].path if len(missing) == 1 else "table",
            core=MAIN,
        )
