"""The firmware pairs, all of them built once, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main
from orchestrator.config import DEFAULT_PLATFORM


class Pair(Protocol):
    main: Path
    remote: Path


class Rptwin(Protocol):
    def __call__(self, *arguments: object) -> Result: ...


@pytest.fixture(scope="session")
def pair(firmware: Callable[..., Pair]) -> Callable[..., Pair]:
    """``pair(variant, platform)``: two images; the first call builds every variant for every platform."""
    everything = firmware("all")
    folder = everything.main.parents[2]

    def of(variant: str, platform: str = DEFAULT_PLATFORM) -> Pair:
        images = folder / platform / variant
        return type(everything)(images / "main.elf", images / "remote.elf")

    return of


@pytest.fixture
def rptwin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rptwin:
    """A command line; what it writes to is a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(each) for each in arguments], prog_name="rptwin")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return invoke
