"""A platform, resolved: what the engines and the checks know of a chip.

Made from a Renode platform description (``.repl``) and the ``.toml`` beside it; frozen, and free of any emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Protocol

from orchestrator.base.dataclass import dataclass
from orchestrator.base.errors import TranslationError, UsageError
from orchestrator.base.memory import Extent

__all__ = [
    "MAX_INTERRUPTS",
    "Connections",
    "Core",
    "Gate",
    "GateKey",
    "Interrupt",
    "Mailbox",
    "MailboxDrive",
    "MailboxLine",
    "MailboxStep",
    "Peripheral",
    "Platform",
    "Region",
    "RegisterNames",
    "Registration",
    "Source",
]


class RegisterNames(Protocol):
    """What registers are called, by address."""

    def name_at(self, address: int) -> str | None:
        """``RCC.CR``; None where there is none."""
        ...

    def named(self, text: str) -> str:
        """A message with the names of registers behind their addresses."""
        ...


MAX_INTERRUPTS = 496  # external inputs of an NVIC (DDI0403E B3.4.1)

Value = int | float | str | bool | None | tuple["Value", ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a construct stands: file name, line and column, 1-based."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Registration:
    """One place on the bus: an address, for one core (its name) or for every core (None)."""

    address: int
    core: str | None = None
    size: int | None = None  # bytes, where the registration itself gives it (``<0x1000, +0x400>``)

    def seen_by(self, core: str) -> bool:
        """Whether a core finds it there."""
        return self.core is None or self.core == core


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A peripheral's output wired to an input: ``IRQ -> nvic_cm7@39``."""

    output: str  # "IRQ", or the number as text for ``0 -> ...``, or "" for the only output
    target: str  # the receiving peripheral's name
    line: int  # its input number
    local: int | None = None  # ``target#local@line``: which of several receivers inside the target


@dataclass(frozen=True, slots=True)
class Core:
    """One CPU of the platform, in the order of the description, which is the order in which cores take their turn."""

    name: str
    model: str  # Renode's cpuType: "cortex-m7", "cortex-m4f", "cortex-m33"
    nvic: str  # name of its NVIC
    index: int
    boot_address: int  # of the vector table after reset
    mips: int  # instructions per virtual microsecond (PerformanceInMips)
    held: bool  # True: does not run until something releases it (IsHalted)
    interrupts: int = MAX_INTERRUPTS  # external inputs of its NVIC; where none is given the architecture's limit
    attributes: Mapping[str, Value] = field(default_factory=dict)
    source: Source | None = None
    fpu: bool = True  # False: the chip leaves out the floating-point unit that the model may have


@dataclass(frozen=True, slots=True)
class Region:
    """One piece of memory with one or more addresses per core."""

    name: str
    size: int  # bytes
    registrations: tuple[Registration, ...]
    writable: bool = True  # False: a guest's store does not change it (flash)
    fill: int = 0  # value of each byte at power-on
    source: Source | None = None

    def extents(self, core: str) -> tuple[Extent, ...]:
        """Every address range at which a core sees this memory, in the order of the description."""
        return tuple(Extent(at.address, self.size) for at in self.registrations if at.seen_by(core))


@dataclass(frozen=True, slots=True)
class Peripheral:
    """Anything on the bus that is not plain memory, named by its Renode type ("UART.STM32F7_USART")."""

    name: str
    type: str
    registrations: tuple[Registration, ...]
    attributes: Mapping[str, Value] = field(default_factory=dict)
    interrupts: tuple[Interrupt, ...] = ()
    script: str | None = None  # text of a Python peripheral
    script_name: str | None = None  # its file, for messages
    source: Source | None = None
    size: int | None = None  # bytes of its window, where the description or its type gives them


@dataclass(frozen=True, slots=True)
class MailboxLine:
    """The side of a mailbox that interrupts one core; offsets are those of registers, one bit per channel."""

    core: str
    interrupt: int  # input of that core's NVIC
    pending: int  # signalled and enabled; reading it has no side effect
    signalled: int | None = None  # signalled, enabled or not; None: the chip has no such register
    events: tuple[int, ...] | None = None  # as ``signalled``, but a register for each channel: offsets in their order

    @property
    def offsets(self) -> tuple[int, ...]:
        """The registers that :meth:`look` reads."""
        if self.events is not None:
            return self.pending, *self.events
        return (self.pending,) if self.signalled is None else (self.pending, self.signalled)

    def look(self, read: Callable[[int], int]) -> tuple[int, int]:
        """What is pending and what is signalled, a bit for each channel; ``read(offset)`` gives a register."""
        pending = read(self.pending)
        if self.events is not None:
            return pending, sum(1 << bit for bit, offset in enumerate(self.events) if read(offset) & 1)
        return pending, pending if self.signalled is None else read(self.signalled)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The IPI peripheral of the platform."""

    peripheral: str
    lines: tuple[MailboxLine, ...]


@dataclass(frozen=True, slots=True)
class MailboxStep:
    """One access of a core to its mailbox; once for each channel where there is a stride."""

    offset: int
    writes: bool
    stride: int = 0  # bytes from one channel to the next; 0: one register for all channels
    value: int | None = None  # what is written; None: a bit for each channel concerned

    def access(self, channel: int, channels: int) -> tuple[int, int | None]:
        """Offset, and what is written; None: a read."""
        value = channels if self.value is None else self.value
        return self.offset + self.stride * channel, value if self.writes else None


@dataclass(frozen=True, slots=True)
class MailboxDrive:
    """How firmware of one core works a mailbox: what a core that is played in Python does in its place."""

    mailbox: str
    core: str
    channels: int
    enabled: int | None  # offset of the register with a bit for each channel that interrupts this core, if there is one
    enable: tuple[MailboxStep, ...]  # these channels, and no other, interrupt this core; none where all always do
    clear: tuple[MailboxStep, ...]  # these channels have been seen
    ring: tuple[MailboxStep, ...]  # interrupt the other core

    def accesses(self, steps: tuple[MailboxStep, ...], channels: int) -> Iterator[tuple[int, int | None]]:
        """What steps are for these channels (a bit for each): offsets in order, with what is written; None: a read."""
        strided = [step for step in steps if step.stride]
        for step in steps:
            if not step.stride:
                yield step.access(0, channels)
        for channel in (bit for bit in range(self.channels) if strided and channels >> bit & 1):
            for step in strided:
                yield step.access(channel, 1 << channel)


@dataclass(frozen=True, slots=True)
class Connections:
    """A peripheral that connects published events of others to subscribed tasks of others, by numbered channels."""

    controller: str
    enabled: int  # offset of its register with a bit for each channel that is on
    peripherals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GateKey:
    """Bits of a register that open a gate by their value; of block n, ``stride`` bytes and ``shift`` bits on.

    Where a register has the bits of several blocks, the next register is ``stride`` bytes on.
    """

    name: str  # as the manual has it; "[n]" stands for the block's number
    peripheral: str
    offset: int
    mask: int
    value: int
    stride: int = 0
    shift: int = 0
    blocks: int = 1  # of one register, where ``stride`` leads to the next

    def place(self, index: int) -> tuple[int, int]:
        """Offset of the register of a block, and by how much its bits are shifted."""
        register, within = divmod(index, self.blocks) if self.stride else (0, index)
        return self.offset + register * self.stride, (within if self.blocks > 1 else index) * self.shift


@dataclass(frozen=True, slots=True)
class Gate:
    """What keeps a core from a memory or a peripheral until one of its keys opens it."""

    core: str
    target: str  # name of a region or of a peripheral
    keys: tuple[GateKey, ...]
    openers: tuple[str, ...]  # cores whose firmware turns the keys: where one runs none, the gate stands open
    block: int | None = None  # bytes of a region that have keys of their own; None: one gate for all
    rights: str = "rwx"  # what it keeps the core from
    refuses: bool = True  # with a fault; False: what the chip does then is not modelled, and is said


@dataclass(frozen=True, slots=True)
class Platform:
    """A chip: cores, regions, peripherals, and what only rptwin needs to know of it."""

    name: str
    path: Path
    cores: tuple[Core, ...]
    regions: tuple[Region, ...]
    peripherals: tuple[Peripheral, ...]
    roles: Mapping[str, str]  # "main" and "remote" to core names, of the first pair
    consoles: Mapping[str, str]  # core name to the name of the UART that is its console
    mailboxes: tuple[Mailbox, ...] = ()
    gates: tuple[Gate, ...] = ()
    tags: tuple[tuple[str, Extent, int], ...] = ()  # ``sysbus: init: Tag <extent> "name" value``: name, extent, value
    description: str = ""
    drives: tuple[MailboxDrive, ...] = ()
    connections: tuple[Connections, ...] = ()
    notes: tuple[str, ...] = ()  # what the description asks of Renode and nothing here acts upon, with its place
    models: Mapping[str, Path] = field(default_factory=dict)  # Renode type to the file that models it on Unicorn
    fronts: Mapping[str, Path] = field(default_factory=dict)  # Renode type to the script before Renode's own model
    pairs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # roles of further pairs of cores, by name
    external: tuple[tuple[str, Extent], ...] = ()  # where the chip reaches memory that a board may have
    registers: RegisterNames | None = field(default=None, compare=False)  # where somebody has given their names
    files: tuple[Path, ...] = ()  # that say what it is, scripts and models among them

    def with_pair(self, name: str) -> Platform:
        """The same chip with the roles of another pair; :class:`UsageError` names the pairs there are."""
        if name not in self.pairs:
            known = " | ".join(self.pairs) or "none"
            raise UsageError("no such pair of cores", where=self.name, expected=known, found=name)
        return replace(self, roles=self.pairs[name])

    def core(self, name_or_role: str) -> Core:
        """A core by name or by role ("main", "remote"); :class:`UsageError` names those there are."""
        name = self.roles.get(name_or_role, name_or_role)
        for core in self.cores:
            if core.name == name:
                return core
        known = [*self.roles, *(core.name for core in self.cores)]
        raise UsageError("no such core", where=self.name, expected=" | ".join(known), found=name_or_role)

    def role_of(self, core: str) -> str:
        """The role of a core, or its own name where it has none."""
        return next((role for role, name in self.roles.items() if name == core), core)

    def parts(self, core: str, address: int, size: int) -> list[Extent]:
        """An extent cut where a piece of memory ends; :class:`TranslationError` at the first address that is none."""
        parts = []
        while size:
            found = self.region_at(core, address)
            if found is None:
                raise TranslationError("no memory", where=f"{core} at {address:#010x}")
            length = min(size, found[0].size - found[1])
            parts.append(Extent(address, length))
            address, size = address + length, size - length
        return parts

    def region_at(self, core: str, address: int) -> tuple[Region, int] | None:
        """The region that a core sees at an address, and the offset into it."""
        for region in self.regions:
            for extent in region.extents(core):
                if address in extent:
                    return region, address - extent.start
        return None

    def aliases(self, core: str, address: int) -> tuple[tuple[str, int], ...]:
        """Every (core, address) that names the same byte, the given one included."""
        found = self.region_at(core, address)
        if found is None:
            return ((core, address),)
        region, offset = found
        return tuple((each.name, extent.start + offset) for each in self.cores for extent in region.extents(each.name))
