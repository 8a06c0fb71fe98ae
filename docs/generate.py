"""Writes the pages of docs/ that are made from the code; with --check, says which are not current (exit code 1)."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ring_pictures import PICTURES
from robot.libdoc import libdoc

from orchestrator.checks import render_catalogue
from orchestrator.config import DEFAULT_PLATFORM

DOCS = Path(__file__).resolve().parent


def _of_the_tests(name: str) -> Any:
    """Examples that tests require as well: a module of ``tests/support/``."""
    folder = str(DOCS.parent / "tests")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(f"support.{name}")


def catalogue() -> str:
    """Every rule; those that a peer on a virtqueue can break with a finding of such a peer."""
    peers = _of_the_tests("hostile_peers").HOSTILE_PEERS
    return render_catalogue({rule: find() for rule, find in peers.items()})


def keywords() -> str:
    """The page of the Robot library, as libdoc writes it."""
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # no date: the page changes with the keywords only
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        if libdoc("orchestrator.robot.RptwinLibrary", str(page), quiet=True):
            raise SystemExit("libdoc failed")
        return page.read_text(encoding="utf-8")


def _pair(variant: str) -> tuple[Path, Path]:
    """The images of a variant of the firmware, built."""
    firmware = DOCS.parent / "firmware"
    subprocess.run(["make", "-s", "-C", firmware, f"PYTHON={sys.executable}", variant], check=True)
    images = firmware / "build" / DEFAULT_PLATFORM / variant
    return images / "main.elf", images / "remote.elf"


def _patched(folder: Path, name: str, variant: str) -> tuple[Path, Path]:
    """The images of a variant of the firmware with a patch of the tests in it, built in a folder."""
    top = folder / f"{name}-{variant}"
    firmware = top / "firmware"
    if not firmware.exists():
        shutil.copytree(DOCS.parent / "firmware", firmware)
        patch = DOCS.parent / "tests" / "integration" / "faults" / f"{name}.patch"
        environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder)}
        subprocess.run(["git", "apply", "-p1", patch], cwd=top, env=environment, check=True)
        subprocess.run(["make", "-s", "-C", firmware, f"PYTHON={sys.executable}", variant], check=True)
    images = firmware / "build" / DEFAULT_PLATFORM / variant
    return images / "main.elf", images / "remote.elf"


def field_bugs() -> str:
    """Bugs of public projects, built, judged and run."""
    bugs = _of_the_tests("field_bugs")
    with tempfile.TemporaryDirectory() as folder:
        return str(bugs.page(bugs.Workplace(Path(folder), _pair, functools.partial(_patched, Path(folder)))))


PAGES = {
    DOCS / "check-catalogue.md": catalogue,
    DOCS / "robot" / "keywords.md": keywords,
    **{DOCS / "rings" / f"{name}.svg": make for name, make in PICTURES.items()},
}


# Written only: tests/integration/test_field_bugs.py checks it, where the firmware is built anyway.
FROM_RUNS = {DOCS / "field-bugs.md": field_bugs}


def main(arguments: list[str]) -> int:
    """Write or check every page."""
    stale = []
    for path, make in (PAGES if "--check" in arguments else PAGES | FROM_RUNS).items():
        text = make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"not current: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
