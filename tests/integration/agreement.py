"""What is said of a pair, for comparison between engines; as a program, the table of all variants in docs/renode.md.

``python tests/integration/agreement.py`` boots every variant on every board on Unicorn and on Renode, which takes a
quarter of an hour where nothing else runs, and writes for each what both say, or the first difference.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from orchestrator.board import Board
from orchestrator.events import CoreState
from orchestrator.observe.run import CoreRun
from orchestrator.recording import PRINTED_TIME, Recorder, record

__all__ = ["differences", "said_of"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "renode.md"
BEGIN, END = "<!-- variants: by tests/integration/agreement.py -->\n", "<!-- end of variants -->\n"
_AT_ONCE = 2
OUTSIDE = {"net", "block"}  # variants a device of which is another process
BOARDS = ("stm32h745", "nrf5340", "mps2_an521")
# When something happened, in words: that is compared nowhere.
_TIME = re.compile(r"\d+(\.\d+)? (ns|us|ms|s)\b|" + PRINTED_TIME)
_FACTS = ("rule", "subject", "severity", "at", "expected", "actual", "advice")


def said_of(main: Path, remote: Path, engine: str, platform: str) -> dict[str, Any]:
    """Verdict, findings in full, table, rings, messages, consoles and notifications of a run; no times."""
    with Board(platform, main=main, remote=remote, engine=engine) as board:
        recorder = Recorder(board)
        end = board.run()
        verdict, run = board.verdict(), board.observer.run
        compared = dataclasses.asdict(record(board, recorder, {}).compared)
        return {
            "ends": end.reason.value,
            "up": verdict.up,
            "exit code": verdict.exit_code,
            "no traffic": list(verdict.no_traffic),
            "causes": [f"{cause.finding.rule} {cause.finding.subject}" for cause in verdict.causes],
            "findings": [_words({name: getattr(each, name) for name in _FACTS}) for each in verdict.findings],
            **{name: _words(value) for name, value in compared.items()},
            "notifications": run.ledger.to_json({}),
            "unmodelled": run.unmodelled.to_json(),
            "where the cores are": {role: _place(core) for role, core in run.cores.items()},
        }


def _place(core: CoreRun) -> str | None:
    """A core that runs in a loop is at one instruction of it or another."""
    where = core.where
    return re.sub(r"\+0x[0-9a-f]+", "", where, count=1) if where and core.state is CoreState.RUNNING else where


def _words(value: object) -> Any:
    """Plain values, without times."""
    if isinstance(value, Mapping):
        return {str(key): _words(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_words(each) for each in value]
    return _TIME.sub("(time)", str(value))


def differences(own: Any, other: Any, where: str = "") -> Iterator[str]:
    """In words, in order."""
    if isinstance(own, dict) and isinstance(other, dict):
        for key in own | other:
            yield from differences(own.get(key), other.get(key), f"{where}{': ' if where else ''}{key}")
    elif isinstance(own, list) and isinstance(other, list) and len(own) == len(other):
        for mine, theirs in zip(own, other, strict=True):
            yield from differences(mine, theirs, where)
    elif own != other:
        yield f"{where}: {own} on Unicorn, {other} on Renode"


def _cell(board: str, variant: str) -> str:
    folder = ROOT / "firmware" / "build" / board / variant
    if not (folder / "main.elf").exists():
        return ""
    pair = folder / "main.elf", folder / "remote.elf"
    own, other = (said_of(*pair, engine, board) for engine in ("unicorn", "renode"))
    rules = ", ".join(dict.fromkeys(f"`{cause.partition(' ')[0]}`" for cause in own["causes"])) or "no findings"
    first = next(differences(own, other), None)
    cell = rules if first is None else f"{rules}; differs: {first}"
    print(f"{board} {variant}: {cell}", file=sys.stderr, flush=True)
    return cell


def _write_table() -> None:
    names = sorted(
        {path.parent.name for board in BOARDS for path in (ROOT / "firmware" / "build" / board).glob("*/main.elf")}
        - OUTSIDE
    )
    with ProcessPoolExecutor(_AT_ONCE) as pool:
        cells = {(name, board): pool.submit(_cell, board, name) for name in names for board in BOARDS}
        rows = "".join(
            f"| {name} | {' | '.join(cells[name, board].result() for board in BOARDS)} |\n" for name in names
        )
    table = f"| variant | {' | '.join(BOARDS)} |\n|---|{'---|' * len(BOARDS)}\n{rows}"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    _write_table()
