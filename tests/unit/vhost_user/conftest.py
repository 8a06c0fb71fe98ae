"""A short path for a socket, and nothing left open or mapped after any test here."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.vhost import Descriptors, GuestMemory

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = Descriptors()
    yield
    assert before.left == (0, 0), "descriptors, mappings"


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vh") as folder:
        yield Path(folder) / "s"


@pytest.fixture
def guest(nothing_is_left: None) -> Iterator[GuestMemory]:
    memory = GuestMemory()
    yield memory
    memory.close()
