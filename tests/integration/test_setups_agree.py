"""RPTUN set-ups by chance on both engines: a few here, 200 in CI and thousands by ``make conformance``."""

from __future__ import annotations

import pytest

from conformance import setups
from orchestrator.formats.elf import load_elf

pytestmark = [pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm"), pytest.mark.xdist_group("remote")]

SEEDS = range(4)  # the remote drives in the last


@pytest.mark.parametrize("seed", SEEDS)
def test_a_setup_is_recorded_alike_on_both_engines(pair, tmp_path, seed):
    pair("demo", setups.PLATFORM)
    assert setups.difference(seed, tmp_path) is None, setups.setup_of(seed)


def test_a_number_gives_one_setup_and_the_same_bytes(pair):
    image = pair("demo", setups.PLATFORM).remote
    table = setups._table_of(image)
    first, again, other = (setups.with_setup(image.read_bytes(), table, setups.setup_of(seed)) for seed in (7, 7, 8))
    assert first == again != other


def test_setups_that_differ_are_not_recorded_alike(pair, tmp_path, monkeypatch):
    images = pair("demo", setups.PLATFORM)
    table = setups._table_of(images.remote)
    recordings = []
    for seed in (1, 2):
        remote = tmp_path / f"{seed}.elf"
        remote.write_bytes(setups.with_setup(images.remote.read_bytes(), table, setups.setup_of(seed)))
        recordings.append(setups._recorded(images.main, remote, setups.setup_of(seed), "unicorn"))
        assert load_elf(remote).segments
    assert recordings[0].at_rest
    assert setups.first_difference(*recordings, ("1", "2")) is not None
