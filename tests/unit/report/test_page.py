"""The page as a file: what is in it, and that nothing of a run is markup; what a browser makes of it is
tests/integration/test_html_page.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Settings
from orchestrator.report.attachment import _file_name
from orchestrator.report.page import error_as_html
from orchestrator.report.page.columns import Names, depths, differences

PARTS = re.compile(
    r"""content="(?P<policy>default-src [^"]*)".*<title>(?P<title>.*)</title>.*<style>(?P<style>.*)</style>.*"""
    r"""<script type="application/json" id="data">(?P<data>.*?)</script>\n<script>(?P<script>.*)</script>\n</body>""",
    re.DOTALL,
)


def parts_of(page: str) -> dict[str, str]:
    found = PARTS.search(page)
    assert found is not None
    return found.groupdict()


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_admits_the_script_and_the_style_of_the_page_and_nothing_else() -> None:
    parts = parts_of(error_as_html(Settings(), "x"))
    assert parts["policy"].split("; ") == [
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        f"style-src {digest(parts['style'])}",
        f"script-src {digest(parts['script'])}",
    ]


def test_the_page_names_no_address_to_load_from() -> None:
    page = error_as_html(Settings(), "x")
    assert re.findall(r"""(?:src=|url\(|@import|https?://)""", page.replace("http-equiv", "")) == []


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_is_said_stays_in_the_data(text: str) -> None:
    page = error_as_html(Settings(main="<main>", platform=text), f"error: {text}")
    parts = parts_of(page)
    assert not set(parts["data"]) & set("<>&\u2028\u2029")
    data = json.loads(parts["data"])
    assert data["pairs"][0]["summary"] == f"error: {text}"
    assert data["pairs"][0]["files"]["main"] == "<main>"
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert page.endswith("</body>\n</html>\n")


@given(st.lists(st.integers(0, 1 << 53)))
def test_differences_add_up_to_the_times(times: list[int]) -> None:
    now, found = 0, []
    for each in differences(times):
        now += each
        found.append(now)
    assert found == times


def test_texts_have_numbers_and_none_has_none() -> None:
    names = Names()
    assert [names.number(text) for text in ("a", "b", "a", "")] == [0, 1, 0, -1]
    assert names.texts == ["a", "b"]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(0, 10), (10, 20)], [0, 0]),
        ([(0, 30), (5, 20), (7, 9), (9, 12), (25, 26), (30, 31)], [0, 1, 2, 2, 1, 0]),
    ],
)
def test_a_span_is_as_deep_as_the_spans_that_it_lies_in(spans: list[tuple[int, int]], expected: list[int]) -> None:
    assert depths(spans) == expected


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("tests/test_x.py::test_a[b/c-1]", "tests_test_x.py_test_a_b_c-1"),
        ("Suite.Is <b>Good & More", "Suite.Is_b_Good_More"),
        ("../../etc/passwd", "etc_passwd"),
        ("ä", "test"),
        ("x" * 500, "x" * 120),
    ],
)
def test_a_page_is_named_by_its_test_and_lies_in_its_folder(test: str, name: str) -> None:
    assert _file_name(test) == name
