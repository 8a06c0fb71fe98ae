"""The pytest plugin as a project of somebody else uses it: found by its entry point, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, firmware: Callable[[str], Any]) -> Run:
    """Runs one test function on a variant of the firmware; its body may use ``IMAGES``."""

    def run_body(variant: str, body: str, *options: str) -> pytest.RunResult:
        pair = firmware(variant)
        images = json.dumps({"main": str(pair.main), "remote": str(pair.remote)})
        pytester.makepyfile(f"IMAGES = {images}\ndef test_firmware(rptwin_board):\n    {body}\n")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist", *options)

    return run_body


def test_a_pair_that_comes_up_passes(run: Run) -> None:
    run("demo", "rptwin_board('stm32h745', **IMAGES).run()").assert_outcomes(passed=1)


@pytest.mark.parametrize(("variant", "outcome"), [("demo", "passed"), ("align3", "failed")])
def test_traces_are_written_at_the_end_of_a_test(
    run: Run, pytester: pytest.Pytester, variant: str, outcome: str
) -> None:
    wanted = "traces={'vcd': 'run.vcd', 'lcov': 'run.info'}"
    run(variant, f"rptwin_board('stm32h745', **IMAGES, {wanted}).run()").assert_outcomes(**{outcome: 1})
    assert (pytester.path / "run.vcd").read_text().startswith("$comment states: ")
    assert (pytester.path / "run.info").read_text().startswith("TN:main\n")


def test_a_trace_that_there_is_not_is_one_line(run: Run) -> None:
    result = run("demo", "rptwin_board('stm32h745', **IMAGES, traces={'video': 'run.mp4'}).run()")
    result.stdout.fnmatch_lines(
        ["no board: no such trace: expected perfetto | vcd | pcapng | folded | lcov, found video"]
    )


def test_a_pair_with_a_wrong_line_fails_with_the_findings_as_the_message(run: Run) -> None:
    result = run("align3", "rptwin_board('stm32h745', **IMAGES).run()")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "RPTUN is up, with errors (up, and shared memory quiet for 50 ms at *)",
            "error: vring.align-not-power-of-two: *vring?1?.align*: expected a power of two, found 3; *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.fnmatch_lines(["    at *remote/table.c:*", "*rptwin consoles*", " * ms  remote | rptwin remote: *"])


def test_a_pair_that_does_not_come_up_says_so(run: Run) -> None:
    result = run("no-copy", "rptwin_board('stm32h745', **IMAGES).run(timeout='100 ms')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["RPTUN did not come up (timeout at *)", "error: table.not-copied: *"])


def test_a_board_that_never_ran_is_no_success(run: Run) -> None:
    result = run("demo", "rptwin_board('stm32h745', **IMAGES)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["RPTUN did not come up (the board never ran)"])


def test_what_cannot_be_a_board_is_one_line(run: Run) -> None:
    result = run("demo", "rptwin_board('stm32h745', main='none.elf', remote='none.elf')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no board: none.elf: cannot be read: found No such file or directory"])
    result.stdout.no_fnmatch_line("*load_elf*")


def test_a_failure_of_the_tests_own_shows_the_consoles_and_stays_the_only_one(run: Run) -> None:
    result = run("align3", "rptwin_board('stm32h745', **IMAGES).run(); assert 1 == 2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2", "*rptwin consoles*", " * ms  main | main> "])
    result.stdout.no_fnmatch_line("RPTUN is up, with errors*")


def test_a_test_may_judge_for_itself(run: Run) -> None:
    body = "board = rptwin_board(judge=False, **IMAGES); board.run(); assert board.findings[0].rule.startswith('vring')"
    run("align3", body).assert_outcomes(passed=1)


def test_two_boards_in_one_test_are_judged_each(run: Run) -> None:
    run("demo", "[rptwin_board(**IMAGES).run() for _ in range(2)]").assert_outcomes(passed=1)


def pages(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*.html"))


def test_the_run_of_a_test_that_failed_is_a_page_in_pytests_cache(run: Run, pytester: pytest.Pytester) -> None:
    result = run("align3", "rptwin_board('stm32h745', **IMAGES).run()", "-p", "cacheprovider")
    folder = pytester.path / ".pytest_cache" / "d" / "rptwin"
    assert pages(pytester.path) == [
        "test_the_run_of_a_test_that_failed_is_a_page_in_pytests_cache.py_test_firmware.html"
    ]
    result.stdout.fnmatch_lines(["*rptwin page*", f"{folder}/*.html"])
    assert "RPTUN is up, with errors" in next(folder.iterdir()).read_text(encoding="utf-8")


def test_a_test_that_passed_leaves_no_page(run: Run, pytester: pytest.Pytester) -> None:
    run("demo", "rptwin_board(**IMAGES).run()", "-p", "cacheprovider").assert_outcomes(passed=1)
    assert pages(pytester.path) == []


def test_where_pages_go_can_be_said_and_nowhere_is_a_place(run: Run, pytester: pytest.Pytester) -> None:
    body = "[rptwin_board(**IMAGES).run() for _ in range(2)]"
    run("align3", body, "--rptwin-html", "out/pages")
    assert [name[-7:] for name in pages(pytester.path / "out" / "pages")] == ["-1.html", "-2.html"]
    pytester.makeini("[pytest]\nrptwin_html = of-ini\n")
    result = run("align3", body, "--rptwin-html", "none")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*rptwin page*")
    run("align3", body)
    assert len(pages(pytester.path / "of-ini")) == 2


def test_a_page_that_cannot_be_written_is_a_line_and_no_failure_of_its_own(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "taken").write_text("")
    result = run("align3", "rptwin_board(**IMAGES).run()", "--rptwin-html", "taken")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*taken: no folder for the page: File exists"])


def test_the_report_of_pytest_html_links_the_page(run: Run, pytester: pytest.Pytester) -> None:
    # Its interface in one file: it is not among the packages that the tests have.
    package = pytester.mkpydir("pytest_html")
    (package / "extras.py").write_text("def url(content, name): return {'name': name, 'content': content}\n")
    pytester.makeconftest("""
        import pytest_html

        def pytest_addoption(parser): parser.addoption('--html', dest='htmlpath')

        def pytest_configure(config): config.pluginmanager.register(pytest_html, 'html')

        def pytest_runtest_logreport(report):
            for each in getattr(report, 'extras', ()): print('linked', each['name'], each['content'])
    """)
    result = run("align3", "rptwin_board(**IMAGES).run()", "-s", "--rptwin-html", "pages", "--html", "a/report.html")
    result.stdout.fnmatch_lines(["*linked rptwin ../pages/test_*.html"])
