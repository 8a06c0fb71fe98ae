"""One page from its parts: markup, style sheet, scripts, and the run as JSON.

Everything of a run (console text, names of symbols and files) is in the JSON and reaches the page as text alone; the
policy in the page lets the one script and the one style sheet in it run, by their digests, and nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from functools import cache
from pathlib import Path
from string import Template

from orchestrator.config import Settings
from orchestrator.report.page.columns import Plain
from orchestrator.report.page.data import data_of_error, page_data
from orchestrator.report.record import Record
from orchestrator.trace import Trace

__all__ = ["error_as_html", "to_html"]

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (  # in the order in which they run
    "words",
    "dom",
    "data",
    "ring_model",
    "moment",
    "verdict",
    "timeline",
    "rings",
    "here",
    "memory",
    "occupancy",
    "consoles",
    "controls",
    "main",
)
# What ends a script element, begins a comment in it, or ends a line in older JavaScript; as JSON writes characters.
_ESCAPES = str.maketrans({each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})


def to_html(record: Record, trace: Trace, error: object = None) -> str:
    """The page of a run; ``error`` is what ended it before it was over. The same run gives the same page."""
    return _page(page_data(record, trace, error))


def error_as_html(settings: Settings, error: object) -> str:
    """The page of a run that could not be: why not."""
    return _page(data_of_error(settings, error))


def _page(data: Plain) -> str:
    style, script = _part("page.css"), _script()
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    page = Template(_part("page.html")).substitute(
        policy=policy,
        style=style,
        script=script,
        title=html.escape(str(data["title"])),
        run=html.escape(str(data["run"])),
        data=_embedded(data),
    )
    # Halves of surrogates, as file names that are no UTF-8 have them, become what JSON writes for them.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _embedded(data: Plain) -> str:
    """As JSON that stays one piece of text wherever it stands in a page."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _part(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    """All scripts as one, whose names are nobody else's."""
    parts = "\n".join(_part(f"{name}.js") for name in _SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'
