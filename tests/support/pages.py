"""Pages that people read: their blocks of commands, run as they stand there, and what each is said to print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "blocks", "commands", "matches", "run", "with_output"]

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ANYTHING = "..."  # a line that stands for any lines


@dataclass(frozen=True)
class Command:
    """A command line of a page, and the lines beneath it; none where the page does not show them."""

    line: str
    output: str


def blocks(text: str, kind: str) -> list[str]:
    """The blocks of one kind, in order."""
    return [body for found, body in _FENCE.findall(text) if found == kind]


def commands(text: str) -> list[Command]:
    """Every command of the blocks of kind ``console``; one that ends in a backslash goes on in the next line."""
    return [each for block in blocks(text, "console") for each in _of_block(block)]


def _of_block(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = part.replace("\\\n", "").partition("\n")
        yield Command(line.partition("  # ")[0].strip(), output)


def run(line: str, folder: Path) -> str:
    """What a command prints, stdout and stderr together, in a folder with rptwin on its path; exit code 0 or 1."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    done = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), f"{line}\n{done.stdout}"
    return done.stdout


def matches(shown: str, printed: str) -> bool:
    """Whether a page shows what a command prints; ``...`` in a line of its own stands for any lines, or none."""
    parts = re.split(rf"^{re.escape(_ANYTHING)}\n", shown, flags=re.MULTILINE)
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed) is not None


def with_output(text: str, command: Command, printed: str) -> str:
    """The page with what a command prints in place of what it showed."""
    assert command.output in text
    return text.replace(command.output, printed, 1)
