"""docs/robot/renode-keywords.md against the library: what it says is there is there, with Renode's arguments."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from orchestrator.robot import RptwinLibrary

PAGE = Path(__file__).parents[3] / "docs" / "robot" / "renode-keywords.md"
WORDS = ("same", "differs", "other", "none")

ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| Renode |")
]


def normal(keyword: str) -> str:
    """As Robot compares them: spaces, underscores and case make no difference."""
    return re.sub(r"[\s_]", "", keyword).lower()


KEYWORDS = {
    normal(getattr(member, "robot_name", None) or name): member
    for name, member in inspect.getmembers(RptwinLibrary, inspect.isfunction)
    if hasattr(member, "robot_name")
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_the_truth(row: tuple[str, ...]) -> None:
    renode, arguments, ours, how = row
    word = re.match(r"\w+", how)
    assert word is not None
    assert word[0] in WORDS
    assert (ours == "") == (word[0] == "none")
    assert not ours or normal(ours) in KEYWORDS
    assert (normal(renode) in KEYWORDS) == (word[0] in ("same", "differs"))
    if word[0] in ("same", "differs"):
        assert renode == ours
        assert list(inspect.signature(KEYWORDS[normal(ours)]).parameters)[1:] == arguments.split()


def test_keywords_named_in_the_text_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    theirs = {normal(row[0]) for row in ROWS}
    elsewhere = {"sleep"}  # Robot's own
    named = {
        normal(name.split("    ")[0]) for name in re.findall(r"`([A-Z][a-z]+(?: [A-Z][A-Za-z]*)*(?:    [^`]*)?)`", text)
    }
    fields = {"timestamp"}
    assert named - theirs - elsewhere - fields <= set(KEYWORDS)


def test_every_keyword_with_arguments_in_renodes_spelling_has_a_row() -> None:
    spelt = {name for name, member in KEYWORDS.items() if "testerId" in inspect.signature(member).parameters}
    assert spelt <= {normal(row[2]) for row in ROWS}
