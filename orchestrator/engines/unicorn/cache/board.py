"""The data caches of a board: which memory they are about, and who reaches it past them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import partial

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import CoherenceMode
from orchestrator.engines.unicorn.cache.model import CacheModel, Found, Geometry, Step, Tracked
from orchestrator.engines.unicorn.cpu.core import Core
from orchestrator.engines.unicorn.memory import BoardMemory, CoreMemory, Mapping, MemoryView
from orchestrator.engines.unicorn.native.abi import hooks
from orchestrator.events import Doing, Incoherent

__all__ = ["Coherence"]


class Coherence:
    """Puts a model into each core that has a data cache; EngineError where none has one."""

    def __init__(self, cores: Sequence[Core], memory: BoardMemory, mode: CoherenceMode, seed: int) -> None:
        self._cores = cores
        self._board = memory
        self._models: list[tuple[Core, CacheModel, list[Mapping]]] = []
        self._grown = ctypes.c_uint32()
        self._first: dict[str, int] = {}  # region: its first tracked structure, for whoever comes past the caches
        for core in cores:
            if core.scs.caches_are_there:
                self._add(core, mode, seed)
        if not self._models:
            what = "no core of this chip has a data cache"
            raise EngineError(what, where="engine unicorn: coherence", expected="a Cortex-M7")
        for number, core in enumerate(cores):
            self._connect(core, number)

    def _add(self, core: Core, mode: CoherenceMode, seed: int) -> None:
        """Memory that a second core reaches as well: what is a core's alone (a TCM) is never cached on a Cortex-M7."""
        others = {
            each.store.region.name for other in self._cores if other is not core for each in other.memory.mappings()
        }
        seen: dict[str, Mapping] = {}
        for each in core.memory.mappings():
            if each.store.region.writable and each.store.region.name in others:
                seen.setdefault(each.store.region.name, each)
        mappings = list(seen.values())
        memory = [
            Tracked(each.extent.start, each.extent.size, each.pointer, ctypes.addressof(marks))
            for each in mappings
            for marks in (self._board.code_marks(each.store),)
        ]
        geometry = Geometry.of(core.scs.ccsidr)
        data = CacheModel(core.native, geometry, memory, is_real=mode is CoherenceMode.REAL, seed=seed + 1)
        instructions = CacheModel(core.native, geometry, memory, is_real=False, fetches=True)
        for model in (data, instructions):
            for index, each in enumerate(mappings):
                tracked = model.tracked_at(index)
                name = each.store.region.name
                tracked.next = self._first.get(name)
                self._first[name] = ctypes.addressof(tracked)
            model.code_changed = partial(self._code_changed, mappings)
            self._models.append((core, model, mappings))
        core.model_caches(data, instructions)

    def _code_changed(self, mappings: Sequence[Mapping], index: int) -> None:
        store = mappings[index].store
        self._board.changes(store, 0, store.region.size)

    def _connect(self, core: Core, number: int) -> None:
        """The core's accesses are looked at, by native code where pages say so."""
        core.native.number = number
        core.native.grown = ctypes.addressof(self._grown)
        windows = core.memory.windows
        for window, mapping in zip(windows, core.memory.mappings(), strict=True):
            window.tracked = self._first.get(mapping.store.region.name)
        core.connect_caches([model for _, model, _ in self._models], _FrameMemory(core))

    # --- who comes past the caches

    def view(self, view: MemoryView, doing: Callable[[], Step]) -> MemoryView:
        """Stored bytes, for a device or a player: what is read and written there, the caches are told."""
        return _PastCaches(view, partial(self._other, doing))

    def _other(self, doing: Callable[[], Step], mapping: Mapping, offset: int, size: int, *, writes: bool) -> None:
        for _, model, mappings in self._models:
            for index, each in enumerate(mappings):
                if each.store is mapping.store:
                    model.other(index, offset, size, doing(), writes=writes)

    def poked(self, memory: CoreMemory, address: int, size: int) -> None:
        """The host has stored bytes: they are what it says for everybody."""
        while size > 0:
            mapping = memory.mapping_at(address)
            if mapping is None:
                return
            part = min(size, mapping.extent.end - address)
            first = self._first.get(mapping.store.region.name)
            if first is not None:
                hooks.cache_poke(first, address - mapping.extent.start, part)
            address, size = address + part, size - part

    # --- what was found

    def take(self) -> list[tuple[Core, Incoherent]]:
        """Since the last call, with the core whose cache it is; code that was written back is translated again."""
        told = []
        for core, model, _ in self._models:
            model.tell_changed_code()
            if model.any():
                told += [(core, self._told(each)) for each in model.take()]
        return told

    def _told(self, found: Found) -> Incoherent:
        first = (found.mask & -found.mask).bit_length() - 1
        by, of, since = (self._doing(each) for each in (found.by, found.of, found.since))
        size = found.mask.bit_length() - first
        return Incoherent(found.kind, found.line, found.line + first, size, by, of, since)

    def _doing(self, step: Step) -> Doing:
        core = self._cores[step.who or 0]  # a device counts as the first core does
        return Doing("" if step.who is None else core.name, step.pc, step.executed * 1000 // core.mips)

    # --- snapshots

    def save(self) -> tuple[object, ...]:
        """Of each cache."""
        return tuple(model.save() for _, model, _ in self._models)

    def restore(self, saved: tuple[object, ...]) -> None:
        """Go back to :meth:`save`; the cores' registers must have gone back before."""
        for (core, model, _), each in zip(self._models, saved, strict=True):
            model.restore(each)
            core.caching_changed()
        self._grown.value += 1

    def close(self) -> None:
        """Give back what the models hold."""
        for _, model, _ in self._models:
            model.close()


class _PastCaches(MemoryView):
    """The stored bytes of a view, whose readers and writers the caches are told of."""

    def __init__(self, view: MemoryView, tell: Callable[..., None]) -> None:
        super().__init__(view.view, list(view.mappings()), view.board)
        self._tell = tell

    def _told(self, address: int, size: int, *, writes: bool) -> None:
        while size > 0 and (mapping := self.mapping_at(address)) is not None:
            part = min(size, mapping.extent.end - address)
            self._tell(mapping, address - mapping.extent.start, part, writes=writes)
            address, size = address + part, size - part

    def read(self, address: int, size: int) -> bytes:
        data = super().read(address, size)
        self._told(address, size, writes=False)
        return data

    def write(self, address: int, data: bytes) -> None:
        super().write(address, data)
        self._told(address, len(data), writes=True)


class _FrameMemory:
    """Memory for what a core itself loads and stores without an instruction: exception frames and vectors."""

    def __init__(self, core: Core) -> None:
        self._memory = core.memory
        self._core = ctypes.addressof(core.native)
        self.view = core.memory.view

    @staticmethod
    def _pieces(address: int, size: int) -> list[tuple[int, int]]:
        """Words and less, none of them across the end of a line."""
        pieces = []
        while size > 0:
            part = min(size, 4 - address % 4)
            pieces.append((address, part))
            address, size = address + part, size - part
        return pieces

    def read(self, address: int, size: int) -> bytes:
        data = bytearray(self._memory.read(address, size))
        for at, part in self._pieces(address, size):
            value = ctypes.c_uint64(int.from_bytes(data[at - address : at - address + part], "little"))
            hooks.cache_load(self._core, at, part, ctypes.byref(value))
            data[at - address : at - address + part] = value.value.to_bytes(8, "little")[:part]
        return bytes(data)

    def write(self, address: int, data: bytes) -> None:
        for at, part in self._pieces(address, len(data)):
            piece = data[at - address : at - address + part]
            if not hooks.cache_store(self._core, at, part, int.from_bytes(piece, "little")):
                self._memory.write(at, piece)
