"""Writes renode-platforms.md: Renode's own descriptions, as rptwin reads them. Takes the folder of a Renode."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrator.base.errors import EngineError, PlatformError
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.registry import create_engine
from orchestrator.engines.unicorn.devices.registry import MODELLED
from orchestrator.platform import Platform, load_platform
from orchestrator.platform.export import export

PAGE = Path(__file__).resolve().parent / "renode-platforms.md"
HEAD = """# Renode's own platforms
<!-- written by docs/renode_platforms.py from a Renode 1.16.1 -->

Each description in Renode's `platforms/` whose cores are all Cortex-M is read here: {all} of them. {single} have one
core; RPTUN is between two, so `rptwin run --platform` refuses them and names the platforms that have a pair. All {all}
are exported (`rptwin export-renode`), and Renode loads what is written, with accesses to nothing as bus faults. The
{other} others have cores of other kinds, alone or beside a Cortex-M, which no engine here runs, or are parts of a
description.

Those with two Cortex-M or more load as they are; on the Unicorn engine, where the last column says so. Roles, consoles
and the mailbox are no part of a Renode description: until a `.toml` beside it names them
([settings](writing-a-platform.md#the-settings)), the first two cores are main and remote, nothing is said of
notifications, and there is no console. *Modelled* counts peripherals that the Unicorn engine has a model of or runs as
a script, out of all on the bus. In a suite of Renode's own runner [two lines](renode.md#in-renodes-own-runner) judge
the pair and need none of this.

| description | cores | memory that both see | modelled by Unicorn | runs on Unicorn |
|---|---|---|---|---|
"""


def descriptions(folder: Path) -> Iterator[tuple[str, Platform | None]]:
    """Each ``.repl`` below Renode's ``platforms``; None for one that is not of Cortex-M, or part of another."""
    for path in sorted((folder / "platforms").rglob("*.repl")):
        try:
            yield path.relative_to(folder / "platforms").as_posix(), load_platform(path)
        except PlatformError:
            yield path.name, None


def row(name: str, platform: Platform) -> str:
    """One line of the table."""
    cores = ", ".join(f"{core.name} ({core.model})" for core in platform.cores)
    first, second = (core.name for core in platform.cores[:2])
    shared = sum(each.size for each in platform.regions if each.extents(first) and each.extents(second))
    placed = [each for each in platform.peripherals if each.registrations]
    modelled = sum(each.type in MODELLED for each in placed)
    return f"| `{name}` | {cores} | {shared >> 10:,} KiB | {modelled} of {len(placed)} | {on_unicorn(platform)} |\n"


def on_unicorn(platform: Platform) -> str:
    """Yes, or what the engine refuses."""
    try:
        engine = create_engine("unicorn", platform, EngineOptions())
    except EngineError as error:
        return f"no: {error.what}" + (f" ({error.found})" if error.found else "")
    engine.close()
    return "yes"


def page(folder: Path) -> str:
    """The whole page, from the folder of a Renode."""
    every = list(descriptions(folder))
    read = [(name, platform) for name, platform in every if platform is not None]
    for _, platform in read:
        export(platform)
    pairs = [(name, platform) for name, platform in read if len(platform.cores) > 1]
    counts = {"all": len(read), "single": len(read) - len(pairs), "other": len(every) - len(read)}
    return HEAD.format(**counts) + "".join(row(name, platform) for name, platform in pairs)


if __name__ == "__main__":
    PAGE.write_text(page(Path(sys.argv[1])), encoding="utf-8")
