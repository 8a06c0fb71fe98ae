"""Every rule is broken once, on a board that passes but for that; the rule is the only cause."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.golden_texts import GoldenTexts, findings_as_text

import bench as bench_module
from bench import (
    BUFFER,
    CARVEOUT,
    CARVEOUT_SIZE,
    DA,
    FLASH,
    HSEM,
    MAIN,
    MAIN_RAM,
    PA,
    PLATFORM,
    REMOTE,
    REMOTE_RAM,
    SIZE,
    TRACE,
    Bench,
    Piece,
    Script,
    code,
    default_entries,
    make_elf,
    message,
    run,
)
from orchestrator.base.errors import RingError
from orchestrator.base.memory import Extent
from orchestrator.base.roles import ROLES, Side, Sides
from orchestrator.checks.catalogue import catalogue
from orchestrator.checks.finding import Finding, Severity
from orchestrator.checks.static import check_static
from orchestrator.checks.verdict import judge
from orchestrator.events import (
    CoreState,
    DataCache,
    ExceptionReturn,
    ExceptionTaken,
    Fault,
    Frame,
    GuestError,
    Lockup,
    NotificationIgnored,
    NotificationListened,
    NotificationSent,
    NotificationTaken,
    Poll,
    StateChanged,
    Waiting,
)
from orchestrator.formats.locator import parse_locator
from orchestrator.formats.nuttx_config import NuttxRelease
from orchestrator.formats.resource_entry import (
    ANY,
    Carveout,
    Devmem,
    Entry,
    Profile,
    RprocMem,
    Trace,
    Unknown,
    Vdev,
    VdevHeader,
    Vring,
)
from orchestrator.formats.resource_table import Table, build_table, scan_table_bytes
from orchestrator.observe.run import Cut, Unmet
from orchestrator.observe.stacks import StackGuard
from orchestrator.observe.traffic import MessageRecord

Findings = tuple[Finding, ...]


def live(**changes: object) -> Callable[[], Findings]:
    """The findings on a board whose script has these changes."""
    return lambda: run(**changes).findings


def field(path: str, value: int, profile: Profile | None = None) -> Callable[[], Findings]:
    """The findings on a board whose image has one field of its table changed."""
    return live(patch=lambda table: table.patched(path, value), profile=profile)


def table(entries: list[Entry], profile: Profile | None = None, **changes: object) -> Callable[[], Findings]:
    return live(entries=entries, profile=profile, **changes)


def static(*, main: list[Piece] | None = None, remote: list[Piece] | None = None) -> Callable[[], Findings]:
    """The findings on two images before they run."""

    def find() -> Findings:
        bench = Bench(Script())
        first = make_elf("main.elf", main) if main else bench.images["main"]
        second = make_elf("remote.elf", remote) if remote else bench.images["remote"]
        return check_static({"main": first, "remote": second}, PLATFORM)

    return find


def after(act: Callable[[Bench], None], **changes: object) -> Callable[[], Findings]:
    return live(after=act, **changes)


def rings_of(*rings: Vring) -> list[Entry]:
    return [replace(e, vrings=rings, head=replace(e.head, num_of_vrings=len(rings))) if isinstance(e, Vdev) else e
            for e in default_entries()]  # fmt: skip


def carveout_of(**fields: int) -> list[Entry]:
    return [replace(e, **fields) if isinstance(e, Carveout) else e for e in default_entries()]


def table_piece(entries: list[Entry]) -> Piece:
    return Piece(FLASH + 0x10_1000, build_table(entries).encode(), DA, 4, ".resource_table")


def trace_of(**fields: int) -> list[Entry]:
    return [replace(e, **fields) if isinstance(e, Trace) else e for e in default_entries()]


def fault(bench: Bench, core: str, address: int | None = 0x7000_0000) -> None:
    bench.emit(
        core,
        Fault("BusFault", ("PRECISERR", "BFARVALID"), address, FLASH + 0x100, "main+0x10", "reads 0x70000000", True, {},
              (Frame(FLASH + 0x100, "main+0x10"),)),
    )  # fmt: skip


def serve_fault(bench: Bench) -> None:
    fault(bench, MAIN)
    bench.emit(MAIN, ExceptionTaken(5, "BusFault", FLASH + 0x100))
    bench.emit(MAIN, ExceptionReturn(5, "BusFault", FLASH + 0x104))


def lock_up(bench: Bench) -> None:
    bench.emit(MAIN, Lockup(FLASH + 0x100, "fault_stop", "a fault in HardFault", {}, ()))


def reset_again_and_again(bench: Bench) -> None:
    for _ in range(3):
        bench.emit(MAIN, StateChanged(CoreState.RUNNING, "system reset requested by firmware"))


def reset_alone(bench: Bench) -> None:
    bench.emit(MAIN, StateChanged(CoreState.RUNNING, "reset by an injected fault"))


def odd_store(bench: Bench) -> None:
    bench.emit(MAIN, GuestError(FLASH + 0x100, "main", FLASH, "store to flash"))


def offer_chain(*descriptors: tuple[int, int, int, int, int], head: int = 0, count: int = 1) -> Callable[[Bench], None]:
    """The driver makes a chain of (index, addr, len, flags, next) available on ring 1 and notifies; nobody looks."""

    def do(bench: Bench) -> None:
        def act() -> None:
            ring = bench.sides[0].rings[1]
            for index, addr, length, flags, next_ in descriptors:
                ring.desc(index, addr, length, flags, next_)
            for _ in range(count):
                ring.offer(head)
            bench.ring(bench.driver)

        bench.turn(bench.driver, act)

    return do


def give_back(head: int) -> Callable[[Bench], None]:
    def do(bench: Bench) -> None:
        bench.turn(bench.device, lambda: bench.devices[0].rings[0].give_back(head))

    return do


def returned_twice(bench: Bench) -> None:
    def act() -> None:
        ring = bench.devices[0].rings[0]
        head = ring.offered() or 0
        ring.give_back(head, 20)
        ring.give_back(head, 20)
        bench.ring(bench.device)

    bench.turn(bench.device, act)


def used_length(bench: Bench) -> None:
    ring = bench.devices[0].rings[0]
    bench.turn(bench.device, lambda: ring.give_back(ring.offered() or 0, BUFFER + 1))


def keep(count: int) -> Callable[[Bench], None]:
    """The driver takes this many buffers that the device filled, and offers only the next one again."""

    def do(bench: Bench) -> None:
        def send() -> None:
            for _ in range(count + 1):
                bench.device_send(bench.devices[0], message(1024, 1030, b"news"))
            bench.ring(bench.device)

        def take() -> None:
            ring = bench.sides[0].rings[0]
            heads = [ring.given_back() or 0 for _ in range(count + 1)]
            ring.offer(heads[-1])

        bench.turn(bench.device, send)
        bench.turn(bench.driver, take)

    return do


def name_service(name: bytes, address: int, *, destroy: bool = False, source: int | None = None) -> bytes:
    payload = name.ljust(32, b"\0") + struct.pack("<II", address, destroy)
    return message(address if source is None else source, 53, payload)


def announce(*messages: bytes) -> Callable[[Bench], None]:
    """The device says these in a turn."""

    def do(bench: Bench) -> None:
        def act() -> None:
            for data in messages:
                bench.device_send(bench.devices[0], data)
            bench.ring(bench.device)

        bench.turn(bench.device, act)
        bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))

    return do


def reuse_address(bench: Bench) -> None:
    """A message is on its way while the device destroys its endpoint and makes another."""
    bench.turn(bench.driver, lambda: bench.driver_send(bench.sides[0], message(1030, 1024, b"late")))
    announce(name_service(b"echo", 1024, destroy=True), name_service(b"sink", 1024))(bench)
    bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(bench.devices[0].rings[1].offered() or 0))


def move_index(bench: Bench, core: str, address: int, value: int) -> None:
    bench.turn(core, lambda: bench.write(core, address, struct.pack("<H", value)))


def wrong_writer(bench: Bench) -> None:
    ring = bench.sides[0].rings[1]
    move_index(bench, bench.device, ring.avail + 2, ring.posted + 1)


def met_by_a_side(rule: str) -> Callable[[Bench], None]:
    error = RingError("as it was met", rule=rule, where=f"{MAIN} at {PA:#010x} (vdev[0].vring[0].desc)", found=1)
    return lambda bench: bench.observer.on_ring_fault(bench.time_ns, error, "vdev[0].vring[0]", "main")


def avail_overrun(bench: Bench) -> None:
    ring = bench.sides[0].rings[0]
    move_index(bench, bench.driver, ring.avail + 2, ring.posted + 20)


def used_ahead(bench: Bench) -> None:
    ring = bench.devices[0].rings[1]
    move_index(bench, bench.device, ring.used + 2, ring.posted + 3)


def in_the_drivers_own_memory(pa: int) -> int:
    return pa - PA + (MAIN_RAM if bench_module.default_driver == "main" else REMOTE_RAM)


NO_TABLE = [code(FLASH + 0x10_0000, REMOTE_RAM + 0x2_0000)]
MAIN_CODE = code(FLASH, MAIN_RAM + 0x2_0000)
PEER = DA + 0x2000  # somewhere in the carveout


def storm(bench: Bench) -> None:
    """The remote's handler leaves a channel pending that main rang once."""
    bench.emit(MAIN, NotificationSent("hsem", REMOTE, 5, 125, rising=True))
    for _ in range(5_000):
        bench.emit(REMOTE, NotificationTaken("hsem", (5,), 125))


def malformed(bench: Bench) -> None:
    data = struct.pack("<IIIHH", 1030, 1024, 0, 600, 0)

    def act() -> None:
        pa = bench.sides[0].buffers[0]
        bench.write(bench.driver, pa, data)
        ring = bench.sides[0].rings[1]
        ring.desc(7, pa - PA + DA, len(data))
        ring.offer(7)
        bench.ring(bench.driver)

    bench.turn(bench.driver, act)
    bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(7))


def release_late(bench: Bench) -> None:
    bench.observer.run.cores["remote"].released_ns = None


def views_differ() -> Findings:
    bench = Bench(Script())

    class Other:
        view = REMOTE

        def read(self, address: int, size: int) -> bytes:
            data = bench.remote.read(address, size)
            return data[:-1] + b"\xa5" if address == DA and size > 100 else data

        def write(self, address: int, data: bytes) -> None:
            bench.remote.write(address, data)

    bench.observer.views.memories["remote"] = Other()  # type: ignore[index]  # a plain dict behind the Mapping
    return bench.run().findings


def cached(start: int) -> DataCache:
    return DataCache(True, (Extent(start, SIZE),))


def polling(peripheral: str, address: int) -> Waiting:
    return Waiting(FLASH + 0x40, "wait_ready", (Poll(address, 4, 0x85, peripheral),))


def silent_remote() -> Findings:
    bench = Bench(Script(remote_alive=False, states={REMOTE: CoreState.RUNNING}))
    return bench.run().findings


def check_config_size() -> Findings:
    short = [replace(e, config=e.config[:16], head=replace(e.head, config_len=16)) if isinstance(e, Vdev) else e
             for e in default_entries()]  # fmt: skip
    bench = Bench(Script(entries=short, profile=Profile.NUTTX))
    bench.observer.options = replace(bench.observer.options, release=NuttxRelease.V11_0)
    return bench.run().findings


def waits_in_vain() -> Findings:
    bench = Bench(Script())
    bench.run()
    bench.observer.finish(bench.time_ns, "timeout", unmet=Unmet("main:never", 1_000_000), cut=bench_module.default_cut)
    return judge(bench.observer).findings


def indirect(descriptors: list[tuple[int, int, int, int]]) -> Callable[[Bench], None]:
    def do(bench: Bench) -> None:
        def act() -> None:
            at = PA + CARVEOUT + CARVEOUT_SIZE - 16 * len(descriptors)
            bench.write(bench.driver, at, b"".join(struct.pack("<QIHH", *each) for each in descriptors))
            ring = bench.sides[0].rings[1]
            ring.desc(5, at - PA + DA, 16 * len(descriptors), 4)
            ring.offer(5)
            bench.ring(bench.driver)

        bench.turn(bench.driver, act)

    return do


def long_indirect(count: int) -> Findings:
    chain = [(PEER, 17, 1, i + 1) for i in range(count)]
    chain[-1] = (PEER, 17, 0, 0)
    return run(after=indirect(chain)).findings


def nested_indirect() -> Findings:
    return run(after=indirect([(PEER, 16, 4, 0)])).findings


OFFSETS: dict[str, object] = {
    "buffer_da": lambda pa: pa - PA - CARVEOUT,
    "from_descriptor": lambda offset: offset + DA + CARVEOUT,
}


def device() -> str:
    """The core that plays the device."""
    return REMOTE if bench_module.default_driver == "main" else MAIN


def driver_core() -> str:
    return MAIN if device() == REMOTE else REMOTE


def takes_and_never_returns() -> Findings:
    """The device's core takes an exception near the end, whose handler it is in to the end."""
    core = device()
    return run(
        states={core: CoreState.RUNNING},
        exceptions={core: 141},
        after=lambda bench: bench.emit(core, ExceptionTaken(141, "IRQ 125", FLASH + 0x40)),
    ).findings


def spins_after_it_was_told() -> Findings:
    return run(device_returns=False, states={device(): CoreState.RUNNING}).findings


def waits_for_a_lock() -> Findings:
    core = driver_core()
    number = 0x100 if core == MAIN else 0x300  # the other core's
    poll = Poll(HSEM + 0x84, 4, 0x8000_0000 | number, "hsem")
    waiting = {core: Waiting(FLASH + 0x40, "signal", (poll,))}
    return run(states={core: CoreState.RUNNING}, waiting=waiting).findings


def signalled_before_anybody_listened(bench: Bench) -> None:
    """The driver offers a message and rings a channel that the device enables only then, and clears."""

    def act() -> None:
        ring = bench.sides[0].rings[1]
        ring.offer(0)
        bench.emit(bench.driver, NotificationIgnored("hsem", bench.device, 9))

    bench.turn(bench.driver, act)
    bench.time_ns += 1_000_000
    bench.emit(bench.device, NotificationListened("hsem", (9,), ()))


def offered_though_nobody_wants_to_know(bench: Bench) -> None:
    """The device sets NO_NOTIFY on the queue that it gets messages by, and one comes."""
    ring = bench.sides[0].rings[1]
    bench.turn(bench.device, lambda: bench.write(bench.device, ring.used, b"\x01\x00"))
    bench.turn(bench.driver, lambda: ring.offer(0))


def returned_without_a_word(bench: Bench) -> None:
    """The device sends a message and does not ring; the driver finds it long after."""
    bench.turn(bench.device, lambda: bench.device_send(bench.devices[0], message(1024, 1, b"late")))
    bench.time_ns += 5_000_000
    bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))


def nothing_but_blank_buffers(bench: Bench) -> None:
    """Buffers without a message go to and fro."""
    log = bench.observer.run.traffic.messages["vdev[0]"]
    for _ in range(2_000):
        log.add(MessageRecord(bench.time_ns, "vdev[0].vring[1]", Side.DRIVER, "main", 0, 0, 0))


def field_at(bench: Bench, path: str) -> int:
    found = bench.table().field(path)
    assert found is not None
    return found.at.address


def device_stores_a_status(bench: Bench) -> None:
    bench.access(bench.device, field_at(bench, "vdev[0].status"), 1, before=7, value=1)


def ids_in_the_wrong_place() -> Findings:
    def store(bench: Bench) -> None:
        bench.access(bench.driver, field_at(bench, "vdev[0].notifyid"), 4, before=4, value=3)

    return run(entries=rings_of(*(Vring(ANY, 16, 8, ANY, 0) for _ in range(2))), after=store).findings


def index_goes_back(bench: Bench) -> None:
    ring = bench.sides[0].rings[0]
    bench.access(bench.device, ring.used + 2, 2, before=4, value=1)


def send_by_accesses(bench: Bench, *, returned: bool) -> int:
    """The driver offers head 0 on ring 1 once more, and the device returns it if so; told access by access."""
    ring = bench.sides[0].rings[1]
    ring.offer(0)
    bench.access(bench.driver, ring.avail + 2, 2, before=ring.posted - 1, value=ring.posted)
    bench.look(bench.device, ring.avail + 2)
    if returned:
        there = bench.devices[0].rings[1]
        there.give_back(0)
        bench.access(bench.device, there.used + 2, 2, before=there.posted - 1, value=there.posted)
    return int(struct.unpack("<Q", ring.memory.read(ring.base, 8))[0])


def driver_writes_what_it_has_sent(bench: Bench) -> None:
    address = send_by_accesses(bench, returned=False)
    bench.access(bench.driver, address + 16, 4, before=0, value=1)
    bench.ring(bench.driver)
    bench.turn(bench.device, lambda: None)


def device_reads_what_it_has_returned(bench: Bench) -> None:
    address = send_by_accesses(bench, returned=True)
    bench.access(bench.device, address + 16, 4)


def wait_for_each_other(bench: Bench) -> None:
    """The driver has sent all its buffers, the device filled all of the other queue, and each looks for one to use."""
    side, device = bench.sides[0], bench.devices[0]

    def fill() -> None:
        for _ in range(8):
            bench.driver_send(side, message(1030, 1024, b"ping"))
        bench.ring(bench.driver)

    def answer() -> None:
        for _ in range(8):
            bench.device_send(device, message(1024, 1030, b"ping"))
        bench.ring(bench.device)

    bench.turn(bench.driver, fill)
    bench.turn(bench.device, answer)
    bench.turn(bench.driver, lambda: None)
    bench.look(bench.driver, side.rings[1].used + 2)
    bench.look(bench.device, device.rings[0].avail + 2)


def takes_and_does_not_look(bench: Bench) -> None:
    """The device takes a notification of a message and looks at no queue."""
    bench.time_ns += 1_000_000
    send = message(1030, 1024, b"ping")
    bench.turn(bench.driver, lambda: (bench.driver_send(bench.sides[0], send), bench.ring(bench.driver)))
    bench.turn(bench.device, lambda: None)


def work_with_a_copy(bench: Bench) -> None:
    """Main has a copy of the table in memory of its own, and sets the status there."""
    table_ = scan_table_bytes(bench.table_bytes).table
    assert table_ is not None
    bench.main.write(MAIN_RAM + 0x100, table_.patched("vdev[0].status", 7))


def runs_over_its_stack(bench: Bench) -> None:
    bench.store.bytes["flash"][0x100:0x104] = b"\x10\xb5\0\0"  # PUSH {r4, lr}: what accesses are made by
    end = REMOTE_RAM + 0x1000
    bench.observer.run.stacks["remote"] = StackGuard("remote", end, "__stack_limit", end + 0x800, REMOTE_RAM)
    for address in (end + 8, end, end - 8):
        bench.access_at(REMOTE, address, 8, value=0)


def looks_somewhere_else() -> Findings:
    def look(bench: Bench) -> None:
        ring = bench.sides[0].rings[1]
        for _ in range(3):
            bench.access(bench.device, ring.avail + 34, 2)

    return run(device_returns=False, after=look, tells_looks=False).findings


CASES: dict[str, Callable[[], Findings]] = {
    # images
    "elf.segment-outside-memory": static(main=[MAIN_CODE, Piece(0x6000_0000, b"\1" * 64)]),
    "elf.images-overlap": static(main=[MAIN_CODE, Piece(FLASH + 0x10_1000, b"\1" * 64)]),
    "vector.missing": static(main=[Piece(FLASH, b"\1" * 4, section=".isr_vector")]),
    "vector.stack-outside-memory": static(main=[code(FLASH, 0x6000_0000)]),
    "vector.stack-in-use": static(
        main=[
            code(FLASH, MAIN_RAM + 0x1000),
            Piece(FLASH + 0x1000, bytes(0x1000), MAIN_RAM, section=".main_stack"),
            Piece(FLASH + 0x3000, b"\1" * 64, MAIN_RAM + 0x800 - 32, section=".data"),
            Piece(FLASH + 0x4000, b"\1" * 64, MAIN_RAM + 0x1000, section=".bss"),
        ]
    ),
    "vector.stack-misaligned": static(main=[code(FLASH, MAIN_RAM + 0x1004)]),
    "vector.reset-even": static(main=[code(FLASH, MAIN_RAM + 0x1000, FLASH + 8)]),
    "vector.reset-outside-code": static(main=[code(FLASH, MAIN_RAM + 0x1000, FLASH + 0x8001)]),
    # the table
    "table.missing": static(remote=NO_TABLE),
    "table.not-loaded": live(table_loaded=False),
    "table.one-core-only": live(table_run=REMOTE_RAM + 0x100, starts_rings=False),
    "table.not-copied": live(copies_table=False),
    "table.absent": live(table_at_run_time=True, copies_table=False, locator=parse_locator(f"remote:{DA:#x}")),
    "table.second-copy": live(starts_rings=False, after=work_with_a_copy),
    "table.views-differ": views_differ,
    "table.version": field("header.ver", 2),
    "table.truncated": field("vdev[0].config_len", 5000),
    "table.outside-memory": live(
        table_run=DA + SIZE - 0x90,
        table_at_run_time=True,
        locator=parse_locator(f"remote:{DA + SIZE - 0x90:#x}"),
        patch=lambda t: t.encode()[:0x90],
        starts_rings=False,
    ),
    "table.too-many-entries": field("header.num", 5000),
    "table.offset-huge": field("offset[0]", 0x8000_0010),
    "table.offset-past-end": field("offset[0]", 0x4000),
    "table.offset-into-header": field("offset[0]", 16),
    "table.address-past-end": table(trace_of(da=0xFFFF_FF00, len=0x400)),
    "table.misaligned": live(table_run=DA + 4, profile=Profile.LINUX),
    "table.orphan-entry": table(
        [*default_entries()[1:], default_entries()[0]], patch=lambda t: t.patched("header.num", 2)
    ),
    "table.reserved": field("header.reserved[0]", 1, Profile.LINUX),
    "table.entry-reserved": field("trace[0].reserved", 1),
    "table.entries-overlap": live(patch=lambda t: t.patched("offset[0]", t.offsets[2] - 8)),
    "table.unknown-type": table([*default_entries(), Unknown(77)]),
    "table.obsolete-type": table([*default_entries(), RprocMem(da=DA + 0x7000, len=16)]),
    "table.devmem-needs-iommu": table([*default_entries(), Devmem(da=0x4000_0000, len=16)], Profile.LINUX),
    "table.no-vdev": table([default_entries()[0]]),
    "table.too-many-vrings": table(
        [
            Trace(da=DA + TRACE, len=4),
            Vdev.of(VdevHeader(id=3), [Vring(DA + 0x2000 + 64 * i, 16, 1, ANY) for i in range(65)]),
        ],
        Profile.OPENAMP,
        starts_rings=False,
        after=lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].status", 7)),
    ),
    # vdevs
    "vdev.too-many-vrings": table(
        rings_of(*[Vring(ANY, 16, 8, 3 + i) for i in range(3)]), Profile.LINUX, gives_up=True
    ),
    "vdev.rpmsg-vrings": table(rings_of(Vring(ANY, 16, 8, 0)), gives_up=True),
    "vdev.no-carveout": table([e for e in default_entries() if not isinstance(e, Carveout)], Profile.NUTTX),
    "vdev.features-without-config": table(
        [
            replace(e, head=replace(e.head, config_len=0), config=b"") if isinstance(e, Vdev) else e
            for e in default_entries()
        ]
    ),
    "vdev.config-size": check_config_size,
    "vdev.gfeatures-not-offered": after(lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].gfeatures", 0x13))),
    "vdev.initial-status": field("vdev[0].status", 1),
    "vdev.failed": after(lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].status", 0x87))),
    "vdev.driver-ok-not-reached": live(sets_driver_ok=False),
    "vdev.buffer-size": live(patch=lambda t: t.patched("vdev[0].config", struct.pack("<II", 256, 256) + bytes(56))),
    "vdev.notifyid-collision": field("vdev[0].notifyid", 1, Profile.OPENAMP),
    # vrings
    "vring.num-zero": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 16, 0, 1)), gives_up=True),
    "vring.num-not-power-of-two": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 16, 6, 1)), gives_up=True),
    "vring.num-too-large": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 16, 65536, 1)), gives_up=True),
    "vring.align-zero": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 0, 8, 1)), gives_up=True),
    "vring.align-not-power-of-two": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 3, 8, 1))),
    "vring.align-too-small": table(rings_of(Vring(ANY, 16, 8, 0), Vring(ANY, 2, 8, 1))),
    "vring.notifyid-not-unique": field("vdev[0].vring[1].notifyid", 0),
    "vring.notifyid-range": field("vdev[0].vring[1].notifyid", 32),
    "vring.pa-preset": field("vdev[0].vring[1].pa", PA, Profile.LINUX),
    "vring.unresolved": live(starts_rings=False),
    # places
    "vring.outside-memory": table(
        rings_of(Vring(DA + 0x800, 16, 8, 0), Vring(0x6000_0000, 16, 8, 1)),
        starts_rings=False,
        after=lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].status", 7)),
    ),
    "vring.one-core-only": table(
        rings_of(Vring(DA + 0x800, 16, 8, 0), Vring(REMOTE_RAM + 0x800, 16, 8, 1)),
        starts_rings=False,
        after=lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].status", 7)),
    ),
    "vring.outside-carveout": live(ring_at=lambda i, pa: PA + CARVEOUT + CARVEOUT_SIZE - 64 if i else pa),
    "vring.untranslated": live(to_da=lambda pa: pa),
    "vring.part-misaligned": live(ring_at=lambda i, pa: pa + 8 * i),
    "vring.memory-in-use": static(
        remote=[
            code(FLASH + 0x10_0000, DA + 0xA00),
            table_piece(rings_of(Vring(DA + 0x4000, 16, 8, 0), Vring(DA + 0x800, 16, 8, 1))),
        ]
    ),
    "carveout.memory-in-use": live(remote_code=code(FLASH + 0x10_0000, DA + CARVEOUT + CARVEOUT_SIZE)),
    "buffer.memory-in-use": table(
        carveout_of(name=b"pool"), Profile.OPENAMP, remote_code=code(FLASH + 0x10_0000, DA + CARVEOUT + 0x1000)
    ),
    "vring.overlap": live(ring_at=lambda i, pa: pa - 0x10 if i else pa),
    "carveout.outside-memory": table(
        carveout_of(da=0x6000_0000),
        Profile.NUTTX,
        after=lambda b: b.turn(MAIN, lambda: b.poke("vdev[0].status", 7)),
        starts_rings=False,
    ),
    "carveout.overlap": table(
        [*default_entries(), Carveout(da=DA + CARVEOUT + CARVEOUT_SIZE - 0x100, len=0x200, name=b"x")]
    ),
    "trace.outside-memory": table(trace_of(da=0x6000_0000)),
    # cores
    "core.never-started": live(remote_alive=False, states={REMOTE: CoreState.HELD}, after=release_late),
    "core.fault": live(main_alive=False, after=lambda b: fault(b, MAIN)),
    "core.fault-handled": live(after=serve_fault),
    "core.lockup": live(main_alive=False, after=lock_up),
    "core.resets": live(main_alive=False, after=reset_again_and_again),
    "core.reset-unnoticed": after(reset_alone),
    "core.silent": silent_remote,
    "core.polling": live(
        main_alive=False, states={MAIN: CoreState.RUNNING}, waiting={MAIN: polling("clocks", 0x5000_0010)}
    ),
    "core.stuck": live(remote_rings=False, starts_rings=False, states={REMOTE: CoreState.RUNNING}),
    "core.guest-error": after(odd_store),
    "run.until-not-met": waits_in_vain,
    "cache.unmaintained": lambda: run(caches={MAIN: cached(PA)}).findings,
    # rings
    "ring.layout-disagreement": live(driver_align=64),
    "ring.avail-overrun": after(avail_overrun),
    "ring.head-in-use": after(offer_chain((5, PEER, 17, 0, 0), head=5, count=2)),
    "ring.used-ahead": after(used_ahead),
    "ring.used-not-a-head": lambda: run(after=give_back(77)).findings,
    "ring.desc-loop": after(offer_chain((5, PEER, 17, 1, 6), (6, PEER, 17, 1, 5), head=5)),
    "ring.index-out-of-range": after(offer_chain(head=9)),
    "ring.chain-too-long": lambda: long_indirect(9),
    "ring.indirect-next": after(offer_chain((5, PEER, 32, 5, 6), head=5)),
    "ring.indirect-nested": nested_indirect,
    "ring.indirect-length": after(offer_chain((5, PEER, 17, 4, 0), head=5)),
    "ring.indirect-address": after(offer_chain((5, 0x6000_0000, 32, 4, 0), head=5)),
    "ring.wrong-writer": after(wrong_writer),
    "ring.used-twice": after(returned_twice),
    "ring.used-length": after(used_length),
    "ring.direction": live(transmit_flags=2),
    "ring.indirect-not-negotiated": live(is_indirect=True),
    "ring.readable-after-writable": after(
        offer_chain((5, PEER, 17, 3, 6), (6, PEER + 32, 17, 0, 0), head=5),
        entries=[replace(e, head=replace(e.head, id=3)) if isinstance(e, Vdev) else e for e in default_entries()],
    ),
    # what only a side of a virtqueue sees
    "ring.avail-out-of-order": after(met_by_a_side("ring.avail-out-of-order")),
    "ring.used-out-of-order": after(met_by_a_side("ring.used-out-of-order")),
    # buffers and messages
    "buffer.unreachable-by-device": live(buffer_da=in_the_drivers_own_memory),
    "buffer.unreachable-by-driver": live(buffer_da=lambda pa: pa - PA + REMOTE_RAM),
    "buffer.offsets": live(**OFFSETS),
    "buffer.untranslated": live(buffer_da=lambda pa: pa),
    "buffer.outside-carveout": live(buffer_at=lambda i, pa: PA + 0x6000 if i == 0 else pa),
    "buffer.overlap": live(buffer_at=lambda i, pa: pa - 16 if i == 1 else pa),
    "buffer.overlaps-ring": live(buffer_at=lambda i, pa: PA + CARVEOUT + 0x40 if i == 7 else pa),
    "buffer.not-returned": live(device_returns=False),
    "buffer.not-offered-again": after(keep(2)),
    "message.malformed": after(malformed),
    "message.unknown-destination": live(ping_to=2000, answers=0),
    # endpoints
    "endpoint.never-announced": live(announcement=b""),
    "endpoint.ns-not-negotiated": field("vdev[0].dfeatures", 4),
    "endpoint.other-address": live(announcement=name_service(b"echo", 1025, source=1024), ping_to=1025, answers=0),
    "endpoint.silent": live(pings=4, answers=3),
    "endpoint.shared-address": after(announce(name_service(b"other", 1024))),
    "endpoint.address-again": after(reuse_address),
    # notifications
    "notification.missing": live(driver_channel=5),
    "notification.not-taken": live(device_takes=False),
    "notification.not-cleared": after(storm),
    "notification.before-listening": after(signalled_before_anybody_listened),
    "notification.suppressed": after(offered_though_nobody_wants_to_know),
    "notification.in-vain": after(takes_and_does_not_look),
    "vdev.driver-ok-unseen": live(device_sees=False),
    "notification.left-out": after(returned_without_a_word),
    "core.never-returned": takes_and_never_returns,
    "core.stack-overflow": after(runs_over_its_stack),
    "core.spins": spins_after_it_was_told,
    "core.deadlock": after(wait_for_each_other),
    "core.lock-held": waits_for_a_lock,
    "message.blank": after(nothing_but_blank_buffers),
    # what only an engine can tell that sees each access
    "vdev.status-writer": after(device_stores_a_status),
    "vdev.notifyid-misplaced": ids_in_the_wrong_place,
    "ring.index-back": after(index_goes_back),
    "buffer.written-while-offered": after(driver_writes_what_it_has_sent),
    "buffer.used-after-return": after(device_reads_what_it_has_returned),
    "vring.elsewhere": looks_somewhere_else,
    "traffic.none": live(pings=0),
}


def roots(findings: Findings) -> list[str]:
    found = [each.rule for each in findings if each.because_of is None and each.severity is not Severity.NOTE]
    return found or [each.rule for each in findings]


BOTH = [(driver, rule) for driver in ROLES for rule in sorted(CASES)]
# Descriptors hold addresses of the remote: one that it does not reach itself, it cannot mean.
BOTH.remove(("remote", "buffer.unreachable-by-driver"))


@pytest.mark.parametrize(("driver", "rule"), BOTH, indirect=["driver"])
def test_a_board_that_breaks_one_rule_has_that_rule_as_its_only_cause(
    driver: str, rule: str, golden_texts: Callable[[str], GoldenTexts]
) -> None:
    """And every word about it is the one that was said before."""
    found = CASES[rule]()
    assert set(roots(found)) == {rule}
    golden_texts(f"rules-{driver}").compare(rule, findings_as_text(found))


@pytest.mark.parametrize("driver", ROLES)
def test_what_is_said_is_known_of_every_case(driver: str, golden_texts: Callable[[str], GoldenTexts]) -> None:
    golden_texts(f"rules-{driver}").is_of(rule for each, rule in BOTH if each == driver)


OF_ABSENCE = frozenset(each.id for each in catalogue() if each.of_absence)


@pytest.mark.parametrize("rule", sorted(set(CASES) - {"table.missing"}))  # of two images that did not run
def test_a_run_that_its_engine_cut_short_tells_of_nothing_that_is_absent(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "default_cut", Cut.BY_ENGINE)
    found = {each.rule for each in CASES[rule]()}
    assert not found & OF_ABSENCE
    assert (rule in found) is (rule not in OF_ABSENCE)


@pytest.mark.parametrize("rule", sorted(OF_ABSENCE - {"table.missing", "run.until-not-met"}))
def test_who_cuts_a_run_short_has_waited_long_enough_or_knows_nothing(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "default_cut", Cut.BY_CALLER)
    assert not {each.rule for each in CASES[rule]()} & OF_ABSENCE
    monkeypatch.setattr(bench_module, "default_rest_ns", 1_000_000_000)
    assert set(roots(CASES[rule]())) == {rule}


def test_offsets_and_marks_that_nobody_has_answered_yet_are_no_errors_of_a_run_that_was_cut_short() -> None:
    unanswered = {"pings": 0, "announcement": b""}
    assert "buffer.unreachable-by-device" in {each.rule for each in run(**OFFSETS | unanswered).findings}
    assert run(**OFFSETS | unanswered, cut=Cut.BY_ENGINE).findings == ()
    marked = {"transmit_flags": 2, "accepts": 0, "answers": 0}
    assert "ring.direction" in {each.rule for each in run(**marked).findings}
    assert run(**marked, cut=Cut.BY_ENGINE).findings == ()


def test_a_fault_weighs_less_where_the_run_was_cut_short_before_its_handler_could_return() -> None:
    def weight(rest_ns: int) -> Severity:
        verdict = run(main_alive=False, after=lambda b: fault(b, MAIN), rest_ns=rest_ns, cut=Cut.BY_ENGINE)
        return next(each.severity for each in verdict.findings if each.rule == "core.fault")

    assert weight(9_999_999) is Severity.WARNING
    assert weight(10_000_000) is Severity.ERROR


def test_an_empty_table_is_no_error_of_a_run_that_was_cut_short() -> None:
    entries = [each for each in default_entries() if not isinstance(each, Vdev)]
    found = run(entries=entries, cut=Cut.BY_ENGINE).findings
    assert [each.severity for each in found if each.rule == "table.no-vdev"] == [Severity.NOTE]


@pytest.mark.parametrize(
    ("cut", "headline"),
    [
        (Cut.BY_NOBODY, "RPTUN did not come up"),
        (Cut.BY_CALLER, "RPTUN was not up when the run was cut short"),
        (Cut.BY_ENGINE, "RPTUN was not up when the run was cut short"),
    ],
)
def test_the_headline_says_that_a_run_was_cut_short(cut: Cut, headline: str) -> None:
    verdict = run(sets_driver_ok=False, cut=cut)
    assert (verdict.headline, verdict.exit_code) == (headline, 1)


BLAMED = {
    "buffer.not-offered-again": Side.DRIVER,
    "buffer.not-returned": Side.DEVICE,
    "buffer.overlap": Side.DRIVER,
    "buffer.unreachable-by-device": Side.DRIVER,
    "buffer.untranslated": Side.DRIVER,
    "endpoint.address-again": Side.DEVICE,
    "endpoint.never-announced": Side.DEVICE,
    "endpoint.ns-not-negotiated": Side.DEVICE,
    "endpoint.other-address": Side.DEVICE,
    "endpoint.shared-address": Side.DEVICE,
    "endpoint.silent": Side.DEVICE,
    "message.malformed": Side.DRIVER,
    "message.unknown-destination": Side.DRIVER,
    "notification.in-vain": Side.DEVICE,
    "notification.missing": Side.DRIVER,
    "notification.not-taken": Side.DEVICE,
    "ring.avail-overrun": Side.DRIVER,
    "ring.direction": Side.DRIVER,
    "ring.head-in-use": Side.DRIVER,
    "ring.layout-disagreement": Side.DRIVER,
    "ring.used-ahead": Side.DEVICE,
    "ring.used-length": Side.DEVICE,
    "ring.used-not-a-head": Side.DEVICE,
    "ring.used-twice": Side.DEVICE,
    "ring.wrong-writer": Side.DEVICE,
    "vdev.driver-ok-not-reached": Side.DRIVER,
}


@pytest.mark.parametrize("rule", sorted(BLAMED))
def test_the_core_that_plays_the_side_that_did_it_is_blamed(driver: str, rule: str) -> None:
    found = next(each for each in CASES[rule]() if each.rule == rule)
    assert found.core == Sides(driver).role_of(BLAMED[rule])


def test_a_driver_that_forgets_to_ring_and_whom_it_should_have_told_are_named(driver: str) -> None:
    other = "remote" if driver == "main" else "main"

    def offer_in_silence(bench: Bench) -> None:
        bench.turn(bench.driver, lambda: bench.sides[0].rings[1].desc(6, PEER, 20) or bench.sides[0].rings[1].offer(6))

    (found,) = (each for each in run(after=offer_in_silence).findings if each.rule == "notification.missing")
    assert found.core == driver
    assert found.expected.startswith(f"a notification to {other}")


def test_a_message_is_logged_as_of_the_core_that_sent_it(driver: str) -> None:
    verdict = run()
    log = verdict.run.traffic.messages["vdev[0]"]
    assert [each.sender for each in log.first if each.src == 1030] == [driver] * 3
    assert verdict.to_json()["messages"]["vdev[0]"]["sent"][driver] == 3  # type: ignore[index]  # plain JSON
    assert verdict.run.milestone(f"vdev[0] first message from {driver}") is not None


@pytest.mark.usefixtures("driver")
def test_the_board_that_the_cases_start_from_passes() -> None:
    verdict = run()
    assert (verdict.up, verdict.exit_code, verdict.findings) == (True, 0, ())


@pytest.mark.parametrize(("core", "console"), [(MAIN, "uart_main"), (REMOTE, "uart_remote")])
def test_a_core_that_does_nothing_but_poll_its_console_is_told_so(core: str, console: str) -> None:
    """As when a transmission never ends: more than that it is silent."""
    alive = {"main_alive": core != MAIN, "remote_alive": core != REMOTE}
    found = run(states={core: CoreState.RUNNING}, waiting={core: polling(console, 0x5000_0158)}, **alive).findings
    assert roots(found) == ["core.polling"]


@pytest.mark.parametrize(
    "cache",
    [
        DataCache(False, (Extent(PA, SIZE),)),
        DataCache(True, (Extent(MAIN_RAM, 0x2_0000),)),
        DataCache(True, (Extent(PA, SIZE),), (Extent(PA, SIZE),)),
    ],
    ids=["off", "of other memory", "maintained"],
)
def test_a_cache_that_keeps_nothing_of_shared_memory_is_no_finding(cache: DataCache) -> None:
    assert run(caches={MAIN: cache}).findings == ()


def test_a_cache_says_what_it_keeps_in_the_addresses_of_its_core() -> None:
    """The same memory at another address of the other core."""
    assert [each.core for each in run(caches={REMOTE: cached(DA)}).findings] == ["remote"]
    assert run(caches={REMOTE: cached(PA)}).findings == ()


def test_rings_that_are_maintained_leave_the_buffers_to_the_cache() -> None:
    rings_ = Extent(PA + CARVEOUT, 0x400)
    (found,) = run(caches={MAIN: DataCache(True, (Extent(PA, SIZE),), (rings_,))}).findings
    assert found.at[0].path == "a buffer of vdev[0].vring[0]"


def test_before_the_driver_is_ready_a_cache_is_nobodys_trouble() -> None:
    found = run(caches={MAIN: cached(PA)}, gives_up=True).findings
    assert "cache.unmaintained" not in [each.rule for each in found]


def test_a_core_that_has_done_something_may_wait_for_input_on_its_console() -> None:
    found = run(
        main_alive=False,
        states={MAIN: CoreState.RUNNING},
        waiting={MAIN: polling("uart_main", 0x5000_0108)},
        after=lambda bench: bench.emit(MAIN, ExceptionTaken(15, "SysTick", FLASH + 0x40)),
    ).findings
    assert "core.polling" not in [each.rule for each in found]


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({}, Severity.WARNING),
        ({"pings": 1, "device_returns": False}, Severity.ERROR),
        ({"gives_up": True}, Severity.ERROR),
    ],
)
def test_a_collision_of_notify_ids_weighs_less_where_the_vdev_works(
    changes: dict[str, object], severity: Severity
) -> None:
    """OpenAMP's remoteproc refuses such a vdev; what makes it without remoteproc does not look (ST)."""
    script = Script(patch=lambda table: table.patched("vdev[0].notifyid", 1), profile=Profile.OPENAMP, **changes)  # type: ignore[arg-type]
    (found,) = (each for each in Bench(script).run().findings if each.rule == "vdev.notifyid-collision")
    assert found.severity is severity


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("leaves", [True, False])
def test_a_device_that_has_destroyed_its_endpoints_need_not_look_at_a_message(leaves: bool) -> None:
    """As ST's OpenAMP_PingPong ends: main's own farewell stays in the ring, and the remote loops for ever."""

    farewell = message(1024, 53, b"echo".ljust(32, b"\0") + struct.pack("<II", 1024, 1))

    def end(bench: Bench) -> None:
        if leaves:
            bench.turn(bench.device, lambda: bench.device_send(bench.devices[0], farewell))
            bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))
        last = message(1030, 53, b"echo".ljust(32, b"\0") + struct.pack("<II", 1030, 1))
        bench.turn(bench.driver, lambda: (bench.driver_send(bench.sides[0], last), bench.ring(bench.driver)))
        bench.turn(bench.device, lambda: None)

    found = {each.rule for each in run(after=end, states={device(): CoreState.RUNNING}).findings}
    assert found == (set() if leaves else {"core.spins", "buffer.not-returned", "notification.in-vain"})


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("other", [False, True])
def test_a_driver_that_has_destroyed_the_last_name_need_not_look_at_a_buffer(other: bool) -> None:
    """It bound its endpoint to a name of the device and never announced it; with another name alive it listens."""

    farewell = message(1030, 53, b"echo".ljust(32, b"\0") + struct.pack("<II", 1030, 1))

    def end(bench: Bench) -> None:
        if other:
            announce(name_service(b"sink", 1025))(bench)
        bench.turn(bench.driver, lambda: (bench.driver_send(bench.sides[0], farewell), bench.ring(bench.driver)))
        bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(bench.devices[0].rings[1].offered() or 0))
        bench.turn(
            bench.device,
            lambda: (bench.device_send(bench.devices[0], message(1024, 1030, b"late")), bench.ring(bench.device)),
        )
        bench.turn(bench.driver, lambda: None)

    found = run(after=end, states={driver_core(): CoreState.RUNNING}).findings
    assert ("core.spins" in {each.rule for each in found}) is other


@pytest.mark.usefixtures("driver")
def test_an_endpoint_that_asks_as_well_as_it_answers_has_the_last_answer() -> None:
    """As NuttX's rpmsg-ping, of which either core may begin."""

    def end(bench: Bench) -> None:
        for _ in range(4):
            bench.turn(
                bench.device,
                lambda: (bench.device_send(bench.devices[0], message(1024, 1030, b"ping")), bench.ring(bench.device)),
            )
            bench.turn(bench.driver, lambda: bench.driver_poll(bench.sides, ping=False))
            bench.turn(
                bench.driver,
                lambda: (bench.driver_send(bench.sides[0], message(1030, 1024, b"ping")), bench.ring(bench.driver)),
            )
            bench.turn(
                bench.device, lambda: bench.devices[0].rings[1].give_back(bench.devices[0].rings[1].offered() or 0)
            )

    assert run(pings=4, after=end).findings == ()


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize("other", [False, True])
def test_a_driver_that_says_farewell_has_not_looked_at_what_came_back(other: bool) -> None:
    """ST's OpenAMP_RTOS_PingPong: the last answers come, and main withdraws its endpoint before it looks."""

    farewell = message(1030, 53, b"echo".ljust(32, b"\0") + struct.pack("<II", 1030, 1))

    def end(bench: Bench) -> None:
        if other:
            announce(name_service(b"sink", 1025))(bench)
        bench.turn(
            bench.device, lambda: [bench.device_send(bench.devices[0], message(1024, 1030, b"late")) for _ in range(2)]
        )
        bench.turn(bench.driver, lambda: (bench.driver_send(bench.sides[0], farewell), bench.ring(bench.driver)))
        bench.turn(bench.device, lambda: bench.devices[0].rings[1].give_back(bench.devices[0].rings[1].offered() or 0))

    found = {each.rule for each in run(after=end).findings}
    assert ("buffer.not-offered-again" in found) is other
    assert other or not found


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("changes", "is_found"),
    [({"accepts": 0}, False), ({"accepts": 0, "answers": 0}, True), ({}, True)],
    ids=["accepts nothing, and is answered", "accepts nothing, and is not answered", "accepts features"],
)
def test_openamp_before_2020_marks_what_it_sends_as_writable_and_nobody_looks(
    changes: dict[str, object], is_found: bool
) -> None:
    """As with a libmetal io region that has its physical address (ST's OpenAMP_RTOS_PingPong)."""
    found = [each.rule for each in run(transmit_flags=2, **changes).findings]
    assert ("ring.direction" in found) is is_found
    assert is_found or found == []


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("changes", "is_found"),
    [({"accepts": 0}, False), ({"accepts": 0, "pings": 0}, True), ({"accepts": 4}, True)],
    ids=["accepts nothing, and answers what was announced", "accepts nothing, and never sends", "accepts all but NS"],
)
def test_a_driver_that_never_accepts_features_takes_what_is_offered(changes: dict[str, object], is_found: bool) -> None:
    """OpenAMP before 2020.10 writes no gfeatures; both sides look at dfeatures (ST's OpenAMP_PingPong)."""
    found = [each.rule for each in run(**changes).findings]
    assert ("endpoint.ns-not-negotiated" in found) is is_found
    assert is_found or found == []


def test_buffers_named_by_offsets_that_both_sides_understand_are_followed_and_pass() -> None:
    """As with a libmetal io region whose physical address is 0 (ST's OpenAMP_PingPong)."""
    bench = Bench(Script(**OFFSETS))  # type: ignore[arg-type]
    verdict = bench.run()
    assert (verdict.up, verdict.exit_code) == (True, 0)
    (note,) = verdict.findings
    assert f"offsets from {DA + CARVEOUT:#010x}" in note.actual
    traffic = bench.observer.run.traffic
    assert traffic.messages["vdev[0]"].sent == {Side.DRIVER: 3, Side.DEVICE: 4}
    assert all(each.span.pa == each.address + PA + CARVEOUT for each in traffic.buffers.values())


def test_offsets_that_the_device_does_not_understand_are_addresses_without_memory() -> None:
    found = run(buffer_da=lambda pa: pa - PA - CARVEOUT).findings
    assert roots(found) == ["buffer.unreachable-by-device"]


def test_one_buffer_named_by_an_offset_among_addresses_is_without_memory() -> None:
    odd = PA + CARVEOUT + 0x400

    def address(pa: int) -> int:
        return pa - PA - CARVEOUT if odd <= pa < odd + 512 else pa - PA + DA

    found = run(buffer_da=address, from_descriptor=lambda at: at if at > SIZE else at + DA + CARVEOUT).findings
    assert roots(found) == ["buffer.unreachable-by-device"]


def test_what_main_sends_is_mains_whatever_its_descriptors_say() -> None:
    """OpenAMP before 2020 marks what it sends as writable, and names it by its offset."""
    bench = Bench(Script(transmit_flags=2))
    assert roots(bench.run().findings) == ["ring.direction"]
    assert bench.observer.run.traffic.messages["vdev[0]"].sent == {Side.DRIVER: 3, Side.DEVICE: 4}
    assert roots(run(transmit_flags=2, **OFFSETS).findings) == ["buffer.offsets"]


@pytest.mark.parametrize(("features", "rules"), [(0x05, ["buffer.outside-carveout"]), (0x15, [])])
def test_buffers_may_lie_outside_the_carveout_where_the_config_space_gives_their_places(
    features: int, rules: list[str]
) -> None:
    pools = struct.pack("<2I2Q", BUFFER, BUFFER, PA + 0x6000, PA + 0x7000) + bytes(40)
    entries = [
        replace(e, config=pools, head=replace(e.head, dfeatures=features)) if isinstance(e, Vdev) else e
        for e in default_entries()
    ]
    found = run(entries=entries, buffer_at=lambda i, pa: PA + 0x6000 if i == 0 else pa).findings
    assert [each.rule for each in found] == rules


def test_a_channel_that_is_rung_as_often_as_it_is_taken_is_cleared() -> None:
    def busy(bench: Bench) -> None:
        for _ in range(5_000):
            bench.emit(MAIN, NotificationSent("hsem", REMOTE, 5, 125, rising=True))
            bench.emit(REMOTE, NotificationTaken("hsem", (5,), 125))

    assert run(after=busy).findings == ()


def find(findings: Findings, rule: str) -> list[Finding]:
    return [each for each in findings if each.rule == rule]


def remote_with(*pieces: Piece, profile: Profile | None = None) -> Findings:
    """What inspecting a remote's image says."""
    image = make_elf("remote.elf", [code(FLASH + 0x10_0000, REMOTE_RAM + 0x2_0000), *pieces])
    return check_static({"remote": image}, PLATFORM, profile)


def test_a_table_without_a_vdev_is_a_remark_on_an_image_and_an_error_of_a_run() -> None:
    alone = [default_entries()[0]]
    (on_image,) = find(remote_with(table_piece(alone)), "table.no-vdev")
    (of_run,) = find(table(alone)(), "table.no-vdev")
    (for_nuttx,) = find(remote_with(table_piece(alone), profile=Profile.NUTTX), "table.no-vdev")
    assert (on_image.severity, of_run.severity, for_nuttx.severity) == (Severity.NOTE, Severity.ERROR, Severity.ERROR)
    assert run(entries=alone).exit_code == 1


@pytest.mark.parametrize(("words", "is_found"), [(1, True), (2, True), (16, True), (17, False)])
def test_a_table_that_begins_further_on_is_named_with_its_place(words: int, is_found: bool) -> None:
    whole = build_table(default_entries()).encode()
    piece = Piece(FLASH + 0x10_1000, bytes(4 * words) + whole, DA, 4, ".resource_table")
    (found,) = find(remote_with(piece), "table.version")
    assert (f"a table begins at {DA + 4 * words:#010x}" in found.actual) is is_found
    assert ("has to begin with the table" in found.advice) is is_found


@pytest.mark.parametrize("distance", [8, 0])
def test_a_table_made_further_on_than_named_is_named_with_its_place(distance: int) -> None:
    place = parse_locator(f"remote:{DA + 0x20 - distance:#x}")
    found = find(live(table_at_run_time=True, table_run=DA + 0x20, locator=place)(), "table.absent")
    assert [f"{distance} bytes further on, at {DA + 0x20:#010x}" in each.advice for each in found] == (
        [True] if distance else []
    )


def test_linux_has_numbered_the_vrings_of_a_table_in_memory() -> None:
    """What stands there is what it gave them, whatever it would give again."""

    def ids(table: Table) -> bytes:
        data = table.patched("vdev[0].notifyid", 1)
        for i in range(2):
            data = scan_table_bytes(data).table.patched(f"vdev[0].vring[{i}].notifyid", 5 + i)  # type: ignore[union-attr]
        return data

    numbered = scan_table_bytes(ids(build_table(default_entries()))).table
    assert numbered is not None
    piece = Piece(FLASH + 0x10_1000, numbered.encode(), DA, 4, ".resource_table")
    (found,) = find(remote_with(piece, profile=Profile.LINUX), "vdev.notifyid-collision")
    assert "is given by Linux" in found.expected
    assert find(run(patch=ids, profile=Profile.LINUX).findings, "vdev.notifyid-collision") == []


@pytest.mark.parametrize(
    ("profile", "name", "is_found"),
    [
        (Profile.NUTTX, b"pool", True),
        (Profile.LINUX, b"vdev0buffer", True),
        (Profile.LINUX, b"vdev0vring1", True),
        (Profile.LINUX, b"System RAM", False),
        (Profile.COMMON, b"pool", False),
    ],
)
def test_a_carveout_of_linuxs_may_hold_the_remotes_program(profile: Profile, name: bytes, is_found: bool) -> None:
    pieces = [
        code(FLASH + 0x10_0000, DA + CARVEOUT + CARVEOUT_SIZE),
        table_piece(carveout_of(name=name)),
    ]
    found = check_static({"remote": make_elf("remote.elf", pieces)}, PLATFORM, profile)
    assert [each.subject for each in find(found, "carveout.memory-in-use")] == (["carveout[0]"] if is_found else [])


@pytest.mark.parametrize(
    ("profile", "is_found"), [(Profile.LINUX, False), (Profile.COMMON, False), (Profile.NUTTX, True)]
)
def test_a_carveout_of_linuxs_may_hold_the_trace_buffer(profile: Profile, is_found: bool) -> None:
    log = Carveout(da=DA + TRACE, len=0x400, name=b"Log buffer")
    found = find(table([*default_entries(), log], profile)(), "carveout.overlap")
    assert [each.subject for each in found] == (["carveout[1]"] if is_found else [])


@pytest.mark.parametrize("profile", [Profile.LINUX, Profile.COMMON])
def test_a_carveout_that_cuts_the_trace_buffer_overlaps_it_for_everybody(profile: Profile) -> None:
    log = Carveout(da=DA + TRACE + 0x200, len=0x400, name=b"Log buffer")
    assert find(table([*default_entries(), log], profile)(), "carveout.overlap")


@pytest.mark.parametrize(
    ("reset", "is_found"),
    [(FLASH + 0x1001, False), (MAIN_RAM + 1, False), (MAIN_RAM + 0x3F, False), (MAIN_RAM + 0x41, True)],
)
def test_a_core_may_start_in_code_where_it_is_loaded_or_where_it_runs(reset: int, is_found: bool) -> None:
    """A loader copies before it lets the core go; start-up code copies itself."""
    pieces = [code(FLASH, MAIN_RAM + 0x1_0000, reset), Piece(FLASH + 0x1000, b"\0\xbf" * 32, MAIN_RAM)]
    found = find(check_static({"main": make_elf("main.elf", pieces)}, PLATFORM), "vector.reset-outside-code")
    runs = f"{Extent(FLASH, 16)}, {Extent(MAIN_RAM, 64)}"
    assert [each.expected for each in found] == ([f"inside {runs}"] if is_found else [])


def test_an_image_without_code_is_told_so() -> None:
    vectors = replace(code(FLASH, MAIN_RAM + 0x1000), flags=4)
    (found,) = find(check_static({"main": make_elf("main.elf", [vectors])}, PLATFORM), "vector.reset-outside-code")
    assert found.expected == "inside no executable segment"


@pytest.mark.parametrize(
    ("ids", "profile", "is_old", "severity"),
    [
        ((0, 0, 0), Profile.COMMON, False, Severity.NOTE),  # nobody numbered anything: a host does
        ((0, 0, 0), Profile.OPENAMP, True, Severity.NOTE),
        ((0, 0, 0), Profile.OPENAMP, False, Severity.ERROR),
        ((0, 0, 0), Profile.NUTTX, False, Severity.ERROR),
        ((0, 1, 1), Profile.COMMON, False, Severity.ERROR),
        ((0, 1, 1), Profile.OPENAMP, True, Severity.ERROR),
        ((1, 0, 0), Profile.COMMON, False, Severity.ERROR),
        ((0, 1, 1), Profile.LINUX, False, Severity.NOTE),
    ],
)
def test_notify_ids_that_are_not_unique_weigh_less_where_nobody_numbered_anything(
    ids: tuple[int, int, int], profile: Profile, is_old: bool, severity: Severity
) -> None:
    entries = rings_of(*(Vring(DA + 0x4000 + 0x200 * n, 16, 8, ids[1 + n]) for n in range(2)))
    entries = [replace(e, head=replace(e.head, notifyid=ids[0])) if isinstance(e, Vdev) else e for e in entries]
    entries += [RprocMem(da=DA + 0x7000, len=16)] if is_old else []
    found = find(remote_with(table_piece(entries), profile=profile), "vring.notifyid-not-unique")
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize("start", [CARVEOUT, CARVEOUT + 8, CARVEOUT + CARVEOUT_SIZE])
def test_what_has_no_bytes_shares_none(start: int) -> None:
    empty = [Carveout(da=DA + start, len=0, name=b"none"), Trace(da=DA + start, len=0, name=b"none")]
    found = run(entries=[*default_entries(), *empty]).findings
    assert [each.rule for each in found if each.rule.endswith("overlap")] == []


def test_a_buffer_that_one_core_cannot_reach_is_told_apart_from_one_over_a_stack(driver: str) -> None:
    """The driver's own memory may well be its stack: what is wrong is that the other core was told of it."""
    main, remote = code(FLASH, MAIN_RAM + CARVEOUT + 0x800), code(FLASH + 0x10_0000, REMOTE_RAM + CARVEOUT + 0x800)
    over_its_stack = {"main_code": main} if driver == "main" else {"remote_code": remote}
    found = run(buffer_da=in_the_drivers_own_memory, **over_its_stack).findings
    assert roots(found) == ["buffer.unreachable-by-device"]
    assert find(found, "buffer.memory-in-use") == []


@pytest.mark.parametrize(
    ("role", "stack"), [("remote", DA + 0xA00), ("remote", PA + 0xA00), ("main", PA + 0xA00)], ids=str
)
def test_a_vring_over_a_stack_is_found_by_any_address_of_either_core(role: str, stack: int) -> None:
    fixed = table_piece(rings_of(Vring(DA + 0x4000, 16, 8, 0), Vring(DA + 0x800, 16, 8, 1)))
    images = {
        "main": make_elf("main.elf", [code(FLASH, stack if role == "main" else MAIN_RAM + 0x2_0000)]),
        "remote": make_elf(
            "remote.elf",
            [code(FLASH + 0x10_0000, stack if role == "remote" else REMOTE_RAM + 0x2_0000), fixed],
        ),
    }
    (found,) = find(check_static(images, PLATFORM), "vring.memory-in-use")
    assert (found.subject, found.core) == ("vdev[0].vring[1]", role)
    extent = Extent(stack - 0x200, 230)
    assert found.actual == f"{extent} shares memory with the stack of {role}.elf, which begins at {stack:#010x}"


def test_vrings_over_one_stack_are_one_finding_about_the_nearest() -> None:
    fixed = table_piece(rings_of(Vring(DA + 0x900, 16, 8, 0), Vring(DA + 0x800, 16, 8, 1)))
    images = {"remote": make_elf("remote.elf", [code(FLASH + 0x10_0000, DA + 0xA00), fixed])}
    (found,) = find(check_static(images, PLATFORM), "vring.memory-in-use")
    assert found.subject == "vdev[0].vring[0]"
    assert [each.path for each in found.at] == ["vdev[0].vring[0].da", "vdev[0].vring[1].da"]
    assert [each.split()[0] for each in found.detail] == ["vdev[0].vring[1]"]


@pytest.mark.parametrize(("size", "is_found"), [(0x400, False), (0x401, True)])
def test_a_block_may_end_with_the_address_space(size: int, is_found: bool) -> None:
    found = remote_with(table_piece(trace_of(da=0xFFFF_FC00, len=size)))
    assert bool(find(found, "table.address-past-end")) is is_found


def test_the_fault_of_a_core_whose_stack_is_a_vring_follows_from_that() -> None:
    entries = rings_of(Vring(DA + 0x4000, 16, 8, 0), Vring(DA + 0x4800, 16, 8, 1))
    found = run(
        entries=entries,
        remote_code=code(FLASH + 0x10_0000, DA + 0x4A00),
        after=lambda bench: fault(bench, REMOTE),
    ).findings
    assert roots(found) == ["vring.memory-in-use"]
    assert find(found, "core.fault")[0].because_of is not None


@pytest.mark.parametrize("rule", sorted(CASES))
def test_a_finding_says_where_what_was_expected_what_was_found_and_what_to_do(rule: str) -> None:
    found = next(each for each in CASES[rule]() if each.rule == rule)
    assert found.expected
    assert found.actual
    assert found.advice
    assert found.subject
    assert found.source


def test_every_rule_cites_its_source_and_describes_itself_in_a_sentence() -> None:
    for each in catalogue():
        assert each.source
        assert each.description.endswith(".")


# Of the model of a data cache, which a bench does not have: tests/integration/test_coherence.py breaks each.
BY_A_CACHE = {
    "cache.invalidate-destroyed",
    "cache.invalidated-early",
    "cache.stale-code",
    "cache.stale-read",
    "cache.write-back-overwrites",
    "cache.write-stayed",
}


# Of barriers between accesses, which a bench does not have either: tests/integration/test_order.py breaks each.
BY_ORDER = {
    "order.entry-before-index",
    "order.index-before-entry",
    "order.index-before-flags",
    "order.index-before-notification",
    "order.published-early",
}


def test_every_rule_is_broken_by_a_case() -> None:
    assert sorted(each.id for each in catalogue()) == sorted({*CASES, *BY_A_CACHE, *BY_ORDER})
