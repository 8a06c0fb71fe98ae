"""Imports point downward only: the layers of docs/architecture.md, read from the source and not from running it."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "orchestrator"

# From the ground up; a part may import itself and what stands on a lower line. Parts on one line know nothing of each
# other: no engine knows RPTUN, what is observed knows no engine, and nobody who plays a core judges.
LAYERS = (
    ("base",),
    ("events",),
    ("config",),
    ("pairs",),
    ("platform",),
    ("formats",),
    ("virtqueue", "engines", "observe", "attach"),
    ("checks", "host"),
    ("vhost_user",),
    ("board",),
    ("trace",),
    ("report", "recording", "gdb", "explore"),
    ("cli", "robot", "pytest_plugin"),
    ("__main__",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

# Who alone may import a package, by the prefix of its path.
OWNERS = {"unicorn": "engines/unicorn/", "pyrenode3": "engines/renode/", "elftools": "formats/elf", "robot": "robot/"}

# Inside engines/ a part may import those on the right, and no other: an engine stands on what all share.
ENGINE_PARTS = {
    "contract": (),
    "common": ("contract",),
    "registry": ("contract",),
    "early": (),  # names of modules only
    "unicorn": ("common", "contract"),
    "qemu": ("common", "contract"),
    "isolated": ("common", "contract"),
    "renode": ("common", "contract", "isolated"),
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def name(source: Path) -> str:
    return source.relative_to(PACKAGE).as_posix()


def imports(source: Path) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, those inside functions and under TYPE_CHECKING too."""
    package = ["orchestrator", *source.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # ``from orchestrator import board`` names a module, ``from orchestrator.board import Board`` does not.
            own = module == "orchestrator"
            yield from ((node.lineno, f"{module}.{alias.name}" if own else module) for alias in node.names)


def part(module: str) -> str | None:
    """``orchestrator.formats.elf`` is of "formats"; None: not ours, or the root itself."""
    root, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    return first if root == "orchestrator" and (PACKAGE / first).exists() | (PACKAGE / f"{first}.py").exists() else None


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_imports_point_downward_only(source: Path) -> None:
    own = source.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert [module for _, module in imports(source) if part(module)] == []
        return
    assert own in LEVEL, f"{own} has no place in LAYERS"
    upward = [
        f"{name(source)}:{line} imports {module}"
        for line, module in imports(source)
        if (target := part(module)) and target != own and LEVEL[target] >= LEVEL[own]
    ]
    assert upward == []


def modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    found = {}
    for source in SOURCES:
        parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = source
    return found


def names_imported(source: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that a module names, ``from package import module`` included."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in known else node.module


def test_no_module_imports_itself_by_way_of_others() -> None:
    known = modules()
    graph = {module: {each for each in names_imported(source, known) if each in known and each != module}
             for module, source in known.items()}  # fmt: skip
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_each_foreign_package_has_one_owner(source: Path) -> None:
    strangers = [
        f"{name(source)}:{line} imports {module}"
        for line, module in imports(source)
        if (owner := OWNERS.get(module.partition(".")[0])) and not name(source).startswith(owner)
    ]
    assert strangers == []


@pytest.mark.parametrize("source", sorted((PACKAGE / "engines").glob("*/**/*.py")), ids=name)
def test_an_engine_imports_no_other_engine(source: Path) -> None:
    own = source.relative_to(PACKAGE / "engines").parts[0]
    assert own in ENGINE_PARTS, f"engines/{own} has no place in ENGINE_PARTS"
    strangers = [
        f"{name(source)}:{line} imports {module}"
        for line, module in imports(source)
        if module.startswith("orchestrator.engines.") and module.split(".")[2] not in (own, *ENGINE_PARTS[own])
    ]
    assert strangers == []


def test_no_modules_of_the_engines_import_each_other_in_a_circle() -> None:
    modules = {f"orchestrator.{name(each)}".removesuffix(".py").replace("/", "."): each for each in SOURCES}
    engines = {module: each for module, each in modules.items() if module.startswith("orchestrator.engines.")}
    wanted = {module: {used for _, used in imports(each)} & set(engines) for module, each in engines.items()}
    TopologicalSorter(wanted).prepare()  # CycleError names the modules of a circle


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["", ".cli", ".checks", ".pytest_plugin"])
def test_importing_loads_no_emulator(module: str) -> None:
    assert loaded_by(f"import orchestrator{module}").isdisjoint({"unicorn", "pyrenode3"})


def test_importing_the_command_line_loads_nothing_that_only_a_run_needs() -> None:
    assert loaded_by("import orchestrator.cli").isdisjoint({"rich", "lark", "elftools", "orchestrator.board"})


def test_importing_the_catalogue_alone_has_the_rules() -> None:
    statement = "from orchestrator.checks.catalogue import catalogue; print(*(rule.id for rule in catalogue()))"
    assert {"core.fault", "table.missing", "ring.head-in-use"} <= loaded_by(statement)
