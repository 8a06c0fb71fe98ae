from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conformance.sequences import generate, pack

SEQUENCE = 13 * 4 + 4 + 16 * 4 + 128 * 2  # struct sequence of injected.c


@given(st.integers(0, 10_000))
def test_a_seed_gives_always_the_same_sequences_and_each_fits_its_place(seed: int) -> None:
    sequences = generate(seed, 3)
    assert sequences == generate(seed, 5)[:3]
    assert len(pack(sequences)) == 3 * SEQUENCE
    assert all(sequence.code[-1] == 0x4770 and len(sequence.code) <= 128 for sequence in sequences)


def test_sequences_differ_and_pend_interrupts() -> None:
    sequences = generate(1, 20)
    assert len({sequence.code for sequence in sequences}) == 20
    assert all(0xF8C8 in sequence.code for sequence in sequences)
