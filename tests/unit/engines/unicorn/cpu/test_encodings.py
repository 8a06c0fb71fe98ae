"""Instructions are recognised by all of their bits: capstone, a decoder of its own, says what each encoding is.

All narrow encodings, and of the wide ones a sample: a tenth of it anywhere, the rest around what is recognised.
RPTWIN_ENCODINGS says how many, RPTWIN_ENCODINGS_SEED which (`make encodings` takes 4 million).
"""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from orchestrator.base.memory import BytesMemory
from orchestrator.engines.common.backtrace import _after_call
from orchestrator.engines.renode.thumb import access_of
from orchestrator.engines.unicorn.cpu.code_marks import hint_at, is_floating_point
from orchestrator.engines.unicorn.native.abi import CoreState, PageBits, hooks
from orchestrator.observe.stacks import _is_return, _stores_by_sp

capstone = pytest.importorskip("capstone", reason="capstone, a decoder to compare with")

COUNT = int(os.environ.get("RPTWIN_ENCODINGS", "60000"))
SEED = int(os.environ.get("RPTWIN_ENCODINGS_SEED", "0"))
NOP = 0xBF00
NARROW = tuple(first for first in range(0x10000) if first >> 11 not in (0b11101, 0b11110, 0b11111))
# First halfwords around which something is recognised: load and store multiple, dual and exclusive, MSR, hints,
# divisions, single accesses, floating-point.
AROUND = (
    *(range(0xE800, 0xEA00), range(0xF380, 0xF3C0), range(0xFB80, 0xFC00), range(0xF800, 0xFA00)),
    *(range(0xEC00, 0xF000), range(0xFC00, 0x10000), range(0xF7C0, 0xF800)),
)
SECONDS = (  # bits that are set, and bits that are free, of second halfwords that mean something there
    *((0, 0xFFFF), (0x8000, 0x0FFF), (0x8000, 0x00FF), (0xF0F0, 0x0F0F), (0x0F0F, 0xF0F0)),
    *((0x0A00, 0xF1FF), (0x0E00, 0xF0FF), (0x0F40, 0xF0FF)),
)
FLOATING = ("v", "fldm", "fstm")
ELEMENTS = ("vld1", "vld2", "vld3", "vld4", "vst1", "vst2", "vst3", "vst4")  # loads and stores of Advanced SIMD
OTHERS = ("sha", "aes", "vldr.16", "vstr.16")  # that no core here has


def _samples() -> Iterator[tuple[int, int]]:
    yield from ((0xF3AF, second) for second in range(0x8000, 0x8100))
    chance = random.Random(SEED)
    for _ in range(COUNT // 10):
        yield chance.choice((0xE800, 0xF000, 0xF800)) | chance.randrange(0x800), chance.randrange(0x10000)
    for _ in range(COUNT - COUNT // 10):
        fixed, free = chance.choice(SECONDS)
        yield chance.choice(chance.choice(AROUND)), fixed | chance.randrange(0x10000) & free


@cache
def wide() -> tuple[tuple[int, int], ...]:
    return tuple(_samples())


@cache
def decoded() -> tuple[tuple[str, str], ...]:
    """Mnemonic without its width, and operands; "" for what is none, or unpredictable."""
    return tuple(_decoded(wide()))


@cache
def decoded_narrow() -> tuple[tuple[str, str], ...]:
    return tuple(_decoded((first,) for first in NARROW))


def _decoded(codes: Iterator[tuple[int, ...]] | tuple[tuple[int, int], ...]) -> Iterator[tuple[str, str]]:
    thumb = capstone.CS_MODE_THUMB | capstone.CS_MODE_V8
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, thumb | capstone.CS_MODE_MCLASS)
    of_a_profile = capstone.Cs(capstone.CS_ARCH_ARM, thumb)
    for halves in codes:
        code = b"".join(each.to_bytes(2, "little") for each in halves)
        found = next(decoder.disasm_lite(code, 0x1000, 1), (0, 0, "", ""))
        name, operands = found[2:] if found[1] == len(code) and not found[2].startswith(OTHERS) else ("", "")
        if name.startswith("v") and halves[0] & 0xF800 == 0xF000:
            name, operands = "", ""  # capstone takes BLX to Arm code for vectors of Armv8-A that begin with 0xff
        if not name and any(found[2] == "blx" for found in of_a_profile.disasm_lite(code, 0x1000, 1)):
            name = "blx"  # to Arm code
        if name == "msr" and (halves[0] & 0xFFF0, halves[1] & 0xF300) != (0xF380, 0x8000):
            name = ""  # bits that should be zero are not (DDI0403E B5.2.3): unpredictable, and undefined to Unicorn
        yield name.removesuffix(".w"), operands


def marked(kind: str, codes: tuple[tuple[int, ...], ...], **told: int) -> list[bool]:
    """Which of them the native hook looks at, on pages that hold nothing else."""
    state = CoreState()
    state.has_limits = 1
    state.traps, state.guard.watch_faultmask = told.get("traps", 0), told.get("watch_faultmask", 0)
    found = []
    length = len(codes[0])
    room = 512 // length
    for start in range(0, len(codes), room):
        part = codes[start : start + room]
        page = (ctypes.c_uint16 * 512)(*(half for each in part for half in each), *([NOP] * (512 - length * len(part))))
        bits = PageBits()
        bits.code, bits.behind = ctypes.addressof(page), NOP
        hooks.core_mark(ctypes.byref(state), ctypes.byref(bits))
        looks = bytes(getattr(bits, kind))
        found += [bool(looks[at >> 3] >> (at & 7) & 1) for at in range(0, length * len(part), length)]
    return found


def is_special(name: str, operands: str) -> bool:
    """What is looked at whatever the core has switched on: hints that stop, exclusive loads, bases that have to be
    aligned, stack pointers and their limits, and what Unicorn executes although no M-profile core does.
    """
    if name in ("yield", "wfe", "wfi", "sev") or name.startswith(("ldrex", "ldaex")):
        return True
    if name == "msr":
        return operands.partition(",")[0] in ("msp", "psp", "msplim", "psplim")
    if name in ("vmrs", "vmsr"):
        return "fpscr" not in operands  # there is no other register
    if name.startswith(ELEMENTS) or (name == "blx" and not operands):
        return True  # of A-profile
    base = operands.partition("[")[2] or operands
    base = base.replace("]", ",").replace("!", ",").partition(",")[0].strip()
    several = ("ldm", "stm", "fldm", "fstm", "vldm", "vstm", "vldr", "vstr")
    return (name.startswith(several) or name in ("ldrd", "strd")) and base not in ("sp", "pc")


def is_empty_space(first: int, second: int) -> bool:
    """Load and store multiple, dual, exclusive (DDI0403E A5.3.5, A5.3.6), floating-point ones (A6.5), VMRS and VMSR,
    elements of Advanced SIMD, BLX to Arm code: what is none of them there is unpredictable or undefined all the same.
    """
    if first & 0xF800 == 0xF000:
        return second & 0xD000 == 0xC000
    return first & 0xFE00 in (0xE800, 0xEC00) or first & 0xFFE0 == 0xEEE0 or first & 0xFF10 == 0xF900


def differences(
    found: list[bool], expected: Callable[[str, str], bool], known: tuple[tuple[str, str], ...] | None = None
) -> list[str]:
    """Wide encodings that are recognised and are something else, or the other way round."""
    return [
        f"{first:04x} {second:04x} {name} {operands}: {'' if is_found else 'not '}recognised"
        for (first, second), is_found, (name, operands) in zip(wide(), found, known or decoded(), strict=True)
        if is_found is not expected(name, operands) and (name or not (is_found and is_empty_space(first, second)))
    ]


def test_wide_instructions_that_are_looked_at_are_those() -> None:
    assert not differences(marked("look", wide()), is_special)


def test_msr_of_faultmask_is_looked_at_where_it_matters() -> None:
    found = marked("look", wide(), watch_faultmask=1)
    assert not differences(
        found,
        lambda name, operands: is_special(name, operands) or (name == "msr" and operands.startswith("faultmask,")),
    )


def test_divisions_are_looked_at_where_they_trap() -> None:
    found = marked("look", wide(), traps=1)
    assert not differences(found, lambda name, operands: is_special(name, operands) or name in ("sdiv", "udiv"))


def test_floating_point_instructions_are_looked_at_where_the_unit_is_off() -> None:
    codes = [code for code, (name, _) in zip(wide(), decoded(), strict=True) if is_float(name)]
    found = marked("look_fp", tuple(codes))
    for (first, second), is_found in zip(codes, found, strict=True):
        is_vector = first & 0xEF00 == 0xEF00 or first & 0xFF10 == 0xF900  # Advanced SIMD: no core here has it
        is_expected = not is_vector and not is_of_other_coprocessor(second)
        assert is_found is is_expected, f"{first:04x} {second:04x}"
        assert is_floating_point(first, second) is is_found


def is_float(name: str) -> bool:
    return name.startswith(FLOATING) and not name.startswith(ELEMENTS)


def is_of_other_coprocessor(second: int) -> bool:
    """Of 8, 9 and 13: half precision, complex numbers and dot products of later architectures."""
    return second & 0x0E00 != 0x0A00


def test_narrow_instructions_that_are_looked_at_are_those() -> None:
    codes = tuple((first,) for first in NARROW)
    found = marked("look", codes, watch_faultmask=1)
    for first, is_found, (name, operands) in zip(NARROW, found, decoded_narrow(), strict=True):
        faultmask = name.startswith("cps") and operands in ("f", "if")
        assert is_found is (is_special(name, operands) or faultmask or (not name and first >> 12 == 12)), f"{first:04x}"


def test_hints_are_hints() -> None:
    stops = ("yield", "wfe", "wfi", "sev")
    for first, (name, _) in zip(NARROW, decoded_narrow(), strict=True):
        assert (hint_at(first.to_bytes(2, "little"))[0] is not None) is (name in stops), f"{first:04x}"
    for (first, second), (name, _) in zip(wide(), decoded(), strict=True):
        code = first.to_bytes(2, "little") + second.to_bytes(2, "little")
        assert (hint_at(code)[0] is not None) is (name in stops), code.hex()


def test_an_access_reads_or_writes_as_many_bytes_as_its_name_says() -> None:
    """Only of what accesses anything: a fault has shown that."""
    names = {"ldr": (True, 4), "ldrb": (True, 1), "ldrh": (True, 2), "ldrsb": (True, 1), "ldrsh": (True, 2)}
    names |= {"str": (False, 4), "strb": (False, 1), "strh": (False, 2), "ldrd": (True, 4), "strd": (False, 4)}
    names |= {"ldm": (True, 4), "stm": (False, 4), "ldmdb": (True, 4), "stmdb": (False, 4)}
    names |= {"ldrex": (True, 4), "strex": (False, 4), "ldrexb": (True, 1), "strexh": (False, 2)}
    for (first, second), (name, operands) in zip(wide(), decoded(), strict=True):
        if name in names and "pc]" not in operands:
            access = access_of(first.to_bytes(2, "little") + second.to_bytes(2, "little"))
            assert access is not None, f"{first:04x} {second:04x} {name} {operands}"
            assert (access.reads, access.size) == names[name], f"{first:04x} {second:04x} {name} {operands}"


def test_exclusive_stores_are_those() -> None:
    found = [bool(hooks.is_exclusive_store(first, second)) for first, second in wide()]
    assert not differences(found, lambda name, _operands: name.startswith(("strex", "stlex")))


def test_unprivileged_accesses_are_those_with_a_t() -> None:
    names = ("ldrt", "ldrbt", "ldrht", "ldrsbt", "ldrsht", "strt", "strbt", "strht")
    found = [bool(hooks.is_unprivileged_access(first, second)) for first, second in wide()]
    assert not differences(found, lambda name, _operands: name in names)


def test_what_moves_the_stack_is_a_push_or_a_pop() -> None:
    for (first, second), (name, operands) in zip(wide(), decoded(), strict=True):
        if name and _stores_by_sp(first, second):
            assert name.startswith(("push", "stm", "str", "vpush", "vst", "fstm")), f"{first:04x} {second:04x} {name}"
            assert "sp" in operands or "push" in name
        if name and _is_return(first, second):
            assert name.startswith(("pop", "ldm", "ldr", "vpop", "vldm", "fldm")), f"{first:04x} {second:04x} {name}"


def test_a_call_is_bl_or_blx() -> None:
    for (first, second), (name, _) in zip(wide(), decoded(), strict=True):
        code = first.to_bytes(2, "little") + second.to_bytes(2, "little")
        if second & 0xFF87 != 0x4780:  # BLX of a register, behind any halfword
            assert _after_call(4, BytesMemory("cpu", 0, code)) is (name == "bl"), f"{first:04x} {second:04x} {name}"
    for first, (name, _) in zip(NARROW, decoded_narrow(), strict=True):
        memory = BytesMemory("cpu", 0, NOP.to_bytes(2, "little") + first.to_bytes(2, "little"))
        assert _after_call(4, memory) is (name == "blx"), f"{first:04x} {name}"
