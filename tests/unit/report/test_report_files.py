from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.errors import ReportError
from orchestrator.report.files import Document, write_documents, write_report


def test_a_path_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    path = str(tmp_path / "no" / "out.json")
    with pytest.raises(ReportError) as caught:
        write_report(path, "JSON report", "{}")
    assert str(caught.value) == f"{path}: JSON report not written: No such file or directory"


def test_one_document_that_fails_does_not_hinder_the_next(tmp_path: Path) -> None:
    good = tmp_path / "good"
    failures = write_documents(
        [Document(str(tmp_path), "JSON report", lambda: "{}"), Document(None, "X", lambda: 1 / 0 and ""),
         Document(str(good), "JUnit report", lambda: "<x/>")]
    )  # fmt: skip
    assert [failure.where for failure in failures] == [str(tmp_path)]
    assert good.read_text() == "<x/>"
