"""What ``tests/conftest.py`` does with skips, in a session of its own: in CI a test that did not run has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"


@pytest.fixture
def session(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text())
    markers = "markers =\n  needs_command(name, package)\n  renode\n"
    pytester.makeini(f"[pytest]\npythonpath = {CONFTEST.parent}\n{markers}")
    return pytester


def run(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, source: str) -> pytest.RunResult:
    monkeypatch.setenv("CI", ci)
    session.makepyfile(f"import pytest\n{source}")
    return session.runpytest_subprocess("-rs", "-p", "no:cacheprovider")


MISSING_COMMAND = "@pytest.mark.needs_command('no-such-gcc', 'gcc-such')\ndef test_x(): pass\n"


def test_a_missing_command_is_a_skip_that_says_what_to_install(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(session, monkeypatch, "", MISSING_COMMAND)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs no-such-gcc: sudo apt-get install gcc-such"])


@pytest.mark.parametrize(
    "source", [MISSING_COMMAND, "def test_x(): pytest.skip('no reason')\n", "@pytest.mark.skip\ndef test_x(): pass\n"]
)
def test_in_ci_a_skip_is_a_failure(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    result = run(session, monkeypatch, "true", source)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "skipped" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*CI skips nothing: .ci/run installs what the tests need*"])


def test_in_ci_a_module_that_skips_itself_is_an_error(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run(session, monkeypatch, "true", "pytest.importorskip('no_such_package')\ndef test_x(): pass\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.parseoutcomes() == {"errors": 1}


def test_in_ci_a_test_that_needs_renode_may_be_skipped(
    session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "@pytest.mark.renode\ndef test_x(): pytest.skip('no Renode')\n"
    result = run(session, monkeypatch, "true", source + source.replace("test_x", "test_y"))
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["renode: 2 not run here: no Renode"])


def test_in_ci_an_expected_failure_is_no_skip(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(session, monkeypatch, "true", "@pytest.mark.xfail\ndef test_x(): assert False\n")
    result.assert_outcomes(xfailed=1)


def test_the_summary_counts_each_kind_of_test(session: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, body in (("unit", "pass"), ("integration", "assert False"), ("robot_runner", "pass")):
        folder = session.mkdir("tests") if kind == "unit" else session.path / "tests"
        (folder / kind).mkdir()
        (folder / kind / f"test_{kind}.py").write_text(f"def test_x(): {body}\n")
    monkeypatch.setenv("CI", "")
    result = session.runpytest_subprocess("-p", "no:cacheprovider", "tests")
    result.stdout.fnmatch_lines(
        [
            "unit: 1 passed, 0 failed, 0 skipped",
            "integration: 0 passed, 1 failed, 0 skipped",
            "robot: 1 passed, 0 failed, 0 skipped",
        ]
    )
