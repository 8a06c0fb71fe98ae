"""Where the cores spend their time, and which lines of source they executed."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from orchestrator.base.errors import CapabilityError
from orchestrator.base.memory import Extent
from orchestrator.board import Board
from orchestrator.config import DEFAULT_SAMPLE_NS
from orchestrator.engines.contract import Capability, Profiling, why_lacking
from orchestrator.events import Backtrace, CoreState
from orchestrator.formats.elf import SHF_ALLOC, SHF_EXECINSTR, Image, SourceLine, SymbolType
from orchestrator.trace.kept import Kept
from orchestrator.trace.model import StackSample

__all__ = ["Coverage", "StackProfile"]

_CODE = SHF_ALLOC | SHF_EXECINSTR
_NOT_IN_TEST_NAMES = re.compile(r"\W", re.ASCII)  # geninfo(1), TN


def _profiling(board: Board, what: str) -> Profiling:
    """The engine; :class:`CapabilityError` where it does not tell."""
    engine = board.engine
    if isinstance(engine, Profiling) and Capability.PROFILE in engine.capabilities:
        return engine
    raise CapabilityError(
        f"no {what}",
        where=f"engine {engine.name}",
        found=why_lacking(engine, Capability.PROFILE),
        advice="the unicorn engine has it",
    )


def _firmware(board: Board) -> Iterator[tuple[str, str, Image]]:
    """Of each core that runs firmware: what a report calls it, its name, and its image; once, if it is of two pairs."""
    found: dict[str, tuple[str, Image]] = {}
    for pair in board.pairs.values():
        for role, image in pair.images.items():
            found.setdefault(pair.platform.core(role).name, (f"{pair.name}.{role}" if pair.name else role, image))
    for core, (label, image) in found.items():
        yield label, core, image


class StackProfile:
    """Samples the stacks of a board's cores; made before it runs. CapabilityError where the engine tells no stacks."""

    def __init__(self, board: Board, interval_ns: int = DEFAULT_SAMPLE_NS) -> None:
        engine = _profiling(board, "samples of stacks")
        self._interval_ns = interval_ns
        self._samples: Counter[tuple[str, ...]] = Counter()
        self._began_ns = board.time_ns
        self._seen: Counter[str] = Counter()  # samples by core
        self._kept: Kept[StackSample] = Kept()
        self._catch_up = [
            engine.sample(core, interval_ns, partial(self._see, label, core)) for label, core, _ in _firmware(board)
        ]

    def _see(self, label: str, core: str, number: int, state: CoreState, backtrace: Backtrace) -> None:
        names = tuple(_function(frame.symbol, frame.pc) for frame in reversed(backtrace) if not frame.guess)
        stack = names if state is CoreState.RUNNING else (*names, f"[{state.value}]")
        self._samples[label, *stack] += number
        time_ns = self._began_ns + (self._seen[core] + 1) * self._interval_ns
        self._seen[core] += number
        self._kept.add(time_ns, StackSample(core, time_ns, number, self._interval_ns, stack))

    def samples(self) -> tuple[StackSample, ...]:
        """In the order of their time, of each core: the first ones, where there were many."""
        for each in self._catch_up:
            each()
        return tuple(self._kept.items)

    def folded(self) -> bytes:
        """A stack a line, the outermost function first, and how many samples met it (flamegraph.pl, speedscope)."""
        for each in self._catch_up:
            each()
        lines = sorted(f"{';'.join(stack)} {count}\n" for stack, count in self._samples.items())
        return "".join(lines).encode()


def _function(symbol: str | None, pc: int) -> str:
    return f"{pc:#010x}" if symbol is None else symbol.partition("+")[0].replace(";", ":").replace(" ", "_")


class Coverage:
    """Counts what a board's cores execute; made before it runs. CapabilityError where the engine does not count."""

    def __init__(self, board: Board) -> None:
        self._engine = _profiling(board, "counts of instructions")
        self._cores = list(_firmware(board))
        for _, core, image in self._cores:
            for section in image.sections:
                if section.flags & _CODE == _CODE and section.size:
                    self._engine.count(core, Extent(section.address, section.size))

    def lcov(self, path_of: Callable[[SourceLine], str]) -> bytes:
        """A tracefile (geninfo(1), "FILES"): a test for each core, a record for each file of source.

        A line was executed as often as the instruction of it that was most often; a file is named as ``path_of`` says.
        """
        records: list[str] = []
        for label, core, image in self._cores:
            counts = self._engine.counts(core)
            records += _records(_NOT_IN_TEST_NAMES.sub("_", label), image, counts, path_of)
        return "".join(records).encode()


def _records(test: str, image: Image, counts: Mapping[int, int], path_of: Callable[[SourceLine], str]) -> Iterator[str]:
    executed = sorted(counts)
    lines: dict[str, dict[int, int]] = {}
    places: dict[int, tuple[str, int]] = {}  # of addresses at which the code of a line begins
    paths: dict[tuple[str, str], str] = {}
    for extent, source in image.code_lines():
        path = paths.get((source.folder, source.file))
        if path is None:
            path = paths[source.folder, source.file] = path_of(source)
        inside = executed[bisect_left(executed, extent.start) : bisect_left(executed, extent.end)]
        count = max((counts[address] for address in inside), default=0)
        known = lines.setdefault(path, {})
        known[source.line] = max(known.get(source.line, 0), count)
        places.setdefault(extent.start, (path, source.line))
    functions: dict[str, list[tuple[int, str, int]]] = {}
    for symbol in image.every_symbol:
        place = places.get(symbol.address)
        if symbol.type == SymbolType.FUNC and place is not None:
            functions.setdefault(place[0], []).append((place[1], symbol.name, counts.get(symbol.address, 0)))
    for path in sorted(lines):
        yield _record(test, path, lines[path], sorted(functions.get(path, ())))


def _record(test: str, path: str, lines: Mapping[int, int], functions: list[tuple[int, str, int]]) -> str:
    rows = [f"TN:{test}", f"SF:{path}"]
    rows += [f"FN:{line},{name}" for line, name, _ in functions]
    rows += [f"FNDA:{count},{name}" for _, name, count in functions]
    rows += [f"FNF:{len(functions)}", f"FNH:{sum(count > 0 for *_, count in functions)}"]
    rows += [f"DA:{line},{count}" for line, count in sorted(lines.items())]
    rows += [f"LF:{len(lines)}", f"LH:{sum(count > 0 for count in lines.values())}", "end_of_record"]
    return "\n".join(rows) + "\n"
