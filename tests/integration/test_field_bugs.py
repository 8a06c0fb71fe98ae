"""Each bug of the field is named by its own rule, and of its healthy twin nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.field_bugs import BUGS, Bug, Workplace, judged, page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def place(
    pair: Callable[..., object], patched: Callable[..., object], tmp_path_factory: pytest.TempPathFactory
) -> Workplace:
    def of(variant: str) -> tuple[Path, Path]:
        images = pair(variant)
        return images.main, images.remote  # type: ignore[attr-defined]  # a Pair of tests/conftest.py

    def with_patch(name: str, variant: str) -> tuple[Path, Path]:
        images = patched(name, variant)
        return images.main, images.remote  # type: ignore[attr-defined]  # likewise

    return Workplace(tmp_path_factory.mktemp("bugs"), of, with_patch)


@pytest.mark.parametrize("bug", BUGS, ids=lambda each: f"{each.id}-{each.rule}")
def test_a_bug_of_the_field_is_named_and_its_twin_is_not(bug: Bug, place: Workplace) -> None:
    found, *more = judged(bug.faulty, place)  # of a cache, a finding for each line
    assert {each.rule for each in (found, *more)} == {bug.rule}
    assert not more or bug.rule.startswith("cache.")
    assert found.at
    assert found.expected
    assert found.actual
    assert judged(bug.healthy, place) == ()


def test_the_page_of_the_bugs_of_the_field_is_current(place: Workplace) -> None:
    assert page(place) == (DOCS / "field-bugs.md").read_text(encoding="utf-8"), "make docs"
