"""The native part: structures and constants as ``abi.h`` declares them, and the functions of the library."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from orchestrator.base.errors import EngineError
from orchestrator.engines.common.c_structs import Header

__all__ = [
    "ANSWERS",
    "AWAKE",
    "A_DEVICE",
    "BY_EVENT",
    "BY_RESET",
    "BY_WFE",
    "BY_WFI",
    "CLEAN",
    "DESTROYED",
    "EXIT_BUDGET",
    "EXIT_DENIED",
    "EXIT_NEW_PAGE",
    "EXIT_OTHER",
    "EXIT_SPECIAL",
    "EXIT_TRAP",
    "EXIT_UNMASKED",
    "FIRST_BITS",
    "INVALIDATE",
    "LINE_BYTES",
    "MASKED",
    "MOST_REGIONS",
    "NOTHING",
    "NO_ADDRESS",
    "NO_PAGE",
    "NO_TICK",
    "ON_EXIT",
    "OVERWRITES",
    "PAGES",
    "PAGE_BITS",
    "PAGE_SIZE",
    "PROBE_ACCESSES",
    "RETURNED_FROM",
    "SEEN",
    "SENT",
    "STALE_CODE",
    "STALE_READ",
    "STAYED",
    "TOO_EARLY",
    "TRAP_DIVISION",
    "TRAP_STACK_POINTER",
    "TRAP_UNALIGNED",
    "TURNS_BEFORE",
    "TURNS_GO_ON",
    "TURNS_LOOK",
    "TURNS_NEWS",
    "TURNS_SLICE",
    "AccessesState",
    "AnswerState",
    "BarrierState",
    "CacheState",
    "Compared",
    "CoreState",
    "CountedState",
    "DoingState",
    "FramesState",
    "IncoherenceState",
    "LineState",
    "MpuState",
    "NvicState",
    "OrderState",
    "PageBits",
    "ProbeState",
    "Seat",
    "Span",
    "SysTickState",
    "TakenState",
    "TrackedState",
    "TurnEnd",
    "TurnsState",
    "WatchState",
    "WayState",
    "Window",
    "hooks",
]

_HEADER = Header(Path(__file__).parent / "abi.h")
_constant = _HEADER.constants.__getitem__

EXIT_BUDGET, EXIT_NEW_PAGE, EXIT_SPECIAL = map(_constant, ("EXIT_BUDGET", "EXIT_NEW_PAGE", "EXIT_SPECIAL"))
EXIT_UNMASKED, EXIT_OTHER = map(_constant, ("EXIT_UNMASKED", "EXIT_OTHER"))
EXIT_DENIED, EXIT_TRAP = map(_constant, ("EXIT_DENIED", "EXIT_TRAP"))
TRAP_DIVISION, TRAP_UNALIGNED = map(_constant, ("TRAP_DIVISION", "TRAP_UNALIGNED"))
TRAP_STACK_POINTER, TRAP_UNDEFINED = map(_constant, ("TRAP_STACK_POINTER", "TRAP_UNDEFINED"))
SEEN, FIRST_BITS = map(_constant, ("SEEN", "FIRST_BITS"))
NO_ADDRESS, NO_PAGE, PAGE_BITS = map(_constant, ("NO_ADDRESS", "NO_PAGE", "PAGE_SHIFT"))
NO_TICK = _constant("NO_TICK")
AWAKE, BY_WFI, BY_WFE, ON_EXIT = map(_constant, ("AWAKE", "BY_WFI", "BY_WFE", "ON_EXIT"))
NOTHING, MASKED, BY_EVENT, BY_RESET = map(_constant, ("NOTHING", "MASKED", "BY_EVENT", "BY_RESET"))
LINE_BYTES, A_DEVICE, CLEAN, INVALIDATE = map(_constant, ("LINE_BYTES", "A_DEVICE", "CLEAN", "INVALIDATE"))
STALE_READ, STAYED, DESTROYED = map(_constant, ("STALE_READ", "STAYED", "DESTROYED"))
OVERWRITES, TOO_EARLY, STALE_CODE = map(_constant, ("OVERWRITES", "TOO_EARLY", "STALE_CODE"))
TURNS_GO_ON, TURNS_BEFORE, TURNS_SLICE = map(_constant, ("TURNS_GO_ON", "TURNS_BEFORE", "TURNS_SLICE"))
TURNS_LOOK, TURNS_NEWS = map(_constant, ("TURNS_LOOK", "TURNS_NEWS"))
ANSWERS = _constant("ANSWERS")
RETURNED_FROM, SENT = map(_constant, ("RETURNED_FROM", "SENT"))
MOST_REGIONS = _constant("MOST_REGIONS")
PAGE_SIZE = 1 << PAGE_BITS
PAGES = 1 << (32 - PAGE_BITS)
PROBE_ACCESSES = _constant("PROBE_ACCESSES") + _constant("PROBE_SPARE")


class PageBits(ctypes.Structure):
    """``struct bits``."""

    _fields_ = _HEADER.fields("bits")


class Window(ctypes.Structure):
    """``struct window``."""

    _fields_ = _HEADER.fields("window")


class DoingState(ctypes.Structure):
    """``struct doing``."""

    _fields_ = _HEADER.fields("doing")


class LineState(ctypes.Structure):
    """``struct line``."""

    _fields_ = _HEADER.fields("line")


class IncoherenceState(ctypes.Structure):
    """``struct incoherence``."""

    _fields_ = _HEADER.fields("incoherence")


class TrackedState(ctypes.Structure):
    """``struct tracked``."""

    _fields_ = _HEADER.fields("tracked")


class WayState(ctypes.Structure):
    """``struct way``."""

    _fields_ = _HEADER.fields("way")


class CacheState(ctypes.Structure):
    """``struct cache``."""

    _fields_ = _HEADER.fields("cache")


class SysTickState(ctypes.Structure):
    """``struct systick``."""

    _fields_ = _HEADER.fields("systick")


class NvicState(ctypes.Structure):
    """``struct nvic``."""

    _fields_ = _HEADER.fields("nvic")


class MpuState(ctypes.Structure):
    """``struct mpu``."""

    _fields_ = _HEADER.fields("mpu")


class TakenState(ctypes.Structure):
    """``struct taken``."""

    _fields_ = _HEADER.fields("taken")


class CoreState(ctypes.Structure):
    """``struct core``."""

    _fields_ = _HEADER.fields("core")


class AnswerState(ctypes.Structure):
    """``struct answer``."""

    _fields_ = _HEADER.fields("answer")


class Span(ctypes.Structure):
    """``struct span``."""

    _fields_ = _HEADER.fields("span")


class AccessesState(ctypes.Structure):
    """``struct accesses``."""

    _fields_ = _HEADER.fields("accesses")


class BarrierState(ctypes.Structure):
    """``struct barrier``."""

    _fields_ = _HEADER.fields("barrier")


class OrderState(ctypes.Structure):
    """``struct order``."""

    _fields_ = _HEADER.fields("order")


class Compared(ctypes.Structure):
    """``struct compared``."""

    _fields_ = _HEADER.fields("compared")


class TurnEnd(ctypes.Structure):
    """``struct turn_end``."""

    _fields_ = _HEADER.fields("turn_end")


class Seat(ctypes.Structure):
    """``struct seat``."""

    _fields_ = _HEADER.fields("seat")


class TurnsState(ctypes.Structure):
    """``struct turns``."""

    _fields_ = _HEADER.fields("turns")


class FramesState(ctypes.Structure):
    """``struct frames``."""

    _fields_ = _HEADER.fields("frames")


class WatchState(ctypes.Structure):
    """``struct watch``."""

    _fields_ = _HEADER.fields("watch")


class CountedState(ctypes.Structure):
    """``struct counted``."""

    _fields_ = _HEADER.fields("counted")


class ProbeState(ctypes.Structure):
    """``struct probe``."""

    _fields_ = _HEADER.fields("probe")


def _load_hooks() -> ctypes.CDLL:
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    path = Path(__file__).parents[1] / "_native" / f"libhook{suffix}"
    advice = "install rptwin for this platform again (in a checkout: make)"
    if not path.is_file():
        what = "the native part of the Unicorn engine is missing"
        raise EngineError(what, where="engine unicorn", expected=path.name, advice=advice)
    library = ctypes.CDLL(str(path))
    try:
        found = f"{ctypes.c_uint32.in_dll(library, 'native_abi').value:#010x}"
    except ValueError:
        found = "none"
    expected = f"{_HEADER.digest:#010x}"
    if found != expected:
        what = "the native part of the Unicorn engine is of another release"
        raise EngineError(what, where=f"engine unicorn: {path.name}", expected=expected, found=found, advice=advice)
    return library


hooks = _load_hooks()
hooks.core_run.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
hooks.core_run.restype = ctypes.c_uint32
hooks.core_advance.argtypes = (ctypes.c_void_p, ctypes.c_uint64)
hooks.core_advance.restype = ctypes.c_uint32
hooks.core_attend.argtypes = (ctypes.c_void_p,)
hooks.core_count_blocks.argtypes = (ctypes.c_void_p,) * 3
hooks.core_count_blocks.restype = ctypes.c_uint32
hooks.core_set_fast.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
hooks.core_set_fast.restype = None
hooks.core_free_blocks.argtypes = (ctypes.c_void_p,)
hooks.core_free_blocks.restype = None
hooks.core_protect.argtypes = (*(ctypes.c_void_p,) * 3, *(ctypes.c_uint32,) * 2)
hooks.core_protect.restype = None
hooks.mpu_learn.argtypes = (*(ctypes.c_void_p,) * 3, *(ctypes.c_uint32,) * 2)
hooks.mpu_learn.restype = ctypes.c_uint32
hooks.mpu_forget.argtypes = (ctypes.c_void_p,)
hooks.mpu_forget.restype = None
hooks.turns_run.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
hooks.turns_run.restype = ctypes.c_uint32
hooks.compared_update.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
hooks.compared_update.restype = ctypes.c_uint32
hooks.core_it_state.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
hooks.core_it_state.restype = ctypes.c_uint32
hooks.core_leave_it.argtypes = (ctypes.c_void_p,)
hooks.core_leave_it.restype = None
hooks.core_stop_behind.argtypes = (ctypes.c_void_p,)
hooks.core_stop_behind.restype = None
hooks.core_reconsider.argtypes = (ctypes.c_void_p,)
hooks.core_reconsider.restype = None
hooks.core_replan.argtypes = (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32)
hooks.core_replan.restype = None
hooks.nvic_drive.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
hooks.nvic_drive.restype = None
hooks.core_mark.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
hooks.core_mark.restype = ctypes.c_uint32
hooks.frames_enter.argtypes = (ctypes.c_void_p, ctypes.c_void_p, *(ctypes.c_uint32,) * 3, ctypes.c_int)
hooks.frames_leave.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
hooks.core_note_frame.argtypes = (ctypes.c_void_p, *(ctypes.c_uint32,) * 3, ctypes.c_int)
hooks.core_note_frame.restype = None
hooks.accesses_take.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
hooks.accesses_take.restype = ctypes.c_uint32
hooks.accesses_free.argtypes = (ctypes.c_void_p,)
hooks.accesses_free.restype = None
hooks.order_free.argtypes = (ctypes.c_void_p,)
hooks.order_free.restype = None
hooks.cache_load.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
hooks.cache_load.restype = None
hooks.cache_store.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64)
hooks.cache_store.restype = ctypes.c_uint32
hooks.cache_other.argtypes = (ctypes.c_void_p, *(ctypes.c_uint32,) * 3, ctypes.c_void_p)
hooks.cache_other.restype = None
hooks.cache_poke.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
hooks.cache_poke.restype = None
hooks.cache_maintain.argtypes = (ctypes.c_void_p, ctypes.c_void_p, *(ctypes.c_uint32,) * 3)
hooks.cache_maintain.restype = None
hooks.cache_maintain_way.argtypes = (ctypes.c_void_p, ctypes.c_void_p, *(ctypes.c_uint32,) * 4)
hooks.cache_maintain_way.restype = None
hooks.cache_reset.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32)
hooks.cache_reset.restype = None
hooks.cache_free.argtypes = (ctypes.c_void_p,)
hooks.cache_free.restype = None
hooks.core_read_masks.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
hooks.core_is_unprivileged.argtypes = (ctypes.c_void_p,)
hooks.core_is_unprivileged.restype = ctypes.c_uint32
