from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conformance.sequences import generate, pack

SEQUENCE = 13 * 4 + 4 + 16 * 4 + 128 * 2  # struct sequence of injected.c


@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
def test_a_seed_gives_always_the_same_sequences_and_each_fits_its_place(seed: int, cores: int) -> None:
    sequences = generate(seed, 3, cores=cores)
    assert sequences == generate(seed, 5, cores=cores)[:3]
    assert len(pack(sequences)) == 3 * SEQUENCE
    assert all(sequence.code[-1] == 0x4770 and len(sequence.code) <= 128 for sequence in sequences)


def test_sequences_differ_and_pend_interrupts() -> None:
    sequences = generate(1, 20)
    assert len({sequence.code for sequence in sequences}) == 20
    assert all(0xF8C8 in sequence.code for sequence in sequences)


def test_two_cores_ask_each_other_with_interrupts_masked_and_by_svc() -> None:
    sequences = generate(1, 20, cores=2)
    asks = (0xF240, 0x0C00, 0xF6C3, 0x0C20)
    assert any(asks == sequence.code[at : at + 4] for sequence in sequences for at in range(128))
    assert any(half in range(0xDF01, 0xDF08) for sequence in sequences for half in sequence.code)


def test_what_lets_the_other_core_run_is_packed_only_where_it_has_an_effect() -> None:
    sequences = generate(1, 20, cores=2)
    assert b"\x10\xbf" in pack(sequences, yields=True)
    assert b"\x10\xbf" not in pack(sequences)
