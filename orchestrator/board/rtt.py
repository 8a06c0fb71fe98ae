"""The host's side of SEGGER RTT on a board: what firmware writes into its buffers becomes consoles.

A core's control block is where its image's symbol says; in an image without symbols, where its ID appears in the
image's own memory. It is watched like any other memory, so it is looked at after a turn that changed it and costs
nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from orchestrator.base.console_output import DEFAULT_CONSOLE_SIZE, ConsoleOutput, Fresh, LineStart
from orchestrator.base.errors import RptwinError
from orchestrator.base.memory import Extent, Memory
from orchestrator.engines.contract import Engine
from orchestrator.events import Changed, Event, Note
from orchestrator.formats.elf import Image
from orchestrator.formats.rtt import (
    MOST_BUFFERS,
    RTT_ID,
    RTT_SYMBOL,
    RttBuffer,
    RttControlBlock,
    RttHeader,
    parse_control_block,
    size_of_control_block,
)

__all__ = ["Rtt", "RttConsole"]

_WATCH = "rtt."
_WRITE_ALLOC = 3  # SHF_WRITE | SHF_ALLOC
_NAME = re.compile(r"(?P<role>\w+)\.rtt(?P<index>\d{1,2})", re.ASCII)
_LARGEST = 1 << 24  # bytes of a section that are searched for the ID


class RttConsole:
    """Up-buffer and down-buffer of one index."""

    def __init__(self, name: str, flush: Callable[[], None], size: int, clock: Callable[[], int]) -> None:
        self.name = name
        self.received = ConsoleOutput(size, clock)
        self.waiting = bytearray()  # towards the guest
        self._flush = flush

    @property
    def output(self) -> bytes:
        """Everything that was taken out of the up-buffer."""
        return self.received.whole()

    @property
    def total(self) -> int:
        """Bytes that were taken out of it."""
        return len(self.received)

    def since(self, position: int) -> Fresh:
        """Those behind a position."""
        return self.received.since(position)

    @property
    def line_starts(self) -> tuple[LineStart, ...]:
        """When lines were taken out of it."""
        return self.received.starts

    def write(self, data: bytes) -> None:
        """Into the down-buffer, as far as it has room; the rest as the guest reads."""
        self.waiting += data
        self._flush()


class _Core:
    """One core's control block."""

    def __init__(
        self,
        role: str,
        core: str,
        image: Image,
        engine: Engine,
        note: Callable[[str, str], None],
        console_size: int,
    ) -> None:
        self.consoles: dict[int, RttConsole] = {}
        self.watch = _WATCH + core
        self.role = role
        self._core = core
        self._image = image
        self._engine = engine
        self._memory: Memory = engine.memory(core)
        self._note = note
        self._console_size = console_size
        symbol = image.symbols.get(RTT_SYMBOL)
        self._at = None if symbol is None else symbol.address
        # An image with symbols but not this one has no control block.
        self.is_searched = not image.symbols
        self._searched = list(_writable(image)) if self.is_searched else []
        self._watched = 0

    @property
    def may_be_there(self) -> bool:
        """Its place is known, or looked for; never again once it is False."""
        return self._at is not None or self.is_searched

    def watch_from_the_start(self) -> None:
        if self._at is not None:
            self._follow(RttHeader.size)

    def _follow(self, size: int) -> None:
        """Watch this many bytes of the control block, and look at it now."""
        assert self._at is not None
        if size != self._watched:
            try:
                self._engine.watch(self.watch, self._core, Extent(self._at, size))
            except RptwinError as error:
                self._note(self._core, f"RTT: {error}")
                return
            self._watched = size
        self.look()

    def search(self) -> None:
        """Whether the ID has appeared."""
        for extent in self._searched:
            try:
                found = self._memory.read(extent.start, extent.size).find(RTT_ID + b"\0" * 6)
            except RptwinError:
                continue  # the program has it where this core has no memory
            if found >= 0:
                self._at, self.is_searched = extent.start + found, False
                self._follow(RttHeader.size)
                return

    def look(self) -> None:
        """Take what has come and give what there is room for."""
        if self._at is None:
            return
        try:
            size = size_of_control_block(self._memory.read(self._at, RttHeader.size))
            if size is None:
                return
            block = parse_control_block(self._memory.read(self._at, size))
            if block is None:
                return
            if size != self._watched:
                self._follow(size)
                return
            self._exchange(block)
        except RptwinError as error:
            self._note(self._core, f"RTT: control block at {self._at:#010x}: {error}")

    def _exchange(self, block: RttControlBlock) -> None:
        for index, up in enumerate(block.ups):
            if self._is_usable(up, f"up-buffer {index}"):
                self._take(self._console(index), up, block.up_offset(index))
        for index, down in enumerate(block.downs):
            if self._is_usable(down, f"down-buffer {index}"):
                self._give(self._console(index), down, block.down_offset(index))

    def _is_usable(self, buffer: RttBuffer, what: str) -> bool:
        if buffer.is_configured and not buffer.is_sound:
            self._note(self._core, f"RTT: {what} has an offset past its end: not used")
        return buffer.is_configured and buffer.is_sound

    def console(self, index: int) -> RttConsole | None:
        """Also before the firmware has set it up, if it may."""
        return self._console(index) if self.may_be_there and index < MOST_BUFFERS else None

    def _console(self, index: int) -> RttConsole:
        if index not in self.consoles:
            self.consoles[index] = RttConsole(
                f"{self.role}.rtt{index}", self.look, self._console_size, lambda: self._engine.time_ns
            )
        return self.consoles[index]

    def _take(self, console: RttConsole, up: RttBuffer, offset: int) -> None:
        if up.wr_off == up.rd_off:
            return
        end = up.wr_off if up.wr_off > up.rd_off else up.size_of_buffer
        data = self._memory.read(up.buffer + up.rd_off, end - up.rd_off)
        if up.wr_off < up.rd_off:
            data += self._memory.read(up.buffer, up.wr_off)
        console.received.extend(data)
        self._store(offset + RttBuffer.offset_of("rd_off"), up.wr_off)

    def _give(self, console: RttConsole, down: RttBuffer, offset: int) -> None:
        size = down.size_of_buffer
        room = (down.rd_off - down.wr_off - 1) % size
        data = bytes(console.waiting[:room])
        if not data:
            return
        first = data[: size - down.wr_off]
        self._memory.write(down.buffer + down.wr_off, first)
        if len(data) > len(first):
            self._memory.write(down.buffer, data[len(first) :])
        del console.waiting[: len(data)]
        self._store(offset + RttBuffer.offset_of("wr_off"), (down.wr_off + len(data)) % size)

    def _store(self, offset: int, value: int) -> None:
        assert self._at is not None
        self._memory.write(self._at + offset, value.to_bytes(4, "little"))

    def save(self) -> object:
        """All that is remembered."""
        texts = {index: (each.received.save(), bytes(each.waiting)) for index, each in self.consoles.items()}
        return self._at, self.is_searched, texts

    def load(self, saved: object) -> None:
        assert isinstance(saved, tuple)
        self._at, self.is_searched, texts = saved
        self.consoles.clear()
        for index, (received, waiting) in texts.items():
            console = self._console(index)
            console.received.load(received)
            console.waiting[:] = waiting
        self._engine.unwatch(self.watch)
        self._watched = 0
        self.watch_from_the_start()


def _writable(image: Image) -> Iterator[Extent]:
    """Memory that the program may write, as its sections name it; those without bytes are in no segment."""
    for section in image.sections:
        if section.flags & _WRITE_ALLOC == _WRITE_ALLOC and 0 < section.size <= _LARGEST:
            yield Extent(section.address, section.size)


class Rtt:
    """RTT of every core of a board; ``note`` takes a core and something that its report should say."""

    def __init__(
        self,
        cores: Mapping[str, str],
        images: Mapping[str, Image],
        engine: Engine,
        note: Callable[[Event], None],
        console_size: int = DEFAULT_CONSOLE_SIZE,
    ) -> None:
        self._noted: set[tuple[str, str]] = set()
        self._report = note
        self._engine = engine
        self._cores = [
            _Core(role, core, images[role], engine, self._note, console_size) for role, core in cores.items()
        ]
        self._by_watch = {each.watch: each for each in self._cores if each.may_be_there}
        if self._by_watch:
            engine.subscribe(self._on_event)
        for each in self._cores:
            each.watch_from_the_start()

    @property
    def consoles(self) -> dict[str, RttConsole]:
        """By name (``main.rtt0``), those that the firmware has set up."""
        return {console.name: console for each in self._cores for _, console in sorted(each.consoles.items())}

    def console(self, name: str) -> RttConsole | None:
        """By name; None where the core's image has no RTT."""
        match = _NAME.fullmatch(name)
        cores = [each for each in self._cores if match is not None and each.role == match["role"]]
        return cores[0].console(int(match["index"])) if match is not None and cores else None

    def search(self) -> None:
        """Between two pieces of a run: look for control blocks that no symbol tells of."""
        for each in self._cores:
            if each.is_searched:
                each.search()

    def _on_event(self, event: Event) -> None:
        if type(event.detail) is Changed and event.detail.watch in self._by_watch:
            self._by_watch[event.detail.watch].look()

    def _note(self, core: str, text: str) -> None:
        if (core, text) not in self._noted:
            self._noted.add((core, text))
            self._report(Event(self._engine.time_ns, core, Note(text)))

    def snapshot(self) -> object:
        """All that was received and is still to be sent."""
        return [each.save() for each in self._cores], frozenset(self._noted)

    def restore(self, saved: object) -> None:
        """Go back to a snapshot."""
        assert isinstance(saved, tuple)
        states, noted = saved
        self._noted = set(noted)
        for each, state in zip(self._cores, states, strict=True):
            each.load(state)
