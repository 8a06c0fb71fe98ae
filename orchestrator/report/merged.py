"""The reports for machines on many pairs: one document of each kind, with the report of each pair in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from orchestrator import __version__
from orchestrator.base.dataclass import dataclass
from orchestrator.config import Settings
from orchestrator.report.files import Document
from orchestrator.report.json import SCHEMA
from orchestrator.report.record import WallClock

__all__ = ["Part", "merged_documents"]

_COUNTED = ("tests", "failures", "errors")


@dataclass(frozen=True, slots=True)
class Part:
    """One pair; ``documents`` are its own reports by setting, none where it was not run."""

    name: str
    exit_code: int
    headline: str
    documents: Mapping[str, str]


def merged_documents(settings: Settings, parts: Sequence[Part], wall_clock: WallClock) -> tuple[Document, ...]:
    """Those that were asked for."""
    return (
        Document(settings.json, "JSON", lambda: _json(parts, wall_clock)),
        Document(settings.junit, "JUnit", lambda: _junit(parts, wall_clock)),
        Document(settings.sarif, "SARIF", lambda: _sarif(parts)),
    )


def _exit_code(parts: Sequence[Part]) -> int:
    return max(each.exit_code for each in parts)


def _json(parts: Sequence[Part], wall_clock: WallClock) -> str:
    """``runs`` in the order of the file, each with its name and the report of ``rptwin run``."""
    document = {
        "rptwin": __version__,
        "schema": SCHEMA,
        "exit_code": _exit_code(parts),
        "runs": [
            {
                "name": each.name,
                "exit_code": each.exit_code,
                "headline": each.headline,
                "report": json.loads(each.documents["json"]) if "json" in each.documents else None,
            }
            for each in parts
        ],
        "wall_clock": {"started": wall_clock.started, "seconds": wall_clock.seconds},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _junit(parts: Sequence[Part], wall_clock: WallClock) -> str:
    """Every suite of every pair, its name in front; a pair that was not run is an error."""
    root = ElementTree.Element("testsuites", name="rptwin")
    for part in parts:
        if "junit" in part.documents:
            suites = list(ElementTree.fromstring(part.documents["junit"].encode()))
        else:
            counts = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0.000"}
            suite = ElementTree.Element("testsuite", name="verdict", **counts)  # type: ignore[arg-type]  # texts
            case = ElementTree.SubElement(suite, "testcase", classname="rptwin.verdict", name="RPTUN is up")
            ElementTree.SubElement(case, "error", message=part.headline, type="EngineError")
            suites = [suite]
        for suite in suites:
            suite.set("name", f"{part.name}: {suite.get('name')}")
            for case in suite.findall("testcase"):
                case.set("classname", f"{part.name}.{case.get('classname')}")
        root.extend(suites)
    for name in _COUNTED:
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{wall_clock.seconds:.3f}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _sarif(parts: Sequence[Part]) -> str:
    """A run of SARIF for each pair, told apart by its automation details."""
    runs = []
    document: dict[str, object] = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0"}
    for part in parts:
        if "sarif" in part.documents:
            for run in json.loads(part.documents["sarif"])["runs"]:
                runs.append({"automationDetails": {"id": part.name}, **run})
    return json.dumps(document | {"runs": runs}, indent=2, ensure_ascii=False) + "\n"
