"""The fuzzers themselves: a short run of each, the same inputs from the same seed, and what a finding leaves."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from fuzz import __main__ as fuzz
from fuzz.rings import Layouts, Rings, walk
from fuzz.target import BrokenError, Target
from orchestrator.base.errors import UsageError
from orchestrator.formats.virtqueue import SplitRing

QUICK = [target.name for target in fuzz.TARGETS if target.name not in ("images", "instructions")]


@pytest.mark.parametrize("name", QUICK)
def test_a_short_run_finds_nothing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--count", "8", "--seed", "3", "--only", name, "--output", str(tmp_path / "found")]
    assert fuzz.main(given) == 0, capsys.readouterr().out
    assert "8 inputs" in capsys.readouterr().out
    assert not (tmp_path / "found").exists()


def test_images_boot_twice_the_same(tmp_path: Path) -> None:
    assert fuzz.main(["--count", "2", "--only", "images", "--output", str(tmp_path)]) == 0


@pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
def test_instructions_are_those_of_qemu(tmp_path: Path) -> None:
    assert fuzz.main(["--count", "1", "--only", "instructions", "--output", str(tmp_path)]) == 0


@pytest.mark.parametrize("target", fuzz.TARGETS, ids=lambda target: target.name)
def test_a_seed_gives_always_the_same_inputs(target: Target) -> None:
    first, again = (target.make(random.Random("1/x/7")) for _ in range(2))
    assert first == again
    assert target.make(random.Random("1/x/8")) != first


class Picky:
    """Refuses odd numbers by a typed error, and fails at those of one input."""

    name = "layouts"  # a name that the command accepts

    def make(self, chance: random.Random) -> bytes:
        return struct.pack("<I", chance.getrandbits(8))

    def check(self, data: bytes) -> None:
        number = struct.unpack("<I", data)[0]
        if number % 2:
            raise UsageError("odd")
        if number % 4:
            raise BrokenError(f"{number} is no multiple of 4")


def test_a_finding_is_kept_with_the_command_that_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "TARGETS", (Picky(),))
    assert fuzz.main(["--count", "40", "--output", str(tmp_path)]) == 1
    capsys.readouterr()
    report = next(iter(sorted(tmp_path.glob("*.txt")))).read_text()
    command = report.splitlines()[0].split()
    assert command[:3] == ["python", "-m", "fuzz"]
    assert fuzz.main([*command[3:], "--output", str(tmp_path / "again")]) == 1
    assert "is no multiple of 4" in capsys.readouterr().out
    (kept,) = [each for each in (tmp_path / "again").iterdir() if each.suffix != ".txt"]
    assert kept.read_bytes() == (tmp_path / kept.name).read_bytes()


def test_the_oracle_of_rings_sees_a_rule_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SplitRing, "chain", lambda _self, _head: ())
    with pytest.raises(BrokenError, match="head 0 of"):
        Rings().check(Rings().make(random.Random(1)))


def test_the_oracle_of_layouts_sees_another_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.rings.RingLayout.legacy", fuzz_legacy)
    with pytest.raises(BrokenError, match="virtio has"):
        Layouts().check(struct.pack("<IHH", 0x1000, 8, 2))


def fuzz_legacy(base: int, num: int, align: int) -> object:
    """Without ``used_event``, as rpmsg-lite."""
    from orchestrator.formats.virtqueue import RingLayout  # noqa: PLC0415  # the real one

    return RingLayout.rpmsg_lite(base, num, align)


def test_the_oracle_reads_a_chain_as_virtio_has_it() -> None:
    table = struct.pack("<QIHH", 0x100, 4, 1, 2) + bytes(16) + struct.pack("<QIHH", 0x200, 8, 2, 0)
    assert walk(table.ljust(64, b"\0"), 0, 4, 0) == [(0x100, 4, False), (0x200, 8, True)]
    looped = struct.pack("<QIHH", 0x100, 4, 1, 0)
    assert walk(looped.ljust(64, b"\0"), 0, 4, 0) is None
