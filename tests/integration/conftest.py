"""The firmware pairs, all of them built once, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main


class Pair(Protocol):
    main: Path
    remote: Path


class Rptwin(Protocol):
    def __call__(self, *arguments: object) -> Result: ...


@pytest.fixture(scope="session")
def pair(firmware: Callable[[str], Pair]) -> Callable[[str], Pair]:
    """``pair(variant)``: two images; the first call builds every variant."""
    everything = firmware("all")
    folder = everything.main.parent.parent

    def of(variant: str) -> Pair:
        return type(everything)(folder / variant / "main.elf", folder / variant / "remote.elf")

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
