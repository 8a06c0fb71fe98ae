"""The one door to Unicorn: creation through the binding, hot calls straight to the library.

The binding's own ``emu_start`` and register calls cost several microseconds each; the library's, called with arguments
made once, a fraction of that.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn.library import arm_const, uclib, unicorn, unicorn_const
from orchestrator.engines.unicorn.native.abi import PAGE_SIZE, Compared, CoreState, hooks

__all__ = ["ADDRESS_SPACE", "ALIASES", "CPU_MODELS", "Cpu", "RegisterBatch", "address_of", "compared", "describe"]
__all__ += ["function_pointer", "interrupt_callback", "registers", "tell_callback", "written_registers"]

# Renode's cpuType to Unicorn's model; UC_MODE_MCLASS would silently turn each of them into a Cortex-M33.
CPU_MODELS = {
    "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
    "cortex-m4f": arm_const.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
}

_unicorn: Any = unicorn  # it has no types

_CTL_WRITE = unicorn_const.UC_CTL_IO_WRITE << 30  # a control without arguments that does something
ADDRESS_SPACE = 1 << 32
# What is added to an address whose page does not decide what may access it (Cpu.guard), or is observed.
ALIASES = (0, ADDRESS_SPACE, 2 * ADDRESS_SPACE, 3 * ADDRESS_SPACE)


def describe(error: int) -> str:
    """Unicorn's own words for an error number."""
    return str(_unicorn.UcError(error))


def function_pointer(function: Any) -> int:
    """The address of a function of a loaded library."""
    pointer = ctypes.cast(function, ctypes.c_void_p).value
    assert pointer is not None
    return pointer


def tell_callback(function: Callable[[], None]) -> Any:
    """What native code calls to have something told; it must be kept alive."""
    return _TELL_CALLBACK(function)


def interrupt_callback(function: Callable[[int], None]) -> Any:
    """What native code calls with the number of an interrupt; it must be kept alive."""
    return _INTERRUPT_CALLBACK(function)


def address_of(structure: ctypes.Structure) -> int:
    """Where a structure lies, for native code; it must be kept alive."""
    return ctypes.addressof(structure)


def compared(spans: Iterable[tuple[memoryview, bytes | bytearray]]) -> Any:
    """Memory and what it held, as an array of ``struct compared``; both must be kept alive, and of one size."""
    pairs = [
        Compared(ctypes.addressof(ctypes.c_char.from_buffer(span)), _place_of(data), len(data))
        for span, data in spans
        if data
    ]
    return (Compared * len(pairs))(*pairs)


def _place_of(data: bytes | bytearray) -> int | None:
    if isinstance(data, bytearray):
        return ctypes.addressof(ctypes.c_char.from_buffer(data))
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value


def registers(*names: str) -> tuple[int, ...]:
    """Unicorn's ids of registers by name ("R0", "XPSR", "D7")."""
    return tuple(getattr(arm_const, f"UC_ARM_REG_{name}") for name in names)


def written_registers(*names: str) -> tuple[int, ...]:
    """Ids to write registers by: XPSR without its exception number, which goes by IPSR."""
    return registers(*("XPSR_NZCVQG" if name == "XPSR" else name for name in names))


class RegisterBatch:
    """Some registers, read and written in one call; values are unsigned integers in the order of the names.

    Of XPSR and IPSR, XPSR is written first: it clears the exception number.
    """

    def __init__(self, *names: str) -> None:
        count = len(names)
        self.names = names
        self._ids = (ctypes.c_int * count)(*registers(*names))
        self._written_ids = (ctypes.c_int * count)(*written_registers(*names))
        self._values = (ctypes.c_uint64 * count)()
        base = ctypes.addressof(self._values)
        self._pointers = (ctypes.c_void_p * count)(*(base + 8 * index for index in range(count)))
        self._count = count
        # Half of each value is never written for a 32-bit register: zero once, zero for good.
        self._read = uclib.uc_reg_read_batch
        self._write = uclib.uc_reg_write_batch

    def read(self, handle: ctypes.c_void_p) -> list[int]:
        self._read(handle, self._ids, self._pointers, self._count)
        return self._values[:]

    def keep_in(self, state: CoreState) -> None:
        """Let native code read these registers; :meth:`kept` gives them."""
        state.saved_count = self._count
        state.saved_ids = ctypes.addressof(self._ids)
        state.saved_pointers = ctypes.addressof(self._pointers)
        state.saved_write_ids = ctypes.addressof(self._written_ids)

    def kept(self) -> list[int]:
        return self._values[:]

    def write(self, handle: ctypes.c_void_p, values: Sequence[int]) -> None:
        self._values[:] = list(values)
        self._write(handle, self._written_ids, self._pointers, self._count)


_READ_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_void_p)
_WRITE_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint, ctypes.c_uint64, ctypes.c_void_p
)
_SLOW_READ_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32)
_SLOW_WRITE_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64)
_TELL_CALLBACK = ctypes.CFUNCTYPE(None)
_INTERRUPT_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_uint32)
_PROTECT_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int64,
    ctypes.c_void_p,
)


_TRANSLATED = 64 << 20  # bytes of translated code: some megabytes of firmware


class Cpu:
    """One Unicorn instance of a CPU model with helpers that raise :class:`EngineError`."""

    def __init__(self, model: str) -> None:
        if model not in CPU_MODELS:
            raise EngineError("no such CPU model", where="engine unicorn", expected=" | ".join(CPU_MODELS), found=model)
        self.uc: Any = _unicorn.Uc(unicorn_const.UC_ARCH_ARM, unicorn_const.UC_MODE_THUMB)
        self.uc.ctl_set_cpu_model(CPU_MODELS[model])
        # Unicorn's own is 1 GB, which code that changes itself fills with what nobody will execute again.
        self.uc.ctl_set_tcg_buffer_size(_TRANSLATED)
        self.handle: ctypes.c_void_p = self.uc._uch
        self._keep: list[object] = []  # callbacks and structs that the library points to
        self._mapped: list[tuple[int, int]] = []  # first and last address of memory
        self._refusing: list[tuple[int, int]] = []  # of them, those of which a part refuses stores
        self._refused: CoreState | None = None  # whose hook such a store calls
        self._word = ctypes.c_uint64()
        self._word_pointer = ctypes.byref(self._word)

    def _checked(self, error: int, what: str) -> None:
        if error:
            raise EngineError(what, where="engine unicorn", found=describe(error))

    def map_memory(self, address: int, size: int, pointer: int, *, writable: bool) -> None:
        """Map a host buffer as executable memory; addresses and sizes in multiples of 1 KB."""
        self._checked(
            uclib.uc_mem_map_ptr(
                self.handle,
                ctypes.c_uint64(address),
                ctypes.c_size_t(size),
                unicorn_const.UC_PROT_ALL,
                ctypes.c_void_p(pointer),
            ),
            f"cannot map {size:#x} bytes at {address:#010x}",
        )
        self._mapped.append((address, address + size - 1))
        # A mapping that begins without the right to write lets stores through all the same.
        if not writable:
            self.protect(address, size, writable=False)

    def map_stub(self, address: int, code: bytes) -> None:
        """A private page of code that the guest can neither read nor write."""
        self.uc.mem_map(address, PAGE_SIZE, unicorn_const.UC_PROT_EXEC)
        self.uc.mem_write(address, code)
        if self._refused is not None:
            self._hook_refusals((address, address + PAGE_SIZE - 1), self._refused)

    def protect(self, address: int, size: int, *, writable: bool) -> None:
        """Allow or refuse stores; a refused one calls the hook of :meth:`on_protected_write`."""
        if not writable:
            self._expect_refusals(address)
        protection = unicorn_const.UC_PROT_READ | unicorn_const.UC_PROT_EXEC
        if writable:
            protection |= unicorn_const.UC_PROT_WRITE
        self._checked(
            uclib.uc_mem_protect(self.handle, ctypes.c_uint64(address), ctypes.c_size_t(size), protection),
            f"cannot protect {size:#x} bytes at {address:#010x}",
        )

    def map_device(self, address: int, size: int, read: Any, write: Any) -> None:
        """Map ``read(offset, size) -> value`` and ``write(offset, size, value)`` as device memory."""

        def on_read(_uc: Any, offset: int, length: int, _user: Any) -> int:
            value: int = read(offset, length)
            return value

        def on_write(_uc: Any, offset: int, length: int, value: int, _user: Any) -> None:
            write(offset, length, value)

        callbacks = (_READ_CALLBACK(on_read), _WRITE_CALLBACK(on_write))
        self._keep.append(callbacks)
        self._checked(
            uclib.uc_mmio_map(
                self.handle,
                ctypes.c_uint64(address),
                ctypes.c_size_t(size),
                ctypes.cast(callbacks[0], ctypes.c_void_p),
                None,
                ctypes.cast(callbacks[1], ctypes.c_void_p),
                None,
            ),
            f"cannot map a device at {address:#010x}",
        )

    def hook(
        self, kind: int, function: int, user: ctypes.Structure, extent: tuple[int, int] = (1, 0)
    ) -> ctypes.c_size_t:
        """Install a native hook over the addresses from first to last; (1, 0) is the whole address space.

        What is returned is for :meth:`unhook`.
        """
        hook = ctypes.c_size_t()
        self._keep.append((hook, user))
        self._checked(
            uclib.uc_hook_add(
                self.handle,
                ctypes.byref(hook),
                kind,
                ctypes.c_void_p(function),
                ctypes.byref(user),
                ctypes.c_uint64(extent[0]),
                ctypes.c_uint64(extent[1]),
            ),
            "cannot install a hook",
        )
        return hook

    def unhook(self, hook: object) -> None:
        """Remove a hook; blocks that were translated with it still call it until the next :meth:`flush`."""
        self._checked(uclib.uc_hook_del(self.handle, hook), "cannot remove a hook")

    def _expect_refusals(self, address: int) -> None:
        """Stores are slower in memory for which there is a hook: it is installed when the first page refuses them."""
        extent = next(each for each in self._mapped if each[0] <= address <= each[1])
        if extent not in self._refusing:
            self._refusing.append(extent)
            if self._refused is not None:
                self._hook_refusals(extent, self._refused)

    def _hook_refusals(self, extent: tuple[int, int], state: CoreState) -> None:
        self.hook(unicorn_const.UC_HOOK_MEM_WRITE_PROT, function_pointer(hooks.core_on_protected), state, extent)

    def gaps(self) -> list[tuple[int, int]]:
        """First and last addresses of what is no memory; what lies above 4 GB is the last of them."""
        found, first = [], 0
        for start, last in sorted(self._mapped):
            if start > first:
                found.append((first, start - 1))
            first = last + 1
        return [*found, (first, (1 << 64) - 1)]

    def on_protected_write(self, state: CoreState, handler: Any) -> None:
        """Call ``handler(address, data)`` for a store of ``state``'s core to memory that refuses it.

        The instruction goes on, and Unicorn drops the store, whether the page is made writable meanwhile or not
        (an unaligned one comes again byte by byte): what the memory is to hold, the handler writes.
        """

        def callback(_uc: Any, _kind: int, address: int, size: int, value: int, _user: Any) -> bool:
            handler(address, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
            return True

        wrapped = _PROTECT_CALLBACK(callback)
        self._keep.append(wrapped)
        state.protected_write = function_pointer(wrapped)
        self._refused = state
        for extent in self._refusing:
            self._hook_refusals(extent, state)

    def read(self, register: int) -> int:
        self._word.value = 0
        uclib.uc_reg_read(self.handle, register, self._word_pointer)
        return self._word.value

    def write(self, register: int, value: int) -> None:
        self._word.value = value
        uclib.uc_reg_write(self.handle, register, self._word_pointer)

    def guard(self, state: CoreState, slow_read: Any, slow_write: Any) -> None:
        """Let ``state.guard`` decide every access from now on.

        Unicorn asks its hook once for each page; where pages do not decide, the access goes to an alias above 4 GB
        where nothing is permitted, and so to a hook that knows its address and size. ``slow_read(address, size)`` and
        ``slow_write(address, size, value)`` do what native code cannot.
        """
        guard = state.guard
        guard.control_id, guard.ipsr_id = registers("CONTROL", "IPSR")
        guard.mem_read = function_pointer(uclib.uc_mem_read)
        guard.ctl = function_pointer(uclib.uc_ctl)
        guard.flush_tlb = _CTL_WRITE | unicorn_const.UC_CTL_TLB_FLUSH
        guard.flush_code = _CTL_WRITE | unicorn_const.UC_CTL_TB_FLUSH
        guard.remove_code = _CTL_WRITE | unicorn_const.UC_CTL_TB_REMOVE_CACHE | 2 << 26
        guard.request_code = unicorn_const.UC_CTL_IO_READ_WRITE << 30 | unicorn_const.UC_CTL_TB_REQUEST_CACHE | 2 << 26
        callbacks = (_SLOW_READ_CALLBACK(slow_read), _SLOW_WRITE_CALLBACK(slow_write))
        self._keep.append(callbacks)
        guard.slow_read = function_pointer(callbacks[0])
        guard.slow_write = function_pointer(callbacks[1])
        for alias in ALIASES[1:]:
            self._checked(
                uclib.uc_mmio_map(
                    self.handle,
                    ctypes.c_uint64(alias),
                    ctypes.c_uint64(ADDRESS_SPACE),
                    ctypes.cast(hooks.guard_on_read, ctypes.c_void_p),
                    ctypes.byref(state),
                    ctypes.cast(hooks.guard_on_write, ctypes.c_void_p),
                    ctypes.byref(state),
                ),
                "cannot map the alias of guarded memory",
            )
        for alias in ALIASES[1:3]:
            self._checked(
                uclib.uc_mem_protect(self.handle, ctypes.c_uint64(alias), ctypes.c_uint64(ADDRESS_SPACE), 0),
                "cannot protect the alias of guarded memory",
            )
        self.hook(
            unicorn_const.UC_HOOK_MEM_WRITE_PROT,
            function_pointer(hooks.core_on_invalid),
            state,
            (ADDRESS_SPACE, 3 * ADDRESS_SPACE - 1),
        )
        self.hook(unicorn_const.UC_HOOK_TLB_FILL, function_pointer(hooks.guard_on_tlb_fill), state)
        self.uc.ctl_set_tlb_mode(unicorn_const.UC_TLB_VIRTUAL)
        guard.on = 1
        self.forget_pages()

    def forget_pages(self) -> None:
        """What accesses are allowed has changed."""
        uclib.uc_ctl(self.handle, _CTL_WRITE | unicorn_const.UC_CTL_TLB_FLUSH)

    def flush(self) -> None:
        """Forget every translated block: code has changed."""
        self.uc.ctl_flush_tb()

    def close(self) -> None:
        """Free the instance now rather than whenever Python gets to it."""
        del self.uc
        self._keep.clear()
