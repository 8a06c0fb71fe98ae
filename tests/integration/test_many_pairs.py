"""``rptwin run --pairs``: a file of pairs, side by side, with one verdict; and what ends them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.json_schema import report_schema, violations

from orchestrator.base.errors import UsageError
from orchestrator.pairs import load_pairs

LIMIT_S = 180
ENDLESS = 'until = "main:never said"\ntimeout = "1000000 s"'  # of virtual time, much of it asleep: minutes


@pytest.fixture
def write(pair, tmp_path: Path):
    images = pair("demo")

    def of(*entries: str) -> Path:
        file = tmp_path / "pairs.toml"
        files = f'main = "{images.main}"\nremote = "{images.remote}"\n'
        file.write_text("\n".join(f"[[pair]]\n{files if 'main = ' not in each else ''}{each}\n" for each in entries))
        return file

    return of


def start(file: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator", "run", "--pairs", str(file), *options]
    return subprocess.Popen(command, cwd=file.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_children(process: subprocess.Popen[str], count: int) -> list[int]:
    deadline = time.monotonic() + LIMIT_S
    while len(children(process.pid)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return children(process.pid)


BAD = 'name = "no table"\ntable = "main:0x30000000"\ntimeout = "100 ms"'
MISSING = 'name = "missing"\nmain = "no.elf"\nremote = "no.elf"'


def test_every_pair_has_its_verdict_and_the_worst_is_the_exit_code(write) -> None:
    file = write('name = "good"\nmatrix = { seed = [0, 1] }', BAD, MISSING)
    documents = ("--json", "o.json", "--junit", "o.xml", "--sarif", "o.sarif")
    done = start(file, "-j", "2", *documents)
    out, err = done.communicate(timeout=LIMIT_S)
    assert (done.returncode, err) == (2, "")
    assert out.endswith("4 pairs: 2 good, 1 with findings, 1 could not run\n")
    assert "table.absent" in out
    report = json.loads((file.parent / "o.json").read_text())
    assert {each["name"]: each["exit_code"] for each in report["runs"]} == {
        "good seed=0": 0,
        "good seed=1": 0,
        "no table": 1,
        "missing": 2,
    }
    assert report["exit_code"] == 2
    assert list(violations(report, report_schema())) == []
    assert report["runs"][1]["report"]["parameters"]["seed"] == 1
    assert "no.elf" in report["runs"][3]["report"]["error"]
    root = ElementTree.parse(file.parent / "o.xml").getroot()
    ended = [(each.get("name"), int(each.get("failures")), int(each.get("errors"))) for each in root]
    verdicts = [each for each in ended if "verdict" in each[0]]
    assert [each[1:] for each in verdicts] == [(0, 0), (0, 0), (1, 0), (0, 1)]
    assert int(root.get("errors")) == 1
    runs = json.loads((file.parent / "o.sarif").read_text())["runs"]
    assert [each["automationDetails"]["id"] for each in runs] == ["good seed=0", "good seed=1", "no table", "missing"]


def test_a_pair_has_the_verdict_that_it_has_alone(write, rptwin) -> None:
    file = write(BAD)
    start(file, "--json", "all.json").communicate(timeout=LIMIT_S)
    together = json.loads((file.parent / "all.json").read_text())["runs"][0]["report"]
    settings = load_pairs(file)[0].settings
    alone = file.parent / "alone.json"
    rptwin("run", settings.main, settings.remote, "--table", settings.table, "--timeout", "100 ms", "--json", alone)
    single = json.loads(alone.read_text())
    assert {**together, "wall_clock": None} == {**single, "wall_clock": None}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_run_and_what_was_seen_is_summed_up(write, number: signal.Signals) -> None:
    endless = [f'name = "{name}"\n{ENDLESS}' for name in ("long", "longer", "late")]
    file = write('name = "quick"', *endless)
    process = start(file, "-j", "2", "--json", "o.json")
    assert process.stdout.readline().startswith("1/4 quick: RPTUN is up")
    running = wait_for_children(process, 2)
    time.sleep(1)
    process.send_signal(number)
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2
    assert "rptwin: error: interrupted" in err
    runs = {each["name"]: each for each in json.loads((file.parent / "o.json").read_text())["runs"]}
    assert [runs[name]["exit_code"] for name in ("quick", "long", "longer", "late")] == [0, 2, 2, 2]
    assert runs["late"]["headline"] == "not run"
    assert "interrupted" in runs["long"]["headline"]
    assert out.endswith("4 pairs: 1 good, 0 with findings, 3 could not run\n")
    assert not any(Path(f"/proc/{each}").exists() for each in running)


def test_a_process_that_dies_is_an_error_of_its_pair_alone(write) -> None:
    file = write(f'name = "long"\n{ENDLESS}', 'name = "good"')
    process = start(file, "-j", "1", "--json", "o.json")
    (child,) = wait_for_children(process, 1)
    os.kill(child, signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    runs = json.loads((file.parent / "o.json").read_text())["runs"]
    assert "its process ended with signal SIGKILL" in runs[0]["headline"]
    assert [each["exit_code"] for each in runs] == [2, 0]


def test_each_pair_has_a_page_and_traces_of_its_own(write) -> None:
    file = write('name = "good"\nmatrix = { seed = [0] }', 'name = "a/b"', 'name = "a b"', 'name = ".."', MISSING)
    done = start(file, "--html", "{pair}.html", "--vcd", "{pair}.vcd", "--pcapng", "no/{pair}.pcapng")
    _, err = done.communicate(timeout=LIMIT_S)
    assert done.returncode == 2
    stems = ["good-seed=0", "a-b", "a-b-2", "-"]
    assert {each.name for each in file.parent.glob("*.html")} == {f"{each}.html" for each in [*stems, "missing"]}
    assert {each.name for each in file.parent.glob("*.vcd")} == {f"{each}.vcd" for each in stems}
    assert "no.elf: cannot be read" in (file.parent / "missing.html").read_text()
    assert "$enddefinitions" in (file.parent / "a-b-2.vcd").read_text()
    lines = [each for each in err.splitlines() if "not written" in each]
    assert (
        lines[0]
        == "rptwin: error: good seed=0: no/good-seed=0.pcapng: trace (pcapng) not written: No such file or directory"
    )
    assert len(lines) == len(stems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no pairs: expected [[pair]]"),
        ("pair = 3", "no pairs"),
        ("pair = [3]", "pair 1: bad value: expected a table"),
        ("[other]\n", "unknown key: expected defaults | pair, found other"),
        ('[[pair]]\ncolour = "red"', "unknown key"),
        ('[[pair]]\njson = "x.json"', "json is of all pairs"),
        ('[[pair]]\nhtml = "x.html"', "html is of a run; give --html, with {pair} in the name of the file"),
        ('[[pair]]\ntimeout = "long"', "pair 1: timeout: not a duration"),
        ("[[pair]]\nmatrix = 3", "pair 1: matrix: bad value: expected a table"),
        ("[[pair]]\nmatrix = { seed = 3 }", "matrix.seed: bad value: expected a list"),
        ("[[pair]]\nseed = 1\nmatrix = { seed = [3] }", "seed: given twice"),
        ("[[pair]]\n[[pair]]\n", "a name twice"),
        ('[[pair]]\nname = ""', "name: bad value"),
        (
            f"[[pair]]\nmatrix = {{ seed = {list(range(200))}, quantum = {[f'{n} ns' for n in range(1, 101)]} }}",
            "too many",
        ),
        ("not toml", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "pairs.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_pairs(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("main.elf",), "MAIN: is of one pair"),
        (("--gdb", "0"), "--gdb: is of one pair"),
        (("--firmware", "cpu2=x.elf"), "--firmware: is of one pair"),
        (("--config", "x.toml"), "--config: is of one pair"),
        (("--json", "pairs.toml"), "would be written over a file"),
        (("-j", "0"), "0 is not in the range"),
        (
            ("--html", "all.html"),
            "--html: one file for every pair: expected {pair} where its name goes, found all.html",
        ),
        (("--vcd", "-"), "--vcd: one file for every pair"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(write, rptwin, options, says: str) -> None:
    file = write('name = "good"')
    result = rptwin("run", "--pairs", file, *(str(file) if each == "pairs.toml" else each for each in options))
    assert result.exit_code == 2
    assert says in result.stderr


def test_jobs_without_pairs_are_refused(rptwin) -> None:
    assert "--jobs: nothing to run side by side" in rptwin("run", "-j", "2").stderr


def test_a_file_that_is_wrong_is_one_line_of_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.rptwin_pairs("absent.toml")
        def test_pair(rptwin_pair): pass
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:xdist")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*rptwin_pairs: *absent.toml: cannot be read*"])
