"""Every recording in tests/golden, made again on the Unicorn engine from the images that lie beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import main
from orchestrator.cli.record import run_to_rest
from orchestrator.config import Settings
from orchestrator.recording import Recording, first_difference, load_recording

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
RECORDINGS = sorted(GOLDEN.glob("*/recording.json"))


def made_again(recording: Recording, folder: Path, **changed: object) -> Recording:
    kept = {name: value for name, value in recording.settings.items() if name != "map"}
    settings = Settings(
        platform=recording.platform,
        main=str(folder / "main.elf"),
        remote=str(folder / "remote.elf"),
        map=tuple(recording.settings["map"]),
        **kept,
    )
    return run_to_rest(dataclasses.replace(settings, **changed), tuple(recording.masks[1:]))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.parent.name)
def test_a_recording_is_what_the_unicorn_engine_makes_of_its_images(path: Path) -> None:
    recording = load_recording(path)
    assert first_difference(recording, made_again(recording, path.parent), (path.parent.name, "unicorn")) is None


def test_there_is_at_least_one_recording() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.parent.name)
def test_the_images_beside_a_recording_are_those_that_it_was_made_of(path: Path) -> None:
    recording = load_recording(path)
    for role, image in recording.images.items():
        beside = (path.parent / f"{role}.elf").read_bytes()
        assert hashlib.sha256(beside).hexdigest() == image["sha256"], role


def test_a_recording_through_the_protocol_equals_the_engines_own() -> None:
    path = GOLDEN / "demo-unicorn" / "recording.json"
    recording = load_recording(path)
    again = made_again(recording, path.parent, engine="unicorn-remote")
    assert again.recorded["engine"] == "unicorn-remote"
    assert first_difference(recording, again) is None


def test_a_recording_is_the_same_file_each_time_and_names_no_path(tmp_path: Path) -> None:
    folder = GOLDEN / "demo-unicorn"
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        arguments = ["record", str(folder / "main.elf"), str(folder / "remote.elf"), "-o", str(file)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "21 messages, 0 findings, at rest" in result.stdout
    assert files[0].read_bytes() == files[1].read_bytes()
    assert str(folder) not in files[0].read_text()
    assert json.loads(files[0].read_text())["quanta"] == {"5 us": "", "100 us": ""}
    result = CliRunner().invoke(main, ["compare", *map(str, files)])
    assert (result.exit_code, result.stdout) == (0, "equal: stm32h745 on unicorn and on unicorn\n")


def test_other_firmware_makes_another_recording_and_the_difference_is_said(
    firmware: Callable[[str], object], tmp_path: Path
) -> None:
    pair = firmware("leak")
    other = tmp_path / "leak.json"
    CliRunner().invoke(main, ["record", str(pair.main), str(pair.remote), "-o", str(other)])
    golden = GOLDEN / "demo-unicorn" / "recording.json"
    result = CliRunner().invoke(main, ["compare", str(golden), str(other)])
    assert result.exit_code == 1
    assert result.stdout.startswith("leak.json was not recorded at rest: ended quiet, in_flight vdev[0].vring[1] 8")
