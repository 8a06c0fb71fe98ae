from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.memory import Place
from orchestrator.checks import Finding, Severity, Stage
from orchestrator.events import Frame
from orchestrator.formats.elf import SourceLine
from orchestrator.report.sources import SourcePaths, frame_texts, place_texts

FOUND = Finding(
    rule="core.fault",
    severity=Severity.ERROR,
    stage=Stage.BOOT,
    at=(Place("cpu_cm4", 0x0810_02F8, "main+0x4"), Place("cpu_cm7", 0x3004_0000, "table")),
    expected="no fault",
    actual="one",
    advice="look",
    subject="remote",
    source="DDI0403E",
    backtrace=(Frame(0x0810_02F8, "main+0x4"), Frame(0x0810_0A7A, None, guess=True)),
    at_lines=((SourceLine("remote/main.c", 63, "main", "."),), ()),
    backtrace_lines=((SourceLine("remote/main.c", 63, "main", "."),), (SourceLine("start.c", 68),)),
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourcePaths:
    """A build folder below the sources, as most projects have it; the current folder is the project's."""
    (tmp_path / "firmware" / "remote").mkdir(parents=True)
    (tmp_path / "firmware" / "remote" / "main.c").write_text("")
    monkeypatch.chdir(tmp_path)
    return SourcePaths((Path("firmware/build/chip/remote.elf"),))


def test_a_file_is_found_from_the_folders_above_the_image_and_named_from_here(project: SourcePaths) -> None:
    assert project.text(SourceLine("remote/main.c", 63, "", ".")) == "firmware/remote/main.c:63"


def test_a_file_outside_of_the_current_folder_is_named_whole(
    project: SourcePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = SourcePaths(tuple(Path.cwd() / each for each in project.images))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    main = tmp_path.resolve() / "firmware" / "remote" / "main.c"
    assert image.text(SourceLine("remote/main.c", 63, "", ".")) == f"{main}:63"
    assert SourcePaths().text(SourceLine("remote/main.c", 63, "", str(main.parents[1]))) == f"{main}:63"


def test_a_file_that_is_not_here_is_named_as_the_compiler_was_told_it(project: SourcePaths) -> None:
    assert project.text(SourceLine("/build/x.c", 7, "", "/build")) == "/build/x.c:7"
    assert project.text(SourceLine("gone.c", 7, "", "/build")) == "gone.c:7"
    assert project.text(SourceLine("a\0b.c", 7)) == "a\0b.c:7"


def test_what_was_inlined_names_the_calls(project: SourcePaths) -> None:
    lines = (SourceLine("cortex.h", 8, "dsb"), SourceLine("remote/main.c", 41, "ring"), SourceLine("remote/main.c", 9))
    assert project.texts(lines) == (
        "cortex.h:8 (dsb, inlined at firmware/remote/main.c:41, inlined at firmware/remote/main.c:9)"
    )
    assert project.texts(()) == ""


def test_a_place_stands_behind_its_line_and_a_level_that_is_a_place_already_is_left_out(project: SourcePaths) -> None:
    assert place_texts(FOUND, project) == [
        "firmware/remote/main.c:63  cpu_cm4 at 0x081002f8 (main+0x4)",
        "cpu_cm7 at 0x30040000 (table)",
    ]
    assert frame_texts(FOUND, project) == ["start.c:68  0x08100a7a ? (guess)"]


def test_a_finding_gives_the_line_to_look_at_first_and_its_lines_to_machines() -> None:
    assert str(FOUND.source_line) == "remote/main.c:63"
    told = FOUND.to_json()
    line = {"file": "remote/main.c", "line": 63, "function": "main"}
    assert told["at"] == [
        {"view": "cpu_cm4", "address": 0x0810_02F8, "path": "main+0x4", "source_lines": [line]},
        {"view": "cpu_cm7", "address": 0x3004_0000, "path": "table"},
    ]
    assert told["backtrace"] == [
        {"pc": 0x0810_02F8, "symbol": "main+0x4", "guess": False, "source_lines": [line]},
        {
            "pc": 0x0810_0A7A,
            "symbol": None,
            "guess": True,
            "source_lines": [{"file": "start.c", "line": 68, "function": None}],
        },
    ]
