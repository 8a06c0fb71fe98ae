"""Bugs of public projects as images of ours, each with its healthy twin, and the page that is made from judging them.

A row is a :class:`Bug`; its two cases are what :meth:`Case.findings` judges: :class:`Inspected`, an image that is not
booted, or :class:`Ran`, a pair of ``firmware/``. A new kind of case needs a ``name`` and ``findings``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.board import Board
from orchestrator.checks import Finding, Severity, check_static
from orchestrator.formats.elf import load_elf
from orchestrator.formats.resource_entry import Profile
from orchestrator.platform import load_platform
from support.table_images import IMAGES, build

__all__ = ["BUGS", "Bug", "Case", "Workplace", "judged", "page"]

PLATFORM = "stm32h745"


@dataclass(frozen=True)
class Workplace:
    """Where cases are built: a folder to write to, and the images of a firmware variant by its name."""

    folder: Path
    pair: Callable[[str], tuple[Path, Path]]
    patched: Callable[[str, str], tuple[Path, Path]]  # by a patch of ``faults/`` and a variant


class Case(Protocol):
    """Something that can be judged."""

    @property
    def name(self) -> str: ...

    def findings(self, place: Workplace) -> tuple[Finding, ...]: ...


@dataclass(frozen=True)
class Inspected:
    """A remote's image with a table (``images/tables.c``), judged without being booted."""

    shape: str
    definitions: tuple[str, ...] = ()
    profile: Profile | None = None
    script: tuple[tuple[str, str], ...] = ()  # what stands in the linker script, and what instead
    linked: str = ""  # how, in words, where the script is changed

    @property
    def name(self) -> str:
        profile = f", `--profile {self.profile}`" if self.profile else ""
        return f"image `{' '.join([self.shape, *self.definitions])}`{self.linked}{profile}"

    def findings(self, place: Workplace) -> tuple[Finding, ...]:
        script = (IMAGES / "tables.ld").read_text(encoding="utf-8")
        for old, new in self.script:
            assert old in script
            script = script.replace(old, new)
        image = load_elf(build(place.folder, self.shape, *self.definitions, script=script), name="remote.elf")
        return check_static({"remote": image}, load_platform(PLATFORM), self.profile)


@dataclass(frozen=True)
class Ran:
    """A pair of ``firmware/``, booted; ``coherence``: with main's data cache modelled."""

    variant: str
    coherence: str | None = None

    @property
    def name(self) -> str:
        return f"variant `{self.variant}`" + (f", `--coherence {self.coherence}`" if self.coherence else "")

    def findings(self, place: Workplace) -> tuple[Finding, ...]:
        main, remote = place.pair(self.variant)
        with Board(PLATFORM, main=main, remote=remote, coherence=self.coherence) as board:
            board.run()
            return board.verdict().findings


@dataclass(frozen=True)
class Patched:
    """A pair of ``firmware/`` with a patch of ``faults/``, booted."""

    patch: str
    timeout: str = "300 ms"

    @property
    def name(self) -> str:
        return f"patch `{self.patch}`"

    def findings(self, place: Workplace) -> tuple[Finding, ...]:
        main, remote = place.patched(self.patch, "demo")
        with Board(PLATFORM, main=main, remote=remote) as board:
            board.run(timeout=self.timeout)
            return board.verdict().findings


@dataclass(frozen=True)
class Restarted:
    """A remote that a host in Python starts, talks to, and starts again."""

    patch: str = ""

    @property
    def name(self) -> str:
        return (f"patch `{self.patch}`" if self.patch else "variant `demo`") + ", restarted"

    def findings(self, place: Workplace) -> tuple[Finding, ...]:
        _, remote = place.patched(self.patch, "demo") if self.patch else place.pair("demo")
        with Board(PLATFORM, remote=remote) as board:
            endpoint = board.host.endpoint("rptwin-echo")
            endpoint.send(b"before")
            assert endpoint.receive() == b"before"
            board.host.restart()
            board.run(timeout="100 ms")
            return board.verdict().findings


@dataclass(frozen=True)
class Bug:
    """A bug, the rule that names it, and the twin that is silent."""

    id: str
    wrong: str
    rule: str
    faulty: Case
    healthy: Case


NOT_LOADED = (
    (".resource_table TABLE : SUBALIGN(1)", ".resource_table 0 (INFO) :"),
    ("> SHARED :table", ":NONE"),
    ("table PT_LOAD FLAGS(6); ", ""),
)
AT_DTCM = (("CODE (rx) : ORIGIN = 0x08100000", "CODE (rx) : ORIGIN = 0x20000000"),)
PLACED = Inspected("ST_H7")
NUMBERED = Inspected("NUTTX")
BITMAP = Inspected("K3", ("OPENAMP", "VDEV_ID=31"), Profile.LINUX)
VENDOR = Inspected("IMX_DSP", ("VDEV_ID=31",), Profile.OPENAMP)
TWO_VDEVS = Inspected("IMX8QM", ("VDEV_ID=31",))
DEMO = Ran("demo")

BUGS = (
    Bug("B01", "second vring 2 bytes misaligned: a vring's size ends in a u16 (zephyr 46733)",
        "vring.part-misaligned", Inspected("ST_H7", ("DA1=0x10044002",)), PLACED),
    Bug("B02", "`align` taken for the address's alignment (zephyr PR 106994)",
        "ring.layout-disagreement", Ran("used-align"), DEMO),
    Bug("B03", "Linux numbers the vrings 0, 1; the vdev has 0 (open-amp 438)",
        "vdev.notifyid-collision", Inspected("K3", ("OPENAMP",), Profile.LINUX), BITMAP),
    Bug("B04", "the vring's id written into the vdev's (open-amp 314)",
        "vdev.notifyid-misplaced", Patched("notifyid-in-wrong-place"), Patched("notifyid-in-wrong-place.twin")),
    Bug("B05", "vring 0's notify id set twice, vring 1's never (nuttx PR 6902)",
        "vring.notifyid-not-unique", Inspected("NUTTX", ("ID1=0",)), NUMBERED),
    Bug("B06", "two vrings with one notify id (open-amp 386)",
        "vring.notifyid-not-unique", Ran("duplicate-notifyid"), DEMO),
    Bug("B06", "a notify id past the bitmap (open-amp PR 403)",
        "vring.notifyid-range", Inspected("ST_H7", ("ID1=32",)), PLACED),
    Bug("B07", "the number of entries cut to 16 bits (open-amp 399)",
        "vring.num-too-large", Inspected("ST_H7", ("NUM1=65536",)), PLACED),
    Bug("B08", "entries of types 6 to 127 skipped silently (open-amp 393)",
        "table.unknown-type", Inspected("IMX_DSP", ("VDEV_ID=31", "EXTRA_TYPE=77"), Profile.OPENAMP), VENDOR),
    Bug("B09", "a table of two vdevs is longer than its size says (nuttx 20183)",
        "table.truncated", Inspected("IMX8QM", ("VDEV_ID=31", "SECOND_VRINGS=3")), TWO_VDEVS),
    Bug("B10", "a vring's da of 0 treated differently from ANY (nuttx PR 11719)",
        "vring.unresolved", Patched("da-zero"), Patched("da-zero.twin")),
    Bug("B11", "memory that the other core has elsewhere, or not at all (zephyr 84168)",
        "buffer.unreachable-by-device", Ran("dtcm-desc"), DEMO),
    Bug("B12", "the vector table in memory that its core does not have there (STM32CubeH7 34)",
        "elf.segment-outside-memory",
        Inspected("ST_H7", script=AT_DTCM, linked=" at DTCM"), PLACED),
    Bug("B13", "`.resource_table` in no loaded segment (zephyr PR 102721, PR 44826)",
        "table.not-loaded", Inspected("ST_H7", script=NOT_LOADED, linked=" with its table in no segment"), PLACED),
    Bug("B14", "the host updates a copy that the remote never reads (zephyr PR 105778)",
        "table.second-copy", Patched("host-updates-a-copy"), DEMO),
    Bug("B15", "the remote waits for ever, its vrings still ANY (zephyr 69433)",
        "vring.unresolved", Ran("no-rings"), DEMO),
    Bug("B16", "the section found only where it is the first (optee_os 7694): here it is the last",
        "vring.num-zero", Inspected("ST_H7", ("NUM1=0",), linked=" (the fourth section)"), PLACED),
    Bug("B17", "what is linked elsewhere than it is loaded never gets there (open-amp 550, 552)",
        "table.not-copied", Ran("no-copy"), DEMO),
    Bug("B18", "an address of 64 bits cut to 32 (open-amp 418)",
        "table.address-past-end", Inspected("ST_H7", ("DA1=0xFFFFFF80",)), PLACED),
    Bug("B19", "F_CPUNAME with an empty config space (nuttx, imx9)",
        "vdev.features-without-config", Inspected("SUNXI", ("FEATURES=9",)), Inspected("SUNXI")),
    Bug("B19", "a trace filled in that offset[] does not lead to (nuttx, mx8mp)",
        "table.orphan-entry", Inspected("NUTTX", ("ENTRIES=2",)), NUMBERED),
    Bug("B20", "shared memory in a data cache, and lines that are not invalidated (open-amp 338, PR 500, 679)",
        "cache.stale-read", Ran("cached-no-invalidate", "report"), Ran("cached", "report")),
    Bug("B21", "the device's index as an earlier run left it (rpmsg-lite 11)",
        "ring.used-ahead", Patched("indices-from-before"), DEMO),
    Bug("B22", "buffers of another size than the other side's (rpmsg-lite 10, 17, 23)",
        "vdev.buffer-size", Patched("buffer-size-of-one-side"), DEMO),
    Bug("B23", "an id that is not a head (open-amp 249)",
        "ring.used-not-a-head", Patched("returns-no-head"), DEMO),
    Bug("B24", "all buffers in use, and both sides wait for one (open-amp PR 320, zephyr PR 68764)",
        "core.deadlock", Patched("both-wait"), DEMO),
    Bug("B25", "the remote does not tell of one of its queues (linux-xlnx 51)",
        "notification.left-out", Patched("interrupts-lost"), DEMO),
    Bug("B26", "a buffer that is lost when it cannot be passed on (nuttx 13887)",
        "buffer.not-returned", Ran("leak"), DEMO),
    Bug("B27", "a name that is never announced, so nobody binds to it (nuttx 17783, 13432, 7575)",
        "endpoint.never-announced", Patched("never-announced"), DEMO),
    Bug("B28", "the cores do not agree on the mailbox's channel (openamp-system-reference 52)",
        "notification.missing", Ran("wrong-channel"), DEMO),
    Bug("B29", "works only at the first start (openamp-system-reference 56, 109)",
        "endpoint.never-announced", Restarted("keeps-its-state"), Restarted()),
    Bug("B30", "polling the semaphore's lock register takes it (zephyr 86494)",
        "core.lock-held", Patched("status-read-takes-lock"), DEMO),
    Bug("B31", "one core clears memory that the other one already uses (modm 844)",
        "ring.index-back", Patched("rings-cleared-late"), DEMO),
)  # fmt: skip


def judged(case: Case, place: Workplace) -> tuple[Finding, ...]:
    """What is said of a case: its causes, remarks left out."""
    found = case.findings(place)
    return tuple(each for each in found if each.because_of is None and each.severity is not Severity.NOTE)


def page(place: Workplace) -> str:
    """The table as Markdown, with what was said when it was made."""
    return "\n".join(_lines(BUGS, place)) + "\n"


def _lines(bugs: Iterable[Bug], place: Workplace) -> Iterator[str]:
    yield from (
        "# Bugs of the field",
        "",
        "Faults that public projects shipped, each as an image of ours and with what is said of it; made from a run by",
        "`make docs`, do not edit. Of each healthy twin nothing is said. Images are `tables.c` of",
        "`tests/integration/images/` with the shape and the definitions that are named, variants those of `firmware/`.",
        "",
        "| bug | what went wrong | reproduced by | rule | message | healthy twin |",
        "|---|---|---|---|---|---|",
    )
    for bug in bugs:
        found = [each for each in judged(bug.faulty, place) if each.rule == bug.rule]
        twin = "silent" if not judged(bug.healthy, place) else "**not silent**"
        said = f"{found[0]}".replace("|", "\\|") if found else "**nothing**"
        said = said.removeprefix(f"{bug.rule}: ")
        yield f"| {bug.id} | {bug.wrong} | {bug.faulty.name} | `{bug.rule}` | {said} | {bug.healthy.name}: {twin} |"
