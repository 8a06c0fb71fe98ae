"""Each limit of a rule from both sides: what is just allowed passes, one more does not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench import (
    BUFFER,
    CARVEOUT,
    CARVEOUT_SIZE,
    DA,
    FLASH,
    MAIN,
    MAIN_RAM,
    PA,
    PLATFORM,
    REMOTE,
    REMOTE_RAM,
    SIZE,
    Bench,
    Piece,
    Script,
    code,
    default_entries,
    make_elf,
    message,
    run,
)
from orchestrator.base.roles import Side
from orchestrator.checks.finding import Finding
from orchestrator.checks.static import check_static
from orchestrator.events import (
    CoreState,
    ExceptionTaken,
    NotificationSent,
    NotificationTaken,
    StateChanged,
)
from orchestrator.formats.resource_entry import ANY, Carveout, Entry, Profile, Trace, Vdev, VdevHeader, Vring
from orchestrator.formats.resource_table import Table, build_table
from orchestrator.observe.traffic import MessageRecord

Findings = tuple[Finding, ...]
RING = 230  # bytes of a ring of 8 entries at align 16
REST_NS = 10_000_000


def rings_of(*rings: Vring) -> list[Entry]:
    return [replace(e, vrings=rings, head=replace(e.head, num_of_vrings=len(rings))) if isinstance(e, Vdev) else e
            for e in default_entries()]  # fmt: skip


def ring(profile: Profile | None = None, **fields: int) -> Findings:
    """Two rings, the second with these fields; nobody starts them."""
    second = Vring(**{"da": ANY, "align": 16, "num": 8, "notifyid": 1, **fields})
    return run(entries=rings_of(Vring(ANY, 16, 8, 0), second), profile=profile, gives_up=True).findings


def placed(*addresses: int) -> Findings:
    """Rings at addresses of their own; the status is set, so that they count."""
    entries = rings_of(*(Vring(da, 16, 8, i) for i, da in enumerate(addresses)))
    up = lambda bench: bench.turn(MAIN, lambda: bench.poke("vdev[0].status", 7))  # noqa: E731
    return run(entries=entries, starts_rings=False, after=up).findings


def field(path: str, value: int, profile: Profile | None = None) -> Findings:
    return run(patch=lambda table: table.patched(path, value), profile=profile).findings


def accepted(features: int) -> Findings:
    return run(after=lambda bench: bench.turn(MAIN, lambda: bench.poke("vdev[0].gfeatures", features))).findings


def vdev(config: bytes | None = None, **head: int) -> list[Entry]:
    """The default table with another vdev in it."""
    return [
        replace(
            e,
            config=e.config if config is None else config,
            head=replace(e.head, **head, **({} if config is None else {"config_len": len(config)})),
        )
        if isinstance(e, Vdev)
        else e
        for e in default_entries()
    ]


def static(*, main: list[Piece] | None = None, remote: list[Piece] | None = None) -> Findings:
    images = dict(Bench(Script()).images)
    if main:
        images["main"] = make_elf("main.elf", main)
    if remote:
        images["remote"] = make_elf("remote.elf", remote)
    return check_static(images, PLATFORM)


def vectors(stack: int = MAIN_RAM + 0x1000, reset: int | None = None) -> Findings:
    return static(main=[code(FLASH, stack, reset)])


def many_rings(count: int) -> Findings:
    rings = [Vring(DA + 0x2000 + 64 * i, 16, 1, ANY) for i in range(count)]
    return run(entries=[Vdev.of(VdevHeader(id=3), rings)], profile=Profile.OPENAMP, starts_rings=False).findings


def resets(count: int) -> Findings:
    why = "system reset requested by firmware"

    def reset(bench: Bench) -> None:
        for _ in range(count):
            bench.emit(MAIN, StateChanged(CoreState.RUNNING, why))

    return run(main_alive=False, after=reset).findings


def keep(count: int) -> Findings:
    """The driver takes this many buffers that the device filled, and offers only the next one again."""

    def do(bench: Bench) -> None:
        def send() -> None:
            for _ in range(count + 1):
                bench.device_send(bench.devices[0], message(1024, 1030, b"news"))
            bench.ring(bench.device)

        def take() -> None:
            queue = bench.sides[0].rings[0]
            queue.offer([queue.given_back() or 0 for _ in range(count + 1)][-1])

        bench.turn(bench.device, send)
        bench.turn(bench.driver, take)

    return run(after=do).findings


def image_of_stack(*pieces: Piece) -> Findings:
    """An image with a stack of 4 KiB at the start of main's memory, named by its section."""
    stack = Piece(FLASH + 0x1000, bytes(0x1000), MAIN_RAM, section=".main_stack")
    return static(main=[code(FLASH, MAIN_RAM + 0x1000), stack, *pieces])


def ring_at(second: Callable[[int], int]) -> Findings:
    return run(ring_at=lambda i, pa: second(pa) if i else pa).findings


def carveout_of(**fields: int) -> list[Entry]:
    return [replace(e, **fields) if isinstance(e, Carveout) else e for e in default_entries()]


def trace_of(**fields: int) -> list[Entry]:
    return [replace(e, **fields) if isinstance(e, Trace) else e for e in default_entries()]


def stays_in_a_handler(rest_ns: int) -> Findings:
    core = REMOTE
    return run(
        states={core: CoreState.RUNNING},
        exceptions={core: 141},
        after=lambda bench: bench.emit(core, ExceptionTaken(141, "IRQ 125", FLASH + 0x40)),
        rest_ns=rest_ns,
    ).findings


def storm(taken: int, sent: int = 1) -> Findings:
    def do(bench: Bench) -> None:
        for _ in range(sent):
            bench.emit(MAIN, NotificationSent("hsem", REMOTE, 5, 125, rising=True))
        for _ in range(taken):
            bench.emit(REMOTE, NotificationTaken("hsem", (5,), 125))

    return run(after=do).findings


def blank(count: int) -> Findings:
    def do(bench: Bench) -> None:
        log = bench.observer.run.traffic.messages["vdev[0]"]
        for _ in range(count):
            log.add(MessageRecord(bench.time_ns, "vdev[0].vring[1]", Side.DRIVER, "main", 0, 0, 0))

    return run(after=do).findings


def table_of_bytes(align: int) -> Findings:
    """A config space of 63 bytes before the next entry."""
    entries = vdev(struct.pack("<II", BUFFER, BUFFER) + bytes(55))
    return run(entries=entries, patch=lambda table: aligned(table, align)).findings


def aligned(table: Table, align: int) -> bytes:
    return build_table([each.value for each in table.entries], align=align).encode()


BLOCK = PA + CARVEOUT  # where main puts the first ring; the second follows at a multiple of 16

LIMITS: dict[str, tuple[str, Callable[[], Findings], Callable[[], Findings]]] = {
    "a queue of 32768": ("vring.num-too-large", lambda: ring(num=32768), lambda: ring(num=65536)),
    "a queue of 1": ("vring.num-not-power-of-two", lambda: ring(num=1), lambda: ring(num=3)),
    "a queue of 2": ("vring.num-not-power-of-two", lambda: ring(num=2), lambda: ring(num=6)),
    "an align of 1": ("vring.align-not-power-of-two", lambda: ring(align=1), lambda: ring(align=3)),
    "an align of 4": ("vring.align-too-small", lambda: ring(align=4), lambda: ring(align=2)),
    "a notify id of 31": ("vring.notifyid-range", lambda: ring(notifyid=31), lambda: ring(notifyid=32)),
    "a notify id of ANY": ("vring.notifyid-range", lambda: ring(notifyid=ANY), lambda: ring(notifyid=ANY - 1)),
    "two vrings for Linux": (
        "vdev.too-many-vrings",
        lambda: ring(Profile.LINUX),
        lambda: (
            run(
                entries=rings_of(*[Vring(ANY, 16, 8, i) for i in range(3)]), profile=Profile.LINUX, gives_up=True
            ).findings
        ),
    ),
    "two vrings for RPMsg": (
        "vdev.rpmsg-vrings",
        ring,
        lambda: run(entries=rings_of(Vring(ANY, 16, 8, 0)), gives_up=True).findings,
    ),
    "one vring for another device": (
        "vdev.rpmsg-vrings",
        lambda: run(entries=[Vdev.of(VdevHeader(id=3), [Vring(ANY, 16, 8, 0)])], gives_up=True).findings,
        lambda: run(entries=[Vdev.of(VdevHeader(id=7), [Vring(ANY, 16, 8, 0)])], gives_up=True).findings,
    ),
    "64 vrings": ("table.too-many-vrings", lambda: many_rings(64), lambda: many_rings(65)),
    "a config space of 8 bytes": (
        "vdev.features-without-config",
        lambda: run(entries=vdev(bytes(8))).findings,
        lambda: run(entries=vdev(bytes(7))).findings,
    ),
    "no config space where nothing is announced in it": (
        "vdev.features-without-config",
        lambda: run(entries=vdev(b"", dfeatures=1)).findings,
        lambda: run(entries=vdev(b"", dfeatures=5)).findings,
    ),
    "a feature that was offered": (
        "vdev.gfeatures-not-offered",
        lambda: accepted(5),
        lambda: accepted(7),
    ),
    "no feature in the image": (
        "vdev.initial-status",
        lambda: field("vdev[0].gfeatures", 0),
        lambda: field("vdev[0].gfeatures", 1),
    ),
    "a vdev's id next to the vrings'": (
        "vdev.notifyid-collision",
        lambda: field("vdev[0].notifyid", 2, Profile.OPENAMP),
        lambda: field("vdev[0].notifyid", 1, Profile.OPENAMP),
    ),
    "ANY for a vdev and a vring": (
        "vdev.notifyid-collision",
        lambda: (
            run(
                entries=vdev(notifyid=ANY),
                patch=lambda t: t.patched("vdev[0].vring[1].notifyid", ANY),
                gives_up=True,
                profile=Profile.OPENAMP,
            ).findings
        ),
        lambda: (
            run(
                entries=vdev(notifyid=5),
                patch=lambda t: t.patched("vdev[0].vring[1].notifyid", 5),
                gives_up=True,
                profile=Profile.OPENAMP,
            ).findings
        ),
    ),
    "a table at a multiple of 4": (
        "table.misaligned",
        lambda: run(table_run=DA + 4).findings,
        lambda: run(table_run=DA + 2).findings,
    ),
    "a table for Linux at a multiple of 8": (
        "table.misaligned",
        lambda: run(table_run=DA + 8, profile=Profile.LINUX).findings,
        lambda: run(table_run=DA + 4, profile=Profile.LINUX).findings,
    ),
    "entries at multiples of 4": ("table.misaligned", lambda: table_of_bytes(4), lambda: table_of_bytes(1)),
    "two resets": ("core.resets", lambda: resets(2), lambda: resets(3)),
    "two answers and then none": (
        "endpoint.silent",
        lambda: run(pings=3, answers=2).findings,
        lambda: run(pings=4, answers=3).findings,
    ),
    "one buffer that is held": ("buffer.not-offered-again", lambda: keep(1), lambda: keep(2)),
    # images
    "a stack at a multiple of 8": (
        "vector.stack-misaligned",
        lambda: vectors(MAIN_RAM + 0x1008),
        lambda: vectors(MAIN_RAM + 0x1004),
    ),
    "a stack from the end of memory": (
        "vector.stack-outside-memory",
        lambda: vectors(MAIN_RAM + 0x2_0000),
        lambda: vectors(MAIN_RAM + 0x2_0008),
    ),
    "a stack in memory that can be written": (
        "vector.stack-outside-memory",
        lambda: vectors(MAIN_RAM + 8),
        lambda: vectors(FLASH + 0x1000),
    ),
    "a reset vector to the last instruction": (
        "vector.reset-outside-code",
        lambda: vectors(reset=FLASH + 15),
        lambda: vectors(reset=FLASH + 17),
    ),
    "a vector table of two words": (
        "vector.missing",
        lambda: static(main=[Piece(FLASH, struct.pack("<II", MAIN_RAM + 0x1000, FLASH + 1), section=".isr_vector")]),
        lambda: static(
            main=[Piece(FLASH, struct.pack("<II", MAIN_RAM + 0x1000, FLASH + 1)[:7], section=".isr_vector")]
        ),
    ),
    "images side by side": (
        "elf.images-overlap",
        lambda: static(main=[code(FLASH, MAIN_RAM + 0x1000), Piece(FLASH + 0x10_0000 - 64, b"\1" * 64)]),
        lambda: static(main=[code(FLASH, MAIN_RAM + 0x1000), Piece(FLASH + 0x10_0000 - 64, b"\1" * 65)]),
    ),
    "a segment at the end of memory": (
        "elf.segment-outside-memory",
        lambda: static(main=[code(FLASH, MAIN_RAM + 0x1000), Piece(FLASH + 0x20_0000 - 64, b"\1" * 64)]),
        lambda: static(main=[code(FLASH, MAIN_RAM + 0x1000), Piece(FLASH + 0x20_0000 - 64, b"\1" * 65)]),
    ),
    "a section behind the stack": (
        "vector.stack-in-use",
        lambda: image_of_stack(Piece(FLASH + 0x3000, b"\1" * 64, MAIN_RAM + 0x1000, section=".data")),
        lambda: image_of_stack(Piece(FLASH + 0x3000, b"\1" * 64, MAIN_RAM + 0xFFF, section=".data")),
    ),
    # places
    "a ring at the end of its carveout": (
        "vring.outside-carveout",
        lambda: ring_at(lambda _: BLOCK + CARVEOUT_SIZE - RING),
        lambda: ring_at(lambda _: BLOCK + CARVEOUT_SIZE - RING + 1),
    ),
    "a ring at the start of its carveout": (
        "vring.outside-carveout",
        lambda: run(ring_at=lambda i, pa: BLOCK if i else pa + 0x2800).findings,
        lambda: run(ring_at=lambda i, pa: BLOCK - 1 if i else pa + 0x2800).findings,
    ),
    "a ring right behind another": (
        "vring.overlap",
        lambda: ring_at(lambda _: BLOCK + RING),
        lambda: ring_at(lambda _: BLOCK + RING - 1),
    ),
    "a ring at the end of shared memory": (
        "vring.outside-memory",
        lambda: placed(DA + 0x800, DA + SIZE - RING),
        lambda: placed(DA + 0x800, DA + SIZE - RING + 1),
    ),
    "a ring of which both cores have all": (
        "vring.one-core-only",
        lambda: placed(DA + 0x800, DA + SIZE - RING),
        lambda: placed(DA + 0x800, REMOTE_RAM + 0x800),
    ),
    "a carveout right behind another": (
        "carveout.overlap",
        lambda: run(entries=[*default_entries(), Carveout(da=DA + CARVEOUT + CARVEOUT_SIZE, len=16)]).findings,
        lambda: run(entries=[*default_entries(), Carveout(da=DA + CARVEOUT + CARVEOUT_SIZE - 1, len=16)]).findings,
    ),
    "a carveout at the end of shared memory": (
        "carveout.outside-memory",
        lambda: run(entries=carveout_of(len=SIZE - CARVEOUT)).findings,
        lambda: run(entries=carveout_of(len=SIZE - CARVEOUT + 1)).findings,
    ),
    "a trace at the end of shared memory": (
        "trace.outside-memory",
        lambda: run(entries=trace_of(da=DA + SIZE - 0x400)).findings,
        lambda: run(entries=trace_of(da=DA + SIZE - 0x3FF)).findings,
    ),
    "a buffer at the end of the carveout": (
        "buffer.outside-carveout",
        lambda: run(buffer_at=lambda i, pa: BLOCK + CARVEOUT_SIZE - BUFFER if i == 0 else pa).findings,
        lambda: run(buffer_at=lambda i, pa: BLOCK + CARVEOUT_SIZE - BUFFER + 1 if i == 0 else pa).findings,
    ),
    "a buffer right behind another": (
        "buffer.overlap",
        lambda: run(buffer_at=lambda i, pa: pa).findings,
        lambda: run(buffer_at=lambda i, pa: pa - 1 if i == 1 else pa).findings,
    ),
    "a buffer right behind a ring": (
        "buffer.overlaps-ring",
        lambda: run(buffer_at=lambda i, pa: BLOCK + 240 + RING if i == 7 else pa).findings,
        lambda: run(buffer_at=lambda i, pa: BLOCK + 240 + RING - 1 if i == 7 else pa).findings,
    ),
    # time and counts
    "a handler that is busy for less than 10 ms": (
        "core.never-returned",
        lambda: stays_in_a_handler(REST_NS - 1),
        lambda: stays_in_a_handler(REST_NS),
    ),
    "less than 10 ms of rest": (
        "buffer.not-returned",
        lambda: run(device_returns=False, rest_ns=REST_NS - 1).findings,
        lambda: run(device_returns=False, rest_ns=REST_NS).findings,
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_is_just_allowed_passes_and_one_more_does_not(name: str) -> None:
    rule, within, beyond = LIMITS[name]
    assert rule not in {each.rule for each in within()}
    assert rule in {each.rule for each in beyond()}
