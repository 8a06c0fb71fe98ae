"""Writes the pages of docs/ that are made from the code; with --check, says which are not current (exit code 1)."""

from __future__ import annotations

import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ring_pictures import PICTURES
from robot.libdoc import libdoc

from orchestrator.base.durations import format_duration
from orchestrator.checks import render_catalogue
from orchestrator.config import DEFAULT_PLATFORM, RENODE_KEYS, SETTINGS, Setting, Settings

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


def settings() -> str:
    """Every setting: its form in rptwin.toml, its option, what it means and what it is by itself."""
    lines = [
        "# rptwin.toml",
        "",
        "Made from `orchestrator/config.py` by `make docs`; do not edit.",
        "",
        "`rptwin.toml` of the current folder, or `--config FILE`, holds what stays the same; the command line goes",
        "before it. Paths are relative to the file. An unknown key is an error. The keys of a pair in a file of",
        "`--pairs` are the same, but for the reports ([many pairs](many-pairs.md)).",
        "",
        "| key | form | meaning |",
        "|---|---|---|",
    ]
    for each in SETTINGS:
        default = getattr(Settings(), each.attribute)
        shown = format_duration(default) if each.metavar == "DURATION" and default else default
        by_itself = f" By itself: `{shown}`." if shown not in (None, (), {}, "") and "Default:" not in each.help else ""
        path = " A path." if each.is_path else ""
        meaning = (each.help + path + by_itself).replace(" Repeatable.", "").replace("|", "\\|")
        lines.append(f"| `{each.key}` | {_form(each)} | {meaning} |")
    lines += [
        "",
        "## [renode]",
        "Of the machine and not of a run, in `./rptwin.toml` or as `[tool.rptwin.renode]` in `pyproject.toml`: where a",
        f"Renode is. Keys: {', '.join(f'`{key}`' for key in RENODE_KEYS)} ([Renode](renode.md)).",
        "",
        "## Trust",
        "What only a file of the current folder names, and nobody has typed, runs code with `--trust` alone:",
        "peripheral scripts and models of a platform, and a Renode.",
    ]
    return "\n".join(lines) + "\n"


def _form(setting: Setting) -> str:
    """As TOML has it."""
    name, equals, value = setting.metavar.partition("=")
    quoted = value if value in ("ADDRESS", "CHANNEL") else f'"{value}"'
    if equals:
        return f"table: `{setting.key} = {{ {name.split('|')[-1]} = {quoted} }}`".replace("|", "\\|")
    if setting.repeated:
        return f'list of texts: `{setting.key} = ["{setting.metavar}"]`'
    kinds = {"NUMBER": "number, or text", "BYTES": 'number, or text as "64k"', "DURATION": 'text as "50 ms", "1.5 s"'}
    return kinds.get(setting.metavar, f"text: `{setting.metavar}`".replace("|", "\\|"))


def json_reports() -> str:
    """What stands in the JSON of a report, from its schema."""
    schema = json.loads((DOCS.parent / "orchestrator" / "report" / "report.schema.json").read_text(encoding="utf-8"))
    lines = [
        "# JSON reports",
        "",
        "Made from `orchestrator/report/report.schema.json` by `make docs`; do not edit.",
        "",
        "`--json FILE` writes one of these documents. The schema (JSON Schema 2020-12) comes with rptwin:",
        "`importlib.resources.files('orchestrator') / 'report' / 'report.schema.json'`. `schema` in a document is its",
        "version.",
        schema["description"].partition(". ")[2],
        "Everything that depends on the wall clock stands under `wall_clock`. Times are in nanoseconds, sizes in",
        "bytes, addresses numbers.",
    ]
    documents = [each["$ref"].rpartition("/")[2] for each in schema["anyOf"]]
    for name in (*documents, *(each for each in schema["$defs"] if each not in documents)):
        lines += ["", f"## {name}", *_definition(schema["$defs"][name])]
    return "\n".join(lines) + "\n"


def _definition(part: dict[str, Any]) -> list[str]:
    """A definition in words, and a table of its keys where it is an object."""
    about = part.get("description", "")
    lines = [about[:1].upper() + about[1:] + "."] if about else []
    if "properties" not in part:
        return [*lines, f"{_kind(part)}."]
    lines += ["", "| key | value | |", "|---|---|---|"] if lines else ["| key | value | |", "|---|---|---|"]
    return lines + _rows(part, "")


def _rows(part: dict[str, Any], prefix: str) -> list[str]:
    """Keys, and those of the objects inside that have no name of their own."""
    rows = []
    for key, value in part["properties"].items():
        optional = "" if key in part["required"] else ", if there is one"
        rows.append(f"| `{prefix}{key}` | {_kind(value)}{optional} | {value.get('description', '')} |")
        below = (value, f"{prefix}{key}.")
        if "items" in value:
            below = (value["items"], f"{prefix}{key}[].")
        elif isinstance(value.get("additionalProperties"), dict):
            below = (value["additionalProperties"], f"{prefix}{key}.*.")
        if "properties" in below[0]:
            rows += _rows(*below)
    return rows


def _kind(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if "anyOf" in value:
        return " or ".join(_kind(each) for each in value["anyOf"])
    if "enum" in value:
        return " \\| ".join(f"`{each}`" for each in value["enum"])
    if "items" in value:
        return f"list of {_kind(value['items'])}"
    if isinstance(value.get("additionalProperties"), dict):
        return f"by name: {_kind(value['additionalProperties'])}"
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return " or ".join(kinds)


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
    DOCS / "settings.md": settings,
    DOCS / "json.md": json_reports,
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
