"""What loads and stores do, by encodings that LLVM's assembler made of the text beside them."""

from __future__ import annotations

import pytest

from orchestrator.engines.renode.thumb import DataAccess, access_of, is_second_half

READS, WRITES = True, False


@pytest.mark.parametrize(
    ("text", "code", "reads", "size", "register"),
    [
        ("ldr r3, [r3]", "1b68", READS, 4, 3),
        ("str r1, [r2, #4]", "5160", WRITES, 4, 1),
        ("ldrb r0, [r1, #3]", "c878", READS, 1, 0),
        ("strb r0, [r1]", "0870", WRITES, 1, 0),
        ("ldrh r0, [r1, #2]", "4888", READS, 2, 0),
        ("strh r0, [r1]", "0880", WRITES, 2, 0),
        ("ldr r0, [r1, r2]", "8858", READS, 4, 0),
        ("str r0, [r1, r2]", "8850", WRITES, 4, 0),
        ("ldrsb r0, [r1, r2]", "8856", READS, 1, 0),
        ("ldrsh r0, [r1, r2]", "885e", READS, 2, 0),
        ("strh r0, [r1, r2]", "8852", WRITES, 2, 0),
        ("strb r0, [r1, r2]", "8854", WRITES, 1, 0),
        ("ldrh r0, [r1, r2]", "885a", READS, 2, 0),
        ("ldrb r0, [r1, r2]", "885c", READS, 1, 0),
        ("ldr r0, [pc, #4]", "0148", READS, 4, 0),
        ("str r0, [sp, #8]", "0290", WRITES, 4, 0),
        ("ldr r0, [sp, #8]", "0298", READS, 4, 0),
        ("push {r4, lr}", "10b5", WRITES, 4, None),
        ("pop {r4, pc}", "10bd", READS, 4, None),
        ("ldm r0!, {r1, r2}", "06c8", READS, 4, None),
        ("stm r0!, {r1, r2}", "06c0", WRITES, 4, None),
        ("ldr.w r9, [r10, #100]", "daf86490", READS, 4, 9),
        ("str r9, [r10, #-4]", "4af8049c", WRITES, 4, 9),
        ("ldrb.w r9, [r10]", "9af80090", READS, 1, 9),
        ("strh.w r9, [r10]", "aaf80090", WRITES, 2, 9),
        ("ldrsh.w r9, [r10, r1, lsl #1]", "3af91190", READS, 2, 9),
        ("ldrd r0, r1, [r2]", "d2e90001", READS, 4, None),
        ("strd r0, r1, [r2, #8]", "c2e90201", WRITES, 4, None),
        ("ldmia.w r10, {r4, r5}", "9ae83000", READS, 4, None),
        ("stmdb r10!, {r4, r5}", "2ae93000", WRITES, 4, None),
        ("ldrex r0, [r1]", "51e8000f", READS, 4, 0),
        ("strex r2, r0, [r1]", "41e80002", WRITES, 4, 0),
        ("ldrexb r0, [r1]", "d1e84f0f", READS, 1, 0),
        ("strexb r2, r0, [r1]", "c1e8420f", WRITES, 1, 0),
        ("ldrexh r0, [r1]", "d1e85f0f", READS, 2, 0),
        ("strexh r2, r0, [r1]", "c1e8520f", WRITES, 2, 0),
        ("tbb [r0, r1]", "d0e801f0", READS, 1, None),
        ("tbh [r0, r1, lsl #1]", "d0e811f0", READS, 2, None),
        ("vldr s0, [r0]", "90ed000a", READS, 4, None),
        ("vstr s0, [r0]", "80ed000a", WRITES, 4, None),
        ("vldr d0, [r0]", "90ed000b", READS, 8, None),
        ("vpush {d8}", "2ded028b", WRITES, 8, None),
    ],
)
def test_a_load_or_store_says_what_it_wants(text: str, code: str, reads: bool, size: int, register: int | None) -> None:
    assert access_of(bytes.fromhex(code).ljust(4, b"\0")) == DataAccess(reads, size, register), text


@pytest.mark.parametrize(
    ("text", "code"),
    [("adds r0, r1", "4018"), ("add.w r0, r1, r2", "01eb0200"), ("b.w .", "fff7febf"), ("bx lr", "7047")],
)
def test_what_is_no_load_and_no_store_says_nothing(text: str, code: str) -> None:
    assert access_of(bytes.fromhex(code).ljust(4, b"\0")) is None, text


def test_code_that_ends_too_soon_says_nothing() -> None:
    assert access_of(b"\x1b\x68") is None


@pytest.mark.parametrize(
    ("text", "code", "second"),
    [
        ("ldm.w r0, {r4, r5}", "90e83000 00bf", True),
        ("strd r3, r4, [r0], #8", "e0e80234 00bf", True),
        ("(the end of something); ldr r3, [r3]; nop", "01e8 1b68 00bf", False),
        ("adds r0, r1; ldr r3, [r3]; nop", "4018 1b68 00bf", False),
    ],
)
def test_where_an_instruction_of_several_words_begins(text: str, code: str, second: bool) -> None:
    assert is_second_half(bytes.fromhex(code)) is second, text
