"""Memory of this process for a board: of its own, also in a copy of the process that a fork makes."""

from __future__ import annotations

import ctypes
import mmap
import os

__all__ = ["private_memory", "remap"]


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
        address = ctypes.addressof(ctypes.c_char.from_buffer(each))
        rights, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED
        if libc.mmap(address, len(each), rights, kind, file, 0) != address:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


_MAP_FIXED = 0x10  # of Linux and the BSDs; Python does not name it
