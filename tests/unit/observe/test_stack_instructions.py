"""Which instructions push and which return, by their encodings (DDI0403E A7.7), at the end of a stack."""

from __future__ import annotations

import pytest

from orchestrator.base.errors import TranslationError
from orchestrator.base.memory import Extent
from orchestrator.events import Access
from orchestrator.observe.stacks import StackGuard

END = 0x2000_1000
CODE = 0x0800_0000

PUSHES = {
    "PUSH {r4}": (0xB410, 0),
    "PUSH {r0-r7, lr}": (0xB5FF, 0),
    "STR r0, [sp]": (0x9000, 0),
    "STR r7, [sp, #1020]": (0x97FF, 0),
    "PUSH.W {r4-r8, lr}": (0xE92D, 0x41F0),
    "STR.W r0, [sp, #-4]!": (0xF84D, 0x0D04),
    "STR.W r0, [sp, #4]": (0xF8CD, 0x0004),
    "STRB.W r0, [sp, #4]": (0xF88D, 0x0004),
    "STRH.W r0, [sp, #4]": (0xF8AD, 0x0004),
    "STRD r0, r1, [sp, #-8]": (0xE94D, 0x0102),
    "STRD r0, r1, [sp, #-8]!": (0xE96D, 0x0102),
    "STRD r0, r1, [sp, #8]": (0xE9CD, 0x0102),
    "VPUSH {d8}": (0xED2D, 0x8B02),
    "VPUSH {s17}": (0xED6D, 0x8A01),
    "VSTR d0, [sp]": (0xED8D, 0x0B00),
    "VSTR s1, [sp]": (0xEDCD, 0x0A00),
}
RETURNS = {
    "POP {r4}": (0xBC10, 0),
    "POP {r0-r7, pc}": (0xBDFF, 0),
    "POP.W {r4-r8, pc}": (0xE8BD, 0x81F0),
    "LDR r0, [sp], #4": (0xF85D, 0x0B04),
    "VPOP {d8}": (0xECBD, 0x8B02),
    "VPOP {s17}": (0xECFD, 0x8A01),
}
OTHERS = {
    "STR r0, [r1]": (0x6008, 0),
    "STRH r0, [r1]": (0x8FFF, 0),
    "LDR r0, [sp]": (0x9800, 0),
    "ADD sp, #4": (0xB001, 0),
    "CPSIE i": (0xB662, 0),
    "REV r0, r0": (0xBA00, 0),
    "BKPT": (0xBE00, 0),
    "STMDB r0!, {r1, r2}": (0xE920, 0x0006),
    "STR.W r0, [sp, r1]": (0xF84D, 0x0001),
    "LDR.W r0, [sp, r1]": (0xF85D, 0x0001),
    "LDR r0, [sp], #-4": (0xF85D, 0x0904),
    "LDR.W r0, [sp, #4]": (0xF8DD, 0x0004),
    "STRD r0, r1, [r0, #8]": (0xE9C0, 0x0102),
    "VLDR d0, [sp]": (0xED9D, 0x0B00),
    "VLDMIA r0!, {d8}": (0xECB0, 0x8B02),
}


class Flash:
    """One instruction, at an address with the Thumb bit or without."""

    view = "cpu"

    def __init__(self, code: tuple[int, int] | None) -> None:
        self._code = code

    def read(self, address: int, size: int) -> bytes:
        if self._code is None or address != CODE or size != 4:
            raise TranslationError("no memory", where=f"{address:#x}")
        return self._code[0].to_bytes(2, "little") + self._code[1].to_bytes(2, "little")

    def write(self, address: int, data: bytes) -> None:
        raise AssertionError("nobody writes code")


def access(address: int, *, writes: bool = True, frame: bool = False) -> Access:
    return Access(1, 1, CODE | 1, address, 4, 1, writes, frame, 0, 0 if writes else None)


def guard() -> StackGuard:
    return StackGuard("remote", END, "__stack_limit", END + 0x1000, 0x2000_0000)


@pytest.mark.parametrize("name", [*PUSHES, *RETURNS, *OTHERS])
def test_only_a_store_by_the_stack_pointer_is_a_push(name: str) -> None:
    found = guard()
    memory = Flash((PUSHES | RETURNS | OTHERS)[name])
    found.see([access(END + 4), access(END - 4)], memory)
    assert (found.crossed is not None) is (name in PUSHES)


@pytest.mark.parametrize("name", [*PUSHES, *RETURNS, *OTHERS])
def test_only_what_takes_from_the_stack_ends_a_descent(name: str) -> None:
    found = guard()
    found.see([access(END + 4, frame=True)], Flash(None))
    found.see([access(END + 8, writes=False)], Flash((PUSHES | RETURNS | OTHERS)[name]))
    assert (found.near is None) is (name in RETURNS)


def test_where_the_instruction_cannot_be_read_nothing_is_a_push() -> None:
    found = guard()
    found.see([access(END + 4), access(END - 4)], Flash(None))
    assert (found.crossed, found.near) == (None, None)


def test_the_end_itself_is_the_stacks_and_the_byte_below_is_not() -> None:
    memory = Flash(PUSHES["PUSH {r4}"])
    found = guard()
    found.see([access(END)], memory)
    assert (found.near, found.crossed) == (END, None)
    found.see([access(END - 1)], memory)
    assert (found.deepest, found.crossed is not None) == (END - 1, True)
    found.see([access(END - 4)], memory)
    found.see([access(END - 3)], memory)
    assert found.deepest == END - 4


def test_what_is_looked_at_is_near_the_end_and_deeper_once_it_was_crossed() -> None:
    found = guard()
    assert found.extent == Extent.between(END - 0x400, END + 0x400)
    memory = Flash(PUSHES["PUSH {r4}"])
    found.see([access(END + 4), access(END - 0x404)], memory)
    assert found.crossed is None
    found.see([access(END - 0x400)], memory)
    assert found.crossed is not None
    assert found.extent == Extent.between(0x2000_0000, END + 0x400)
    found.floor = 0x1000_0000
    assert found.extent.start == END - 0x4000
    found.top = END + 0x100
    assert found.extent.end == END + 0x100
