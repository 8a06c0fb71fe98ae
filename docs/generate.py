"""Writes the pages of docs/ that are made from the code; with --check, says which are not current (exit code 1)."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from hostile_peers import HOSTILE_PEERS
from ring_pictures import PICTURES
from robot.libdoc import libdoc

from orchestrator.checks import render_catalogue

DOCS = Path(__file__).resolve().parent


def catalogue() -> str:
    """Every rule; those that a peer on a virtqueue can break with a finding of such a peer."""
    return render_catalogue({rule: find() for rule, find in HOSTILE_PEERS.items()})


def keywords() -> str:
    """The page of the Robot library, as libdoc writes it."""
    os.environ["SOURCE_DATE_EPOCH"] = "0"  # no date: the page changes with the keywords only
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.md"
        if libdoc("orchestrator.robot.RptwinLibrary", str(page), quiet=True):
            raise SystemExit("libdoc failed")
        return page.read_text(encoding="utf-8")


PAGES = {
    DOCS / "check-catalogue.md": catalogue,
    DOCS / "robot" / "keywords.md": keywords,
    **{DOCS / "rings" / f"{name}.svg": make for name, make in PICTURES.items()},
}


def main(arguments: list[str]) -> int:
    """Write or check every page."""
    stale = []
    for path, make in PAGES.items():
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
