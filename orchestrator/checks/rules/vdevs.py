"""The vdev entries: features, configuration, carveouts, status."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.base.memory import Place
from orchestrator.base.roles import MAIN, Side, the
from orchestrator.checks.finding import Severity, Stage, Violation
from orchestrator.checks.rule import rule
from orchestrator.checks.state import State, TableSubject, VdevSubject, live_vdevs, tables, vdevs
from orchestrator.formats.resource_entry import (
    ANY,
    VIRTIO_CONFIG_S_DRIVER_OK,
    VIRTIO_CONFIG_S_FAILED,
    VIRTIO_CONFIG_S_NEEDS_RESET,
    Feature,
    Profile,
    VdevHeader,
    feature_names,
    status_names,
)
from orchestrator.observe.live import MAX_VRINGS
from orchestrator.observe.run import Run

__all__: list[str] = []

_IN_CONFIG = Feature.BUFSZ | Feature.CPUNAME | Feature.BUFADDR  # NuttX rpmsg_virtio: what these announce is in there


def field(subject: VdevSubject, name: str) -> Place:
    """One field of a vdev's head; of a vdev without one, its first vring."""
    at = subject.vdev.entry.at
    if any(ring.is_given for ring in subject.vdev.rings):
        return Place(at.view, subject.vdev.rings[0].at.address, f"{at.path}.{name}")
    return Place(at.view, at.address + VdevHeader.offset_of(name), f"{at.path}.{name}")


def status_text(status: int) -> str:
    """``3 (ACKNOWLEDGE, DRIVER)``."""
    return f"{status:#x} ({', '.join(status_names(status))})" if status else "0"


@rule(
    "vdev.too-many-vrings",
    stage=Stage.STATIC,
    source="Linux remoteproc, RVDEV_NUM_VRINGS: two vrings per vdev at most",
    each=vdevs,
    profiles={Profile.OPENAMP: None, Profile.NUTTX: None, Profile.COMMON: None},
)
def linux_takes_two_vrings(subject: VdevSubject) -> Iterator[Violation]:
    """A vdev for Linux has two vrings at most."""
    num = subject.vdev.entry.value.head.num_of_vrings
    if num > 2:
        yield Violation((field(subject, "num_of_vrings"),), "at most 2", str(num), "Linux refuses the vdev")


@rule(
    "vdev.rpmsg-vrings",
    stage=Stage.STATIC,
    source="Linux virtio_rpmsg_bus and OpenAMP rpmsg_virtio: one vring for each direction",
    each=vdevs,
)
def rpmsg_has_two_vrings(subject: VdevSubject) -> Iterator[Violation]:
    """An RPMsg device (id 7) has two vrings: 0 towards the host, 1 from it."""
    num = subject.vdev.entry.value.head.num_of_vrings
    if subject.vdev.is_rpmsg and num < 2:
        yield Violation((field(subject, "num_of_vrings"),), "2", str(num), "RPMsg needs a vring for each direction")


@rule("table.too-many-vrings", stage=Stage.STATIC, source="virtio devices in the field have two to eight", each=tables)
def vrings_can_be_followed(subject: TableSubject) -> Iterator[Violation]:
    """The table has no more vrings than rptwin follows."""
    table = subject.table
    total = sum(len(vdev.value.vrings) for vdev in table.vdevs) if table else 0
    if table is not None and total > MAX_VRINGS:
        advice = "those after them are not looked at"
        yield Violation((Place(table.view, table.address, "table"),), f"at most {MAX_VRINGS}", str(total), advice)


@rule(
    "vdev.no-carveout",
    stage=Stage.STATIC,
    source="RPTUN, Carveout: one carveout per VirtIO device, paired by index",
    each=vdevs,
    profiles={Profile.LINUX: None, Profile.OPENAMP: None, Profile.COMMON: None},
)
def dynamic_vrings_have_a_carveout(subject: VdevSubject) -> Iterator[Violation]:
    """A vdev whose vrings RPTUN is to place has a carveout of the same index to cut them from."""
    vdev, table = subject.vdev, subject.table.table
    count = len(table.carveouts) if table else 0
    if vdev.index >= count and any(ring.was_dynamic for ring in vdev.rings):
        yield Violation(
            at=(vdev.entry.at,),
            expected=f"carveout[{vdev.index}]",
            actual=f"{count} carveouts",
            advice="add a carveout entry for this vdev, or give its vrings addresses",
        )


@rule(
    "vdev.features-without-config",
    stage=Stage.STATIC,
    source="NuttX rpmsg_virtio: F_BUFSZ, F_CPUNAME and F_BUFADDR announce fields of the config space",
    each=vdevs,
)
def announced_fields_are_there(subject: VdevSubject) -> Iterator[Violation]:
    """A feature that announces fields of the config space comes with a config space that has them."""
    head = subject.vdev.entry.value.head
    announced = head.dfeatures & _IN_CONFIG
    if subject.vdev.is_rpmsg and announced and head.config_len < 8:
        names = ", ".join(feature_names(announced))
        yield Violation(
            at=(field(subject, "config_len"),),
            expected=f"a config space, as dfeatures has {names}",
            actual=f"{head.config_len} bytes",
            advice="set config_len, or do not offer the feature",
        )


@rule(
    "vdev.config-size",
    stage=Stage.STATIC,
    source="NuttX rpmsg_virtio.h, struct fw_rsc_config of each release",
    each=vdevs,
)
def config_space_fits_its_release(subject: VdevSubject) -> Iterator[Violation]:
    """The config space is as long as the NuttX release lays it out."""
    error = subject.vdev.config_error
    if error is not None:
        expected, found = str(error.expected), str(error.found)
        yield Violation((field(subject, "config_len"),), expected, found, f"{error.what}: check --nuttx-config")


@rule(
    "vdev.gfeatures-not-offered",
    stage=Stage.STATIC,
    source="virtio 1.3, 2.2.1: the driver must not accept a feature that the device did not offer",
    each=vdevs,
)
def negotiated_features_were_offered(subject: VdevSubject) -> Iterator[Violation]:
    """gfeatures has no bit that dfeatures lacks."""
    head = subject.vdev.entry.value.head
    extra = head.gfeatures & ~head.dfeatures
    if extra:
        offered = ", ".join(feature_names(head.dfeatures)) or "none"
        extras = ", ".join(feature_names(extra))
        advice = "the driver takes only what dfeatures offers"
        yield Violation((field(subject, "gfeatures"),), f"a subset of {offered}", f"{extras} besides", advice)


def _declared(state: State) -> Iterator[VdevSubject]:
    """The vdevs as the image has them."""
    return (each for each in vdevs(State(state.profile, state.images, state.declared)) if not each.table.is_live)


@rule(
    "vdev.initial-status",
    stage=Stage.STATIC,
    source="virtio 1.3, 2.1: the status starts from 0 and is the driver's to set",
    each=_declared,
    severity=Severity.WARNING,
)
def status_starts_from_zero(subject: VdevSubject) -> Iterator[Violation]:
    """In the image, status and gfeatures are zero: the driver writes them."""
    head = subject.vdev.entry.value.head
    if head.status:
        advice = "a device that waits for DRIVER_OK may start before the driver"
        yield Violation((field(subject, "status"),), "0", status_text(head.status), advice)
    elif head.gfeatures:
        found = ", ".join(feature_names(head.gfeatures))
        yield Violation((field(subject, "gfeatures"),), "0", found, "features are negotiated at run time")


@rule(
    "vdev.failed",
    stage=Stage.BOOT,
    source="virtio 1.3, 2.1: FAILED: the guest has given up; DEVICE_NEEDS_RESET: the device cannot go on",
    each=live_vdevs,
)
def nobody_gave_up(subject: VdevSubject) -> Iterator[Violation]:
    """Neither side has set FAILED or DEVICE_NEEDS_RESET in the status, by which OpenAMP's main shuts a vdev down."""
    status = subject.vdev.status
    if status & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET) and not subject.state.is_stopped:
        advice = (
            "the driver found something that it cannot use: see the findings about this vdev"
            if status & VIRTIO_CONFIG_S_FAILED
            else "the device cannot go on until the driver resets it: what did it meet before it said so?"
        )
        yield Violation((field(subject, "status"),), "neither FAILED nor NEEDS_RESET", status_text(status), advice)


@rule(
    "vdev.driver-ok-not-reached",
    stage=Stage.BOOT,
    source="virtio 1.3, 3.1.1: the driver sets DRIVER_OK when the device may go on",
    each=live_vdevs,
    of_absence=True,
)
def driver_ok_is_reached(subject: VdevSubject) -> Iterator[Violation]:
    """At the end every vdev's status has DRIVER_OK, unless main has shut it down in order."""
    if not subject.vdev.is_driver_ok and not subject.state.is_stopped:
        run = subject.state.run
        driver, device = (subject.vdev.role_of(side) for side in Side)
        core = run.cores.get(driver)
        detail = (f"{the(driver)} is {core.state} at {core.where}",) if core and core.state and core.where else ()
        once = run.milestone(f"{subject.vdev.path} DRIVER_OK")
        is_given = any(ring.is_given for ring in subject.vdev.rings)
        earlier = f" now, DRIVER_OK from {once.time_ns / 1e6:.3f} ms on for a while" if once else ""
        yield Violation(
            at=(field(subject, "status"),),
            expected="buffers made available in a vring" if is_given else "DRIVER_OK",
            actual="none in any: both indices are 0" if is_given else status_text(subject.vdev.status) + earlier,
            advice=f"does {the(driver)} work the vrings at these addresses? --vrings says where they are"
            if is_given
            else f"{the(driver)} sets the status when rings and buffers are ready; "
            f"{the(device)} waits for it, usually for ever",
            core=driver,
            detail=detail,
        )


def _driver_ok_ns(run: Run, vdev: str) -> int | None:
    """When DRIVER_OK was set last: by the store, else at the end of the turn in which it was first seen."""
    stored = [each for each in run.history.writes.get(f"{vdev}.status", ()) if each.after & VIRTIO_CONFIG_S_DRIVER_OK]
    if stored:
        return stored[-1].by.time_ns
    seen = run.milestone(f"{vdev} DRIVER_OK")
    return None if seen is None else seen.time_ns


@rule(
    "vdev.driver-ok-unseen",
    stage=Stage.TRAFFIC,
    source="virtio 1.3, 3.1.1: once DRIVER_OK is set the device may go on; it learns of that where it looks"
    " (zephyr 86494)",
    each=live_vdevs,
    of_absence=True,
)
def who_is_told_that_main_is_ready_looks(subject: VdevSubject) -> Iterator[Violation]:
    """A device that took a notification after DRIVER_OK reads the table or a ring, where it has a name to announce and
    was offered buffers for that.
    """
    state, vdev, run = subject.state, subject.vdev, subject.state.run
    device = vdev.role_of(Side.DEVICE)
    ready_ns = _driver_ok_ns(run, vdev.path)
    taken = run.ledger.last_taken_ns.get(device, -1)
    if ready_ns is None or not (state.is_at_rest and vdev.is_driver_ok) or device not in run.history.tells:
        return
    log = run.traffic.messages.get(vdev.path)
    looks = [run.history.looked_ns.get((ring.path, Side.DEVICE), -1) for ring in vdev.rings]
    looked = max(run.history.read_table_ns.get(device, -1), *looks, -1)
    rings = [run.traffic.rings[ring.path] for ring in vdev.rings if ring.path in run.traffic.rings]
    if not vdev.entry.value.head.gfeatures & Feature.NS or not any(each.posted for each in rings):
        return  # it may have nothing to do
    if taken < ready_ns or looked >= ready_ns or (log is not None and any(log.sent.values())):
        return
    core = run.cores[device]
    last = "never" if looked < 0 else f"last after {looked / 1e6:.3f} ms"
    doing = f"; {core.name} is {core.state}" + (f" at {core.where}" if core.where else "") if core.state else ""
    yield Violation(
        at=(field(subject, "status"),),
        expected=f"{the(device)} to look at the table or the rings once it is told that {vdev.path} is ready",
        actual=f"DRIVER_OK since {ready_ns / 1e6:.3f} ms, the last notification taken after {taken / 1e6:.3f} ms,"
        f" and the table or a ring read {last}{doing}",
        advice="can it fall asleep between the interrupt and its look? Mask interrupts from looking at the handler's"
        " flag to WFI, which wakes for a masked one too",
        core=device,
    )


@rule(
    "vdev.buffer-size",
    stage=Stage.TRAFFIC,
    source="NuttX rpmsg_virtio.h: h2r_buf_size and r2h_buf_size are what the host allocates (rpmsg-lite 10, 17, 23)",
    each=live_vdevs,
)
def buffers_have_the_configured_size(subject: VdevSubject) -> Iterator[Violation]:
    """Buffers that the driver offers to be written have the size that the config space says."""
    vdev, run = subject.vdev, subject.state.run
    head = vdev.entry.value.head
    if vdev.config is None:
        return
    # What the driver offers to be written carries to it: from the remote to the host where main drives.
    wanted = vdev.config.r2h_buf_size if vdev.role_of(Side.DRIVER) == MAIN else vdev.config.h2r_buf_size
    if not wanted or wanted == ANY or not head.gfeatures & Feature.BUFSZ:
        return
    for ring in vdev.rings:
        for buffer in run.traffic.buffers.values():
            if buffer.ring == ring.path and buffer.writable and buffer.room != wanted:
                yield Violation(
                    at=(Place(vdev.entry.at.view, vdev.entry.at.address + vdev.entry.value.config_offset + 4,
                              f"{vdev.path}.config"),),
                    expected=f"buffers of {wanted} bytes",
                    actual=f"{buffer.room} bytes at {buffer.address:#010x}",
                    advice="use the same buffer size on both sides",
                    subject=ring.path,
                )  # fmt: skip
                return
