"""Memory of this process for a board: of its own, also in a copy of the process that a fork makes."""

from __future__ import annotations

import ctypes
import mmap
import os

__all__ = ["address_of", "holds", "private_memory", "remap"]


def private_memory(size: int) -> mmap.mmap:
    """Zeros. A fork copies them, where mmap's default would share them."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)  # a system without fork


def remap(windows: tuple[mmap.mmap, ...], file: int) -> None:
    """Have these show a file, at the addresses at which they are; OSError where the system refuses it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    for each in windows:
        address = address_of(each)
        rights, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED
        if libc.mmap(address, len(each), rights, kind, file, 0) != address:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def address_of(memory: mmap.mmap) -> int:
    """Where its first byte lies in this process."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def holds(address: int, data: bytes) -> bool:
    """Whether these bytes stand at an address of this process; nothing is copied to see it."""
    return bool(_memcmp(address, data, len(data)) == 0)


_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
_memcmp.restype = ctypes.c_int

_MAP_FIXED = 0x10  # of Linux and the BSDs; Python does not name it
