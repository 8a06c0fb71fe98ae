"""Looking at a board that somebody else runs: where its memory and its table are to be had, once or twice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from orchestrator.attach.dumps import Dump, DumpedMemory
from orchestrator.attach.gdb import GdbAddress, GdbMemory
from orchestrator.attach.translated import Translated
from orchestrator.base.dataclass import dataclass
from orchestrator.base.durations import parse_duration
from orchestrator.base.errors import AttachError, TranslationError, UsageError
from orchestrator.base.files import read_text
from orchestrator.base.memory import BytesMemory, Extent, Memory
from orchestrator.base.roles import MAIN, ROLES, other_role
from orchestrator.board.images import checked_maps, load_images, parse_profile, parse_release
from orchestrator.checks.reading import Look, Subject, judge_look, not_applied
from orchestrator.checks.verdict import Verdict
from orchestrator.cli.failures import Clock
from orchestrator.config import Settings
from orchestrator.formats.elf import Image
from orchestrator.formats.locator import AUTO, LocatorKind, TableLocation, parse_locator
from orchestrator.formats.remoteproc_debugfs import parse_carveouts, parse_table_text
from orchestrator.formats.resource_entry import ANY
from orchestrator.formats.resource_table import Scan
from orchestrator.formats.translation import AddressRange
from orchestrator.observe.declared import DeclaredTable, declared_by_vrings, find_declared
from orchestrator.observe.given import parse_vrings
from orchestrator.observe.live import read_live, ring_layout
from orchestrator.observe.search import tables_in
from orchestrator.observe.views import Views
from orchestrator.platform import Platform
from orchestrator.platform.model import Core
from orchestrator.report.record import Reading, Record, record_of_reading

__all__ = ["Looker", "Wanted"]

_LONGEST_PAUSE_NS = 3_600_000_000_000
_DEFAULT_PAUSE_NS = 1_000_000_000  # where a board goes on by itself
_MOST_SEARCHED = 1 << 20  # bytes of a region, from its beginning, that are looked through for a table by way of gdb
_TABLE_FILE, _CARVEOUTS_FILE = "resource_table", "carveout_memories"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the memory of each core is to be had, by role, and how to look at it."""

    gdb: Mapping[str, GdbAddress]
    dumps: Mapping[str, tuple[Dump, ...]]
    debugfs: Path | None
    pause_ns: int | None  # None: look once
    patience_s: float

    @classmethod
    def of(
        cls, gdb: Sequence[str], dumps: Sequence[str], debugfs: str | None, twice: str | None, patience: str
    ) -> Wanted:
        """As typed; :class:`UsageError` says what makes no sense."""
        servers: dict[str, GdbAddress] = {}
        files: dict[str, tuple[Dump, ...]] = {}
        for text in gdb:
            role, rest = _by_role(text)
            address = GdbAddress.parse(rest)
            if role in servers or address in servers.values():
                expected = "one server for each core: main=HOST:PORT, remote=HOST:PORT"
                raise UsageError("a core or a server twice", where="--gdb", expected=expected, found=text)
            servers[role] = address
        for text in dumps:
            role, rest = _by_role(text)
            files[role] = (*files.get(role, ()), Dump.parse(rest))
        both = servers.keys() & files.keys()
        if both:
            found = f"--gdb and --memory for {' and '.join(sorted(both))}"
            raise UsageError("memory of a core from two places", expected="one of both for each core", found=found)
        if not servers and not files and debugfs is None:
            expected = "--gdb HOST:PORT, --memory FILE@ADDRESS or --debugfs DIR"
            raise UsageError("nothing to look at", expected=expected, advice="`rptwin run` boots firmware by itself")
        pause = _DEFAULT_PAUSE_NS if twice is None else parse_duration(twice, "--twice")
        if pause > _LONGEST_PAUSE_NS:
            raise UsageError("bad value", where="--twice", expected="at most an hour", found=repr(twice))
        looks_twice = pause > 0 and (twice is not None or bool(servers))
        waits = parse_duration(patience, "--patience")
        if not 0 < waits <= _LONGEST_PAUSE_NS:
            raise UsageError(
                "bad value", where="--patience", expected="more than zero, at most an hour", found=patience
            )
        return cls(
            servers, files, None if debugfs is None else Path(debugfs), pause if looks_twice else None, waits / 1e9
        )

    @property
    def inputs(self) -> list[Path]:
        """Files that are read."""
        return [each.path for dumps in self.dumps.values() for each in dumps] + list(self.debugfs_files)

    @property
    def debugfs_files(self) -> tuple[Path, ...]:
        """The table, and if there is one, the file that says where the carveouts are."""
        if self.debugfs is None:
            return ()
        if not self.debugfs.is_dir():
            return (self.debugfs,)
        carveouts = self.debugfs / _CARVEOUTS_FILE
        return self.debugfs / _TABLE_FILE, *((carveouts,) if carveouts.exists() else ())

    def sources(self) -> tuple[str, ...]:
        """In words."""
        texts = [f"{role} from gdb server {address}" for role, address in self.gdb.items()]
        texts += [f"{role} from {dump}" for role, dumps in self.dumps.items() for dump in dumps]
        return (*texts, *(f"table from {self.debugfs_files[0]}" for _ in self.debugfs_files[:1]))


def _by_role(text: str) -> tuple[str, str]:
    """``remote=...`` is of the remote; without a role it is of main."""
    role, equals, rest = text.partition("=")
    return (role, rest) if equals and role in ROLES else (MAIN, text)


@dataclass
class Looker:
    """Everything between the options and the record."""

    settings: Settings
    wanted: Wanted
    platform: Platform | None
    images: Mapping[str, Image] = field(init=False)
    maps: tuple[AddressRange, ...] = field(init=False)
    told: Scan | None = field(init=False, default=None)
    declared: DeclaredTable | None = field(init=False, default=None)  # once it is found
    notes: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        settings = self.settings
        self.images = load_images(settings.main, settings.remote) if settings.main or settings.remote else {}
        if self.platform is not None:
            self.maps = checked_maps(self.platform, settings.map)
        else:
            self.maps = tuple(AddressRange.parse(each) for each in settings.map)

    def record(self, clock: Clock) -> Record:
        """Look once or twice, and judge what was seen last."""
        pause = self.wanted.pause_ns
        before = None
        if pause is not None:
            with self._subject() as subject:
                before = self._look(subject)
            time.sleep(pause / 1e9)
        with self._subject() as subject:
            look = self._look(subject)
            moved = look.moved_since(before) if before is not None else {}
            still = before is not None and before.live.table == look.live.table and not any(map(any, moved.values()))
            verdict = self._judged(subject, look, pause if still and pause is not None else 0)
        reading = Reading(
            sources=self.wanted.sources(),
            looks=1 if before is None else 2,
            pause_ns=pause or 0,
            moved=moved,
            waiting=look.waiting(),
            left_out=not_applied(subject, at_rest=still),
            notes=tuple(dict.fromkeys(self.notes)),
            halted_s={f"{each.view} at {each.address}": each.halted_s for each in self._opened},
        )
        return record_of_reading(
            self.settings, self.platform or _unnamed_platform(), self.images, verdict, reading, clock.read()
        )

    def _judged(self, subject: Subject, look: Look, still_ns: int) -> Verdict:
        verdict = judge_look(subject, look, still_ns=still_ns)
        self._raise_failures()
        return verdict

    def _look(self, subject: Subject) -> Look:
        look = Look.at(subject)
        self._raise_failures()
        self._refuse_lacking(look, subject.views)
        return look

    def _raise_failures(self) -> None:
        """A peer that failed is no memory that is not there."""
        for each in self._opened:
            if each.failure is not None:
                raise each.failure

    # memory

    @contextlib.contextmanager
    def _subject(self) -> Iterator[Subject]:
        with contextlib.ExitStack() as stack:
            memories = self._memories(stack)
            maps = self._read_debugfs()
            views = self._views(memories, maps)
            declared = self._find(views, memories)
            if self.platform is None and not maps:
                views = self._views(memories, self._maps_of_the_table(views, declared))
            yield Subject(
                views,
                declared,
                self.images,
                parse_profile(self.settings.profile),
                parse_release(self.settings.nuttx_config),
                has_memory=bool(memories),
                is_partial=self.platform is None and bool(self.wanted.dumps),
            )

    def _memories(self, stack: contextlib.ExitStack) -> dict[str, Memory]:
        """Of the roles whose memory is to be had."""
        memories: dict[str, Memory] = {}
        self._opened: list[GdbMemory] = []
        for role, address in self.wanted.gdb.items():
            gdb = GdbMemory(self._view(role), address, self.wanted.patience_s, self._regions(role))
            self._opened.append(gdb)
            memories[role] = stack.enter_context(gdb)
        for role, dumps in self.wanted.dumps.items():
            memories[role] = DumpedMemory(self._view(role), [*dumps, *self._aliases(role, dumps)])
        return memories

    def _aliases(self, role: str, dumps: Sequence[Dump]) -> list[Dump]:
        """The same bytes by the other addresses that a core has for them."""
        if self.platform is None:
            return []
        core = self.platform.core(role).name
        return [
            Dump(each.path, at)
            for each in dumps
            for name, at in self.platform.aliases(core, each.address)
            if name == core and at != each.address
        ]

    def _view(self, role: str) -> str:
        return role if self.platform is None else self.platform.core(role).name

    def _regions(self, role: str) -> tuple[Extent, ...] | None:
        if self.platform is None:
            return None
        core = self.platform.core(role).name
        return tuple(extent for region in self.platform.regions for extent in region.extents(core))

    def _read_debugfs(self) -> tuple[AddressRange, ...]:
        """The table that a host shows; what was typed of addresses goes before what it says."""
        maps = self.maps
        for file, reads_table in zip(self.wanted.debugfs_files, (True, False), strict=False):
            try:
                text = read_text(file)
            except OSError as error:
                raise AttachError(f"cannot be read ({error.strerror})", where=str(file)) from None
            except UnicodeDecodeError:
                raise AttachError("not text", where=str(file), expected="what debugfs shows") from None
            if reads_table:
                self.told = Scan(parse_table_text(text, str(file)), ())
            else:
                maps += parse_carveouts(text, str(file))
        return maps

    def _views(self, memories: Mapping[str, Memory], maps: tuple[AddressRange, ...]) -> Views:
        environment = Views.of({}, self.platform, maps).environment
        both = dict(memories)
        for role in ROLES:
            if role not in both:
                other = memories.get(other_role(role)) or BytesMemory("nowhere", 0, b"")
                both[role] = Translated(role, self._view(role), other, environment)
        return Views(both, environment, self.platform)

    def _maps_of_the_table(self, views: Views, declared: DeclaredTable) -> tuple[AddressRange, ...]:
        """Where nobody says it: a table has main's addresses (pa) of carveouts and vrings beside the remote's."""
        table = read_live(views, declared).table
        if table is None:
            return ()
        pairs = [(each.value.pa, each.value.da, each.value.len, each.at.path) for each in table.carveouts]
        for vdev in table.vdevs:
            for index, ring in enumerate(vdev.value.vrings):
                layout = None if ring.is_dynamic else ring_layout(ring.da, ring.num, ring.align)
                size = layout.extent.size if layout is not None else 0
                pairs.append((ring.pa, ring.da, size, f"{vdev.at.path}.vring[{index}]"))
        found = [
            AddressRange(pa, da, size, path)
            for pa, da, size, path in pairs
            if pa not in (0, ANY) and da not in (0, ANY) and pa != da and 0 < size <= (1 << 32) - max(pa, da)
        ]
        if found:
            self.notes.append(f"Addresses are translated by the table's own pa: {'; '.join(map(str, found[:4]))}.")
        return tuple(found)

    # the table

    def _find(self, views: Views, memories: Mapping[str, Memory]) -> DeclaredTable:
        if self.declared is None:
            self.declared = self._found(views, memories)
        if self.told is not None:
            self.declared = DeclaredTable(None, None, self.declared.scan, self.declared.data, told=self.told)
        return self.declared

    def _found(self, views: Views, memories: Mapping[str, Memory]) -> DeclaredTable:
        vrings = parse_vrings(self.settings.vrings)
        if vrings:
            return declared_by_vrings(vrings)
        locator = None if self.settings.table is None else parse_locator(self.settings.table)
        if locator is not None and not self.images and locator.kind is not LocatorKind.ADDRESS:
            expected = "0xADDRESS, or the ELF file by --main or --remote"
            raise UsageError("no image to look in", where="--table", expected=expected, found=locator)
        if locator is not None or self.images:
            declared = find_declared(self.images, locator or AUTO)
            if declared.location is not None:
                return declared
            if locator is not None:
                raise declared.error or UsageError("no table", where="--table", found=locator)
        if self.told is not None:
            return DeclaredTable(None)
        return self._searched(views, memories)

    def _searched(self, views: Views, memories: Mapping[str, Memory]) -> DeclaredTable:
        """What reads as a table in the dumps, or in memory of the platform that both cores reach."""
        found: dict[int, str] = {}
        for role, memory in memories.items():
            for extent in self._places(role, memory, views):
                for address in tables_in(memory, extent):
                    found.setdefault(address if role == MAIN else _pa_of(views, address), role)
        self._raise_failures()
        if len(found) != 1:
            what = "what reads as a table stands at several places" if found else "no table found"
            expected = "--table [main:|remote:]0xADDRESS, or the ELF that has it (--remote ELF)"
            shown = ", ".join(f"main:{each:#010x}" for each in sorted(found)[:8]) or "nothing that reads as one"
            raise UsageError(what, expected=expected, found=shown)
        address, _ = found.popitem()
        location = TableLocation(MAIN, address, f"memory, where it was found at main:{address:#010x}")
        return DeclaredTable(location)

    def _places(self, role: str, memory: Memory, views: Views) -> list[Extent]:
        if isinstance(memory, DumpedMemory):
            return [each.load(role).extent for each in self.wanted.dumps[role]]
        if self.platform is None or role != MAIN:
            return []
        constant = {each.name for each in self.platform.regions if not each.writable}
        ranges = {each.name: each for each in reversed(views.environment.ranges) if each.name not in constant}
        return [Extent(each.pa, min(each.size, _MOST_SEARCHED)) for each in ranges.values()]

    def _refuse_lacking(self, look: Look, views: Views) -> None:
        """:class:`AttachError` where the dumps lack what the table leads to."""
        for role, dumps in self.wanted.dumps.items():
            have = [(each, each.load(role).extent) for each in [*dumps, *self._aliases(role, dumps)]]
            errors = look.live.scan.errors if look.live.scan is not None and role == look.live.role else ()
            cut = next((each for each in errors if each.rule == "table.outside-memory"), None)
            if cut is not None and look.live.table is not None:
                where = str(next((dump for dump, each in have if look.live.table.address in each), dumps[0]))
                raise AttachError("the dump is too short", where=where, expected="all of the table", found=cut)
            for name, extent in self._wanted(look, role, views):
                self._refuse_missing(role, name, extent, have)

    def _wanted(self, look: Look, role: str, views: Views) -> Iterator[tuple[str, Extent]]:
        """What has to be in memory of a core: the table, and each vring that has an address."""
        live = look.live
        location = live.declared.location
        extent = live.span.seen_by(role) if live.span is not None else None
        if extent is None and location is not None and location.role == role:
            extent = Extent(location.address, 16)
        if extent is not None:
            yield "the table", extent
        for ring in live.rings:
            extent = ring.span.seen_by(role) if ring.span is not None else None
            if extent is None and ring.layout is not None and self.platform is None and ring.has_address:
                extent = _as_seen_by(role, ring.layout.extent, views)
            if extent is not None:
                yield ring.path, extent

    def _refuse_missing(self, role: str, name: str, extent: Extent, dumps: list[tuple[Dump, Extent]]) -> None:
        missing = list(extent.gaps(each for _, each in dumps))
        if not missing:
            return
        begun = next((dump for dump, each in dumps if each.overlaps(extent)), None)
        expected = f"all of {name}, {extent} for {role}"
        if begun is not None:
            raise AttachError(
                "the dump is too short", where=str(begun), expected=expected, found=f"none of {missing[0]}"
            )
        advice = "dump that too" + ("" if self.platform else ", or say by --map or --platform where main has it")
        have = ", ".join(str(each) for _, each in dumps)
        raise AttachError("in no dump", where="--memory", expected=expected, found=have, advice=advice)


def _as_seen_by(role: str, extent: Extent, views: Views) -> Extent:
    """An extent of the remote, in the words of a core, as far as they are known."""
    if role == MAIN:
        with contextlib.suppress(TranslationError):
            return Extent(views.environment.da_to_pa(extent.start).address, extent.size)
    return extent


def _pa_of(views: Views, da: int) -> int:
    return views.span_at_da("table", da, 16).pa or da


def _unnamed_platform() -> Platform:
    cores = tuple(Core(role, "", "", index, 0, 1, False) for index, role in enumerate(ROLES))
    return Platform("board", Path(), cores, (), (), {role: role for role in ROLES}, {})
