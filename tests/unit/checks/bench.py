"""A board made of bytearrays: two cores, memory with aliases, and a driver and a device in Python that come up on it.

Either core drives. Main places the rings in any case, as RPTUN's master does, and descriptors hold addresses of the
remote. A test breaks one thing of a :class:`Script` and looks at what the checks say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Extent
from orchestrator.checks.finding import Finding
from orchestrator.checks.verdict import Verdict, judge
from orchestrator.events import (
    Access,
    Accessed,
    Changed,
    CoreState,
    DataCache,
    Detail,
    Event,
    Frame,
    NotificationIgnored,
    NotificationSent,
    NotificationTaken,
    StateChanged,
    Waiting,
)
from orchestrator.formats.elf import Image, parse_elf
from orchestrator.formats.locator import TableLocator
from orchestrator.formats.resource_entry import ANY, Carveout, Entry, Profile, Trace, Vdev, VdevHeader, VdevRole, Vring
from orchestrator.formats.resource_table import Table, build_table
from orchestrator.observe.observer import ObserveOptions, Observer
from orchestrator.observe.run import Cut
from orchestrator.platform.model import (
    Core,
    MailboxDrive,
    MailboxStep,
    Peripheral,
    Platform,
    Region,
    Registration,
)

default_driver = "main"  # role that drives the vdevs of a script that does not say; a fixture changes it
default_cut = Cut.BY_NOBODY  # who cuts the run of a script short that does not say
default_rest_ns = 60_000_000  # how long nothing happens at its end
TURN_NS = 20_000
MAIN, REMOTE = "cpu_main", "cpu_remote"
PA, DA, SIZE = 0x3004_0000, 0x1004_0000, 0x2_0000
FLASH = 0x0800_0000
HSEM = 0x5802_6400
MAIN_RAM, REMOTE_RAM = 0x2000_0000, 0x1800_0000
TRACE, CARVEOUT = 0x400, 0x1000
CARVEOUT_SIZE = 0x3000
BUFFER = 512
INDIRECT = PA + 0x1_C000  # where a driver keeps the tables of its indirect descriptors
NEXT, WRITE, IS_INDIRECT = 1, 2, 4

PLATFORM = Platform(
    name="bench",
    path=Path("bench.repl"),
    cores=(
        Core(MAIN, "cortex-m7", "nvic_main", 0, FLASH, 100, held=False),
        Core(REMOTE, "cortex-m4f", "nvic_remote", 1, FLASH + 0x10_0000, 100, held=False),
    ),
    regions=(
        Region("flash", 0x20_0000, (Registration(FLASH),), writable=False, fill=0xFF),
        Region("main_ram", 0x2_0000, (Registration(MAIN_RAM, MAIN),)),
        Region("remote_ram", 0x2_0000, (Registration(REMOTE_RAM, REMOTE),)),
        Region("shared", SIZE, (Registration(PA), Registration(DA, REMOTE))),
    ),
    peripherals=(Peripheral("hsem", "Python.PythonPeripheral", (Registration(HSEM),), size=0x400),),
    roles={"main": MAIN, "remote": REMOTE},
    consoles={MAIN: "uart_main", REMOTE: "uart_remote"},
    drives=tuple(
        MailboxDrive(
            "hsem",
            core,
            channels=32,
            enabled=None,
            enable=(),
            clear=(),
            ring=(MailboxStep(0x80, writes=False, stride=4), MailboxStep(0, writes=True, stride=4, value=number)),
        )
        for core, number in ((MAIN, 0x300), (REMOTE, 0x100))
    ),
)


class Store:
    """The bytes of all regions, once."""

    def __init__(self) -> None:
        self.bytes = {region.name: bytearray([region.fill]) * region.size for region in PLATFORM.regions}


class CoreMemory:
    """What one core sees of them."""

    def __init__(self, store: Store, core: str) -> None:
        self.view = core
        self._store = store

    def _slice(self, address: int, size: int) -> tuple[bytearray, slice]:
        for region in PLATFORM.regions:
            for extent in region.extents(self.view):
                if Extent(address, size) in extent:
                    offset = address - extent.start
                    return self._store.bytes[region.name], slice(offset, offset + size)
        raise TranslationError("no memory", where=f"{self.view} at {address:#010x}")

    def read(self, address: int, size: int) -> bytes:
        data, where = self._slice(address, size)
        return bytes(data[where])

    def write(self, address: int, data: bytes) -> None:
        store, where = self._slice(address, len(data))
        store[where] = data


@dataclass(frozen=True)
class Piece:
    """A loadable segment of an image to be built."""

    load: int
    data: bytes
    run: int | None = None
    flags: int = 5
    section: str = ""
    loaded: bool = True


def make_elf(name: str, pieces: list[Piece]) -> Image:
    """A 32-bit Arm ELF file with these segments, and a section for each piece that has a section's name."""
    loaded = [piece for piece in pieces if piece.loaded]
    named = [piece for piece in pieces if piece.section]
    names = b"\0" + b"".join(piece.section.encode() + b"\0" for piece in named) + b".shstrtab\0"
    body_at = 52 + 32 * len(loaded)
    body, offsets = b"", {}
    for piece in pieces:
        offsets[id(piece)] = body_at + len(body)
        body += piece.data
    names_at = body_at + len(body)
    sections_at = names_at + len(names)
    sections = bytes(40)
    for piece in named:
        run = piece.load if piece.run is None else piece.run
        at = names.index(piece.section.encode())
        sections += struct.pack("<10I", at, 1, 2, run, offsets[id(piece)], len(piece.data), 0, 0, 4, 0)
    at = names.index(b".shstrtab")
    sections += struct.pack("<10I", at, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    count = 2 + len(named)
    ident = b"\x7fELF\x01\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<2H5I6H", 2, 40, 1, loaded[0].load | 1, 52, sections_at, 0x0500_0000, 52, 32, len(loaded), 40, count, count - 1
    )
    programs = b"".join(
        struct.pack(
            "<8I", 1, offsets[id(p)], p.load if p.run is None else p.run, p.load, len(p.data), len(p.data), p.flags, 4
        )
        for p in loaded
    )
    return parse_elf(header + programs + body + names + sections, path=Path(name), name=name)


def code(load: int, stack: int, reset: int | None = None) -> Piece:
    """A vector table and a little code."""
    entry = load + 8 | 1 if reset is None else reset
    return Piece(load, struct.pack("<II", stack, entry) + b"\xfe\xe7" * 4, section=".isr_vector")


def default_entries(vdevs: int = 1, **vring: int) -> list[Entry]:
    """A trace buffer, and for each vdev a carveout and an RPMsg device with two dynamic vrings."""
    entries: list[Entry] = [Trace(da=DA + TRACE, len=0x400, name=b"trace0")]
    for i in range(vdevs):
        rings = [Vring(**{"da": ANY, "align": 16, "num": 8, "notifyid": 2 * i + j, **vring}) for j in range(2)]
        head = VdevHeader(id=7, notifyid=2 * vdevs + i, dfeatures=5)
        config = struct.pack("<II", BUFFER, BUFFER) + bytes(56)
        entries.append(Vdev.of(head, rings, config))
        entries.append(Carveout(da=DA + CARVEOUT + i * CARVEOUT_SIZE, len=CARVEOUT_SIZE, name=b"vdev%dbuffer" % i))
    return entries


def used_offset(num: int, align: int) -> int:
    return (16 * num + 6 + 2 * num + align - 1) & ~(align - 1)


@dataclass
class Ring:
    """One side's idea of where a queue is, in its own addresses."""

    memory: CoreMemory
    base: int
    num: int
    align: int
    posted: int = 0
    seen: int = 0

    @property
    def avail(self) -> int:
        return self.base + 16 * self.num

    @property
    def used(self) -> int:
        return self.base + used_offset(self.num, self.align)

    @property
    def size(self) -> int:
        return used_offset(self.num, self.align) + 6 + 8 * self.num

    def half(self, address: int, value: int | None = None) -> int:
        if value is not None:
            self.memory.write(address, struct.pack("<H", value & 0xFFFF))
        return int(struct.unpack("<H", self.memory.read(address, 2))[0])

    def clear(self) -> None:
        self.memory.write(self.base, bytes(self.size))

    def desc(self, index: int, addr: int, length: int, flags: int = 0, next_: int = 0) -> None:
        self.memory.write(self.base + 16 * index, struct.pack("<QIHH", addr, length, flags, next_))

    def offer(self, head: int) -> None:
        self.half(self.avail + 4 + 2 * (self.posted % self.num), head)
        self.posted += 1
        self.half(self.avail + 2, self.posted)

    def offered(self) -> int | None:
        if self.seen == self.half(self.avail + 2):
            return None
        self.seen += 1
        return self.half(self.avail + 4 + 2 * ((self.seen - 1) % self.num))

    def give_back(self, head: int, length: int = 0) -> None:
        slot = self.used + 4 + 8 * (self.posted % self.num)
        self.memory.write(slot, struct.pack("<II", head, length))
        self.posted += 1
        self.half(self.used + 2, self.posted)

    def given_back(self) -> int | None:
        if self.seen == self.half(self.used + 2):
            return None
        self.seen += 1
        return int(struct.unpack("<I", self.memory.read(self.used + 4 + 8 * ((self.seen - 1) % self.num), 4))[0])


def message(src: int, dst: int, payload: bytes) -> bytes:
    return struct.pack("<IIIHH", src, dst, 0, len(payload), 0) + payload


ANNOUNCEMENT = message(1024, 53, b"echo".ljust(32, b"\0") + struct.pack("<II", 1024, 0))


@dataclass
class Script:
    """What the firmware of both cores does; the default comes up and exchanges a ping."""

    entries: list[Entry] = field(default_factory=default_entries)
    patch: Callable[[Table], bytes] | None = None
    copies_table: bool = True
    table_at_run_time: bool = False
    table_loaded: bool = True
    main_code: Piece = field(default_factory=lambda: code(FLASH, MAIN_RAM + 0x2_0000))
    remote_code: Piece = field(default_factory=lambda: code(FLASH + 0x10_0000, REMOTE_RAM + 0x2_0000))
    table_run: int = DA
    starts_rings: bool = True
    sets_driver_ok: bool = True
    gives_up: bool = False
    driver_align: int | None = None
    device_align: int | None = None
    ring_at: Callable[[int, int], int] | None = None  # ring index, main's choice -> main's choice
    to_da: Callable[[int], int] = lambda pa: pa - PA + DA
    buffer_da: Callable[[int], int] | None = None
    from_descriptor: Callable[[int], int] = lambda address: address  # what the device takes a buffer's address for
    transmit_flags: int = 0
    receive_flags: int = WRITE
    cuts: tuple[int, ...] = ()  # where a message is cut into buffers of their own, in bytes from its start
    is_indirect: bool = False
    buffers: int | None = None  # on each queue; None: as many as it has room for
    buffer_at: Callable[[int, int], int] | None = None  # index, main's choice -> main's choice
    driver: str = field(default_factory=lambda: default_driver)  # role
    cut: Cut = field(default_factory=lambda: default_cut)
    driver_channel: int | None = None  # None: the one that the device listens to
    device_channel: int | None = None
    main_rings: bool = True
    remote_rings: bool = True
    device_sees: bool = True
    device_takes: bool = True
    device_returns: bool = True
    tells_looks: bool = True  # that a side reads the index of the other one
    announcement: bytes = ANNOUNCEMENT  # empty: none
    answers: int = 1 << 30  # messages that are answered; those after them are taken and returned
    ping_to: int = 1024
    ping: bytes = b"ping"
    pings: int = 3
    accepts: int = 0x15  # features that the driver knows: NS, BUFSZ, BUFADDR
    after: Callable[[Bench], None] | None = None
    before_rings: Callable[[Bench], None] | None = None
    profile: Profile | None = None
    locator: TableLocator | None = None
    states: Mapping[str, CoreState] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    exceptions: Mapping[str, int] = field(default_factory=dict)
    caches: Mapping[str, DataCache] = field(default_factory=dict)
    remote_alive: bool = True
    main_alive: bool = True
    rest_ns: int = field(default_factory=lambda: default_rest_ns)


@dataclass
class Queues:
    """Rings of one vdev as one side sees them."""

    rings: list[Ring]
    buffers: list[int] = field(default_factory=list)  # main's addresses of the transmit buffers
    sent: int = 0
    returned: int = 0
    answered: int = 0


class Bench:
    """Runs a script, turn by turn, and feeds an observer."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.store = Store()
        self.main = CoreMemory(self.store, MAIN)
        self.remote = CoreMemory(self.store, REMOTE)
        self.driver, self.device = (MAIN, REMOTE) if script.driver == "main" else (REMOTE, MAIN)
        self.watches: dict[str, tuple[str, Extent]] = {}
        self.time_ns = 0
        self.pending: dict[str, list[int]] = {MAIN: [], REMOTE: []}
        self.events: list[Event] = []
        table = build_table(
            [self._driven(each) for each in script.entries], view="remote.elf", address=script.table_run
        )
        self.table_bytes = script.patch(table) if script.patch else table.encode()
        self.images = self._images()
        options = ObserveOptions(profile=script.profile, locator=script.locator)
        self.observer = Observer(
            PLATFORM, self.images, {MAIN: self.main, REMOTE: self.remote}, options, self, accesses=self
        )

    def _images(self) -> dict[str, Image]:
        script = self.script
        remote = [script.remote_code]
        if not script.table_at_run_time:
            load = FLASH + 0x10_1000
            piece = Piece(load, self.table_bytes, script.table_run, 4, ".resource_table", script.table_loaded)
            remote.append(piece)
        return {"main": make_elf("main.elf", [script.main_code]), "remote": make_elf("remote.elf", remote)}

    def _driven(self, entry: Entry) -> Entry:
        """A vdev says which side the table's reader, main, plays."""
        if not isinstance(entry, Vdev) or self.driver == MAIN:
            return entry
        return replace(entry, head=replace(entry.head, reserved=(VdevRole.DEVICE, 0)))

    def memory(self, core: str) -> CoreMemory:
        return self.main if core == MAIN else self.remote

    def seen_by(self, core: str, address: int) -> int:
        """An address of shared memory, by any of its names, as a core says it."""
        for base in (PA, DA):
            if base <= address < base + SIZE:
                return address - base + (PA if core == MAIN else DA)
        return address

    def write(self, core: str, address: int, data: bytes) -> None:
        """Write shared memory as a core does."""
        self.memory(core).write(self.seen_by(core, address), data)

    # the engine's part

    def watch(self, name: str, core: str, extent: Extent) -> None:
        assert self.memory(core).read(extent.start, extent.size)
        self.watches[name] = core, extent

    def unwatch(self, name: str) -> None:
        del self.watches[name]

    def observe(self, name: str, core: str, extent: Extent, *, merge: bool = False) -> frozenset[str]:
        """Accesses are told where a script makes them (:meth:`access`), and of both cores."""
        assert self.memory(core).read(extent.start, extent.size)
        return frozenset((MAIN, REMOTE))

    def unobserve(self, name: str) -> None:
        pass

    def access(
        self, core: str, address: int, size: int, *, before: int | None = None, value: int | None = None
    ) -> None:
        """An access that an engine has told: a write where there is a value, else a read."""
        self.access_at(core, self.seen_by(core, address), size, before=before, value=value)

    def access_at(self, core: str, at: int, size: int, *, before: int | None = None, value: int | None = None) -> None:
        """The same, by this very address of the core's."""
        self.time_ns += 10
        record = Access(
            self.time_ns, self.time_ns, FLASH + 0x100, at, size, 1, value is not None, False, value or 0, before or 0
        )
        self.emit(core, Accessed.of([record]))

    def look(self, core: str, address: int) -> None:
        """A side reads the index of the other one."""
        if self.script.tells_looks:
            self.access(core, address, 2)

    def emit(self, core: str, detail: Detail) -> None:
        event = Event(self.time_ns, core, detail)
        self.events.append(event)
        self.observer.on_event(event)

    def _bytes(self, name: str) -> bytes:
        core, extent = self.watches[name]
        return self.memory(core).read(extent.start, extent.size)

    def turn(self, core: str, act: Callable[[], None]) -> None:
        """One turn of a core: it takes what was sent to it, acts, and what it changed is seen at the end."""
        before = {name: self._bytes(name) for name in self.watches}
        channels = tuple(sorted(set(self.pending[core])))
        if channels:
            self.pending[core].clear()
            self.emit(core, NotificationTaken("hsem", channels, 125))
        self.time_ns += TURN_NS // 2
        act()
        self.time_ns += TURN_NS // 2
        for name, data in before.items():
            if name in self.watches and len(data) == self.watches[name][1].size and self._bytes(name) != data:
                self.emit(core, Changed(name))

    def ring(self, core: str) -> None:
        """Notify the other core."""
        script = self.script
        other = REMOTE if core == MAIN else MAIN
        listened = 0 if core == MAIN else 1
        given = script.driver_channel if core == self.driver else script.device_channel
        channel = listened if given is None else given
        if not (script.main_rings if core == MAIN else script.remote_rings):
            return
        if channel != listened:
            self.emit(core, NotificationIgnored("hsem", other, channel))
            return
        self.emit(core, NotificationSent("hsem", other, channel, 125, rising=True))
        if other != self.device or script.device_takes:
            self.pending[other].append(channel)

    # the firmware's part

    def table(self) -> Table:
        found = self.observer.live.table
        assert found is not None
        return found

    def poke(self, path: str, value: int) -> None:
        """Write a field of the table as main does."""
        field_ = self.observer.live.table.field(path) if self.observer.live.table else None
        assert field_ is not None
        size = 1 if path.rsplit(".", maxsplit=1)[-1] in ("status",) else 4
        self.main.write(field_.at.address, value.to_bytes(size, "little"))

    def run(self) -> Verdict:
        script = self.script
        for core in (MAIN, REMOTE):
            self.emit(core, StateChanged(CoreState.RUNNING, "power-on"))
        if script.remote_alive:
            self.turn(REMOTE, self._publish)
            self.emit(REMOTE, StateChanged(CoreState.SLEEPING, "WFI"))
        live = self.observer.live
        if live.is_as_declared and script.main_alive and script.starts_rings and script.remote_alive:
            self._bring_up()
        elif script.main_alive:
            self.emit(MAIN, StateChanged(CoreState.SLEEPING, "WFI"))
        if script.after is not None:
            script.after(self)
        self.time_ns += script.rest_ns
        states = {MAIN: CoreState.SLEEPING, REMOTE: CoreState.SLEEPING, **script.states}
        backtraces = {core: (Frame(FLASH + 0x40, "idle+0x4"), Frame(FLASH + 0x20, "main")) for core in states}
        seen = (states, backtraces, script.waiting, script.exceptions)
        self.observer.finish(self.time_ns, "quiet", *seen, caches=script.caches, cut=script.cut)
        return judge(self.observer)

    def _publish(self) -> None:
        if self.script.copies_table:
            self.remote.write(self.script.table_run, self.table_bytes)
        self.ring(REMOTE)

    def _bring_up(self) -> None:
        script = self.script
        table = self.table()
        if script.before_rings:
            self.turn(MAIN, lambda: script.before_rings and script.before_rings(self))
        sides = [Queues([]) for _ in table.vdevs]

        def place() -> None:
            for i, located in enumerate(table.vdevs):
                self._place_vdev(i, located.value, table, sides[i])
            if self.driver != MAIN:
                self.ring(MAIN)

        def start() -> None:
            for i, located in enumerate(table.vdevs):
                self._start_vdev(i, located.value, sides[i])
            self.ring(self.driver)

        if self.driver == MAIN:
            self.turn(MAIN, lambda: (place(), start()))
        else:
            self.turn(MAIN, place)
            self.turn(REMOTE, start)
        self.emit(MAIN, StateChanged(CoreState.SLEEPING, "WFI"))
        devices = [self._device(i) for i in range(len(sides))]
        if script.gives_up or not script.sets_driver_ok:
            return
        if self.pending[self.device] and not script.device_sees:
            self.turn(self.device, lambda: None)
            return
        if self.pending[self.device]:
            self.turn(self.device, lambda: self.announce(devices, script.announcement))
        for _ in range(script.pings):
            if self.pending[self.driver]:
                self.turn(self.driver, lambda: self.driver_poll(sides))
            if self.pending[self.device]:
                self.turn(self.device, lambda: self.device_poll(devices))
        if self.pending[self.driver]:
            self.turn(self.driver, lambda: self.driver_poll(sides, ping=False))
        self.sides, self.devices = sides, devices

    def _place_vdev(self, index: int, vdev: Vdev, table: Table, side: Queues) -> None:
        """Main's part: rings and buffers get their memory."""
        script = self.script
        if script.gives_up:
            return
        carveouts = table.carveouts
        carveout = carveouts[index].value if index < len(carveouts) else Carveout(da=DA + CARVEOUT, len=CARVEOUT_SIZE)
        at = carveout.da - DA + PA if DA <= carveout.da < DA + SIZE else PA + CARVEOUT
        for i, entry in enumerate(vdev.vrings[:2]):
            ring = Ring(self.memory(self.driver), at, entry.num, script.driver_align or entry.align)
            if not entry.is_dynamic:
                ring.base = entry.da
            elif script.ring_at:
                ring.base = script.ring_at(i, at)
            if entry.is_dynamic:
                at = (at + ring.size + 15) & ~15
                self.poke(f"vdev[{index}].vring[{i}].da", script.to_da(ring.base))
            ring.base = self.seen_by(self.driver, ring.base)
            side.rings.append(ring)
        at = (at + 15) & ~15
        count = self._chains(vdev.vrings[0].num) if vdev.vrings else 0
        side.buffers = [at + BUFFER * i for i in range(2 * count)]
        if script.buffer_at:
            side.buffers = [script.buffer_at(i, pa) for i, pa in enumerate(side.buffers)]

    def _start_vdev(self, index: int, vdev: Vdev, side: Queues) -> None:
        """The driver's part: features, empty buffers, DRIVER_OK."""
        script, name = self.script, f"vdev[{index}]"
        self.poke(f"{name}.status", 3)
        self.poke(f"{name}.gfeatures", vdev.head.dfeatures & script.accepts)
        if script.gives_up:
            return
        for ring in side.rings:
            ring.clear()
        if side.rings:
            count = len(side.buffers) // 2
            for i, pa in enumerate(side.buffers[:count]):
                head = self._describe(side, 0, i, pa, BUFFER)
                side.rings[0].offer(head)
            side.buffers = side.buffers[count:]
            if len(side.rings) > 1:
                side.rings[1].half(side.rings[1].avail, 1)
        if script.sets_driver_ok:
            self.poke(f"{name}.status", 7)

    def _chains(self, num: int) -> int:
        """Buffers that the driver has on a queue of so many entries."""
        room = num if self.script.is_indirect else num // (len(self.script.cuts) + 1)
        return room if self.script.buffers is None else min(room, self.script.buffers)

    def pieces_of(self, pa: int, length: int) -> list[tuple[int, int]]:
        """Address and size of the buffers in which a message of this length stands: cut, the last piece first."""
        cuts = [0, *(cut for cut in self.script.cuts if cut < length), length]
        return [(pa + length - end, end - start) for start, end in pairwise(cuts)]

    def _describe(self, side: Queues, queue: int, index: int, pa: int, length: int) -> int:
        """Write the descriptors of one message or of the room for one; its head."""
        script, ring = self.script, side.rings[queue]
        to_da = script.buffer_da or script.to_da
        flags = script.transmit_flags if queue else script.receive_flags
        pieces = [(to_da(at), size) for at, size in self.pieces_of(pa, length)]
        first = 0 if script.is_indirect else index * (len(script.cuts) + 1)
        words = [
            (at, size, flags | (NEXT if i < len(pieces) - 1 else 0), first + i + 1)
            for i, (at, size) in enumerate(pieces)
        ]
        if not script.is_indirect:
            for i, each in enumerate(words):
                ring.desc(first + i, *each)
            return first
        table = INDIRECT + 0x1000 * queue + 64 * index
        self.write(self.driver, table, b"".join(struct.pack("<QIHH", *each) for each in words))
        ring.desc(index, to_da(table), 16 * len(words), IS_INDIRECT)
        return index

    def _device(self, index: int) -> Queues:
        side = Queues([])
        table = self.observer.live.table
        if table is None:
            return side
        for entry in table.vdevs[index].value.vrings[:2]:
            if not entry.is_dynamic:
                base = self.seen_by(self.device, entry.da) if self.device == MAIN else entry.da
                align = self.script.device_align or entry.align
                side.rings.append(Ring(self.memory(self.device), base, entry.num, align))
        return side

    def _buffer_of(self, address: int) -> int:
        """Where the device looks for a buffer that a descriptor names: main translates, the remote does not."""
        found = self.script.from_descriptor(address)
        return self.seen_by(MAIN, found) if self.device == MAIN else found

    def _pieces_at(self, ring: Ring, head: int) -> list[tuple[int, int]]:
        """Address and size of the buffers of a chain, as the device finds them."""
        found: list[tuple[int, int]] = []
        table, index = ring.base, head
        while True:
            address, length, flags, next_ = struct.unpack("<QIHH", ring.memory.read(table + 16 * index, 16))
            if flags & IS_INDIRECT:
                table, index = self._buffer_of(address), 0
                continue
            found.append((self._buffer_of(address), length))
            if not flags & NEXT:
                return found
            index = next_

    def device_send(self, device: Queues, data: bytes) -> None:
        ring = device.rings[0]
        head = ring.offered()
        if head is None:
            return
        left = data
        try:
            for address, size in self._pieces_at(ring, head):
                ring.memory.write(address, left[:size])
                left = left[size:]
        except TranslationError:
            return
        ring.give_back(head, len(data))

    def announce(self, devices: list[Queues], announcement: bytes) -> None:
        for number, device in enumerate(devices):
            found = self.observer.live.table
            status = found.field(f"vdev[{number}].status") if found else None
            if status is not None:
                self.look(self.device, self.seen_by(self.device, status.at.address))
            if device.rings:
                device.rings[0].half(device.rings[0].used, 1)
                if announcement:
                    self.device_send(device, announcement)
        if announcement:
            self.ring(self.device)

    def device_poll(self, devices: list[Queues]) -> None:
        for device in devices:
            ring = device.rings[1]
            self.look(self.device, ring.avail + 2)
            while (head := ring.offered()) is not None:
                try:
                    data = b"".join(ring.memory.read(*piece) for piece in self._pieces_at(ring, head))
                except TranslationError:
                    return
                src, dst = struct.unpack_from("<II", data)
                if device.answered < self.script.answers:
                    self.device_send(device, message(dst, src, data[16:]))
                    device.answered += 1
                if self.script.device_returns:
                    ring.give_back(head)
        self.ring(self.device)

    def driver_send(self, side: Queues, data: bytes) -> None:
        index = side.sent % len(side.buffers)
        pa, left = side.buffers[index], data
        for address, size in self.pieces_of(pa, len(data)):
            self.write(self.driver, address, left[:size])
            left = left[size:]
        side.rings[1].offer(self._describe(side, 1, index, pa, len(data)))
        side.sent += 1

    def driver_poll(self, sides: list[Queues], *, ping: bool = True) -> None:
        acted = False
        for side in sides:
            self.look(self.driver, side.rings[0].used + 2)
            while (head := side.rings[0].given_back()) is not None:
                side.rings[0].offer(head)
                acted = True
            while len(side.rings) > 1 and side.rings[1].given_back() is not None:
                side.returned += 1
            if ping and acted and len(side.rings) > 1 and side.sent - side.returned < len(side.buffers):
                self.driver_send(side, message(1030, self.script.ping_to, self.script.ping))
        if acted and ping:
            self.ring(self.driver)


def run(**changes: object) -> Verdict:
    """The verdict on the default script with these changes."""
    return Bench(replace(Script(), **changes)).run()  # type: ignore[arg-type]  # a field each


def causes(verdict: Verdict) -> list[str]:
    """The rules of all causes."""
    return [each.finding.rule for each in verdict.causes]


def rules(findings: tuple[Finding, ...]) -> list[str]:
    return [each.rule for each in findings]
