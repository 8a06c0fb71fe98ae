"""The command line: what it accepts, what it says, how it exits. Boots the demo pair where a board is needed."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import main

ROOT = Path(__file__).resolve().parents[3]


class Pair(Protocol):
    main: Path
    remote: Path


@pytest.fixture(scope="session")
def pair(firmware: Callable[[str], Pair]) -> Pair:
    return firmware("demo")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may depend on the folder that pytest was started in."""
    monkeypatch.chdir(tmp_path)


def rptwin(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments], input=text, prog_name="rptwin")


def process(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "orchestrator", *(str(each) for each in arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(command, env=environment, text=True, **streams)  # type: ignore[call-overload, no-any-return]


def error_of(result: Result) -> str:
    """The one line of an error; no traceback, exit code 2."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Try '")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("rptwin: error: ")
    return lines[0].removeprefix("rptwin: error: ")


@pytest.mark.parametrize(
    "command", [["run", "main.elf", "remote.elf"], ["inspect", "main.elf"], ["run", "--remote", "x.elf"]]
)
def test_a_platform_of_one_core_is_refused_before_any_image_is_read(command):
    assert error_of(rptwin(*command, "--platform", "mps2_an386")).startswith(
        "mps2_an386: one core, and a pair needs two"
    )


# without a board


def test_help_names_every_command_and_shows_examples() -> None:
    result = rptwin("--help")
    assert result.exit_code == 0
    for name in ("run", "demo", "inspect", "console", "platforms", "checks", "new-platform", "export-renode", "doctor"):
        assert f"\n  {name} " in result.stdout
    assert "rptwin run main.elf remote.elf" in result.stdout


@pytest.mark.parametrize(
    "command", ["run", "demo", "inspect", "console", "platforms", "checks", "new-platform", "export-renode", "doctor"]
)
def test_every_command_has_help(command: str) -> None:
    result = rptwin(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: rptwin {command}")


def test_help_loads_no_emulator_and_nothing_that_draws() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from orchestrator.cli import main\n"
        "CliRunner().invoke(main, ['run', '--help'])\n"
        "print([each for each in ('unicorn', 'rich', 'lark', 'elftools') if each in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_is_an_error_that_names_those_there_are() -> None:
    error = error_of(rptwin("runn"))
    assert error.startswith(
        "no such command: expected run | demo | inspect | console | ping | send | explore | judge | bridge | "
    )
    assert error.endswith(", found runn")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--foo"], "No such option"),
        (
            ["--timeout", "5"],
            '--timeout: not a duration: expected a number and a unit (ns, us, ms, s, min), as "50 ms"',
        ),
        (["--seed", "x"], "--seed: bad value: expected a whole number, 0 or more, found 'x'"),
        (
            ["--profile", "posix"],
            "--profile: bad value: expected auto | linux | openamp | nuttx | common, found 'posix'",
        ),
        (["--vtor", "main"], "--vtor: not a pair: expected CORE=ADDRESS, as main=0x24000000, found 'main'"),
        (["--notify", "x"], "--notify: not a pair: expected QUEUE=CHANNEL"),
        (["--config", "none.toml"], "none.toml: cannot be read (No such file or directory)"),
        ([], "no firmware given: expected MAIN.elf REMOTE.elf, or main and remote in rptwin.toml, found neither"),
        (["m.elf"], "no firmware for the remote core: expected MAIN.elf REMOTE.elf"),
        (["m.elf", "r.elf"], "m.elf: cannot be read"),
        (["--remote", "r.elf"], "r.elf: cannot be read"),
        (["m.elf", "--main", "n.elf"], "--main: an image given twice: found n.elf and m.elf"),
        (["--quantum", "10 s"], "--quantum: bad value: expected at most 10 ms"),
        (["--annotations", "gitlab"], "--annotations: bad value: expected github, found 'gitlab'"),
        (["--json", "-", "--junit", "-"], "--junit -: the standard output takes one report"),
    ],
)
def test_run_refuses_what_makes_no_sense_in_one_line(arguments: list[str], message: str) -> None:
    assert message in error_of(rptwin("run", *arguments))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--map", "1:2:3"], "--map: translates parts of words: expected multiples of 4, found 1:2:3"),
        (["--map", "0x90000000:0xa0000000:4096"], "--map: no memory of either core"),
        (["--notify", "hsem=99"], "--notify hsem: no such channel: expected a channel, 0 to 31, found 99"),
        (
            ["--notify", "vdev[0].vring[1]=32"],
            "--notify vdev[0].vring[1]: no such channel: expected a channel, 0 to 31",
        ),
        (["--nuttx-config", "99.99"], "--nuttx-config: no such NuttX release: expected up to 13.0, found '99.99'"),
        (["--vtor", "cpu_cm0=0"], "cpu_cm0"),
    ],
)
def test_what_can_have_no_effect_is_refused_by_the_options_name(pair: Pair, options: list[str], message: str) -> None:
    assert message in error_of(rptwin("run", *options, pair.main, pair.remote))


def test_images_that_were_mixed_up_are_named_as_such(pair: Pair, firmware: Callable[..., Pair], tmp_path: Path) -> None:
    swapped = error_of(rptwin("run", pair.remote, pair.main))
    assert "the images are swapped: expected main at 0x08000000 and remote at 0x08100000" in swapped
    assert swapped.endswith(f"give them the other way round: {pair.main} {pair.remote}")
    (tmp_path / "copy.elf").write_bytes(pair.main.read_bytes())
    assert "one image for both cores" in error_of(rptwin("run", pair.main, "copy.elf"))
    assert "one image for both cores" in error_of(rptwin("inspect", pair.main, pair.main))
    theirs = firmware("demo", "nrf5340")
    result = rptwin("run", theirs.main, theirs.remote)
    assert "they fit nrf5340; --platform nrf5340" in error_of(result)
    assert result.stdout == ""


def test_images_of_one_name_are_told_apart_by_their_folders(firmware: Callable[[str], Pair], tmp_path: Path) -> None:
    faulty = firmware("bad-stack")
    for role in ("main", "remote"):
        (tmp_path / role).mkdir()
        (tmp_path / role / "nuttx").write_bytes(getattr(faulty, role).read_bytes())
    result = rptwin("run", "-q", "main/nuttx", "remote/nuttx")
    assert re.search(r"  (main|remote)/nuttx: vector\[0\]\n", result.stdout)


def test_an_engine_table_of_the_settings_file_is_checked_whatever_the_engine(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "rptwin.toml").write_text("[renode]\nx = 1\n")
    assert error_of(rptwin("run", pair.main, pair.remote)) == (
        "rptwin.toml: [renode]: unknown key: expected package | binary | build-dir | build-output, found x"
    )


def test_a_run_that_could_not_be_says_why_in_every_report(pair: Pair, tmp_path: Path) -> None:
    outputs = ("--json", "a.json", "--junit", "a.xml", "--sarif", "a.sarif", "--html", "a.html")
    assert "none.elf: cannot be read" in error_of(rptwin("run", *outputs, "none.elf", pair.remote))
    document = json.loads((tmp_path / "a.json").read_text())
    assert (document["exit_code"], document["schema"]) == (2, 1)
    assert document["error"].startswith("none.elf: cannot be read")
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert (root.get("errors"), root.get("failures")) == ("1", "0")
    assert [str(each.get("message")).partition(":")[0] for each in root.iter("error")] == ["none.elf"]
    assert json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["invocations"][0]["exitCode"] == 2
    assert "none.elf: cannot be read" in (tmp_path / "a.html").read_text()


def test_a_report_for_machines_can_be_the_standard_output(pair: Pair, tmp_path: Path) -> None:
    result = rptwin("run", "--json", "-", pair.main, pair.remote)
    assert json.loads(result.stdout)["verdict"]["up"] is True
    assert result.stderr.startswith("RPTUN is up: no findings (")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_key_in_the_settings_file_is_named_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "rptwin.toml").write_text("tiemout = 3\n")
    assert error_of(rptwin("run", "m.elf", "r.elf")).startswith("rptwin.toml: unknown key: expected platform | ")


def test_what_goes_wrong_inside_is_one_line_and_a_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("orchestrator.cli.commands.read_board_settings", broken)
    assert error_of(rptwin("run")) == (
        "internal error: ZeroDivisionError: oops; `rptwin --debug ...` shows where, please report it"
    )
    assert "Traceback" in rptwin("--debug", "run").stderr


def test_platforms_names_each_with_its_cores() -> None:
    result = rptwin("platforms")
    assert result.exit_code == 0
    assert "stm32h745" in result.stdout
    assert "cpu_cm4 cortex-m4f (remote)" in result.stdout


def test_platforms_says_which_engines_do_not_run_a_platform_and_why() -> None:
    [line] = [each for each in rptwin("platforms").stdout.splitlines() if each.startswith("qemu does not run")]
    assert "stm32h745" in line
    assert line.endswith(": no machine for this platform")


def test_checks_lists_the_rules_that_begin_with_a_word() -> None:
    result = rptwin("checks", "vring.align-not")
    assert result.exit_code == 0
    assert result.stdout.startswith("vring.align-not-power-of-two  static, error")
    assert "source: " in result.stdout


def test_checks_prints_no_marks_of_a_page() -> None:
    assert "``" not in rptwin("checks").stdout


def test_lint_says_what_scripts_have_that_renode_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("if request.IsRead:\n    request.Value = 1\n")
    (tmp_path / "bad.py").write_text("print(f'{request.Value}')\n")
    result = rptwin("lint", "good.py")
    assert (result.exit_code, result.stdout) == (0, "1 peripheral script, 0 problems\n")
    result = rptwin("lint", tmp_path)
    assert result.exit_code == 1
    assert "bad.py:1:" in result.stdout


def test_inspect_takes_the_images_of_the_settings_file(pair: Pair, tmp_path: Path) -> None:
    assert "no firmware given" in error_of(rptwin("inspect"))
    (tmp_path / "rptwin.toml").write_text(f'main = "{pair.main}"\nremote = "{pair.remote}"\n')
    result = rptwin("inspect")
    assert result.exit_code == 0
    assert "main.elf: main core cpu_cm7 of stm32h745" in result.stdout
    assert "remote.elf: remote core cpu_cm4 of stm32h745" in result.stdout
    assert result.stdout.endswith("\nno findings\n")


def test_a_memory_that_is_too_small_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("orchestrator.cli.commands.read_board_settings", full)
    assert error_of(rptwin("run")).startswith("out of memory")


def test_checks_refuses_a_rule_that_there_is_not() -> None:
    assert error_of(rptwin("checks", "vring.blue")) == (
        "no such rule: found vring.blue; `rptwin checks` lists them all"
    )


# reports of a board


def test_run_on_a_good_pair_says_so_and_exits_0(pair: Pair) -> None:
    result = rptwin("run", pair.main, pair.remote)
    assert result.exit_code == 0, result.output
    first, blank, steps, *rest = result.stdout.splitlines()
    assert first == f"RPTUN is up: no findings (stm32h745, main {pair.main}, remote {pair.remote})"
    assert blank == ""
    found = re.fullmatch(
        r"Milestones \(ms\): boot (\S+), table (\S+), vrings (\S+), DRIVER_OK (\S+), notifications (\S+),"
        r" name service (\S+), traffic (\S+)",
        steps,
    )
    assert found is not None, steps
    times = [float(each) for each in found.groups()]
    assert times == sorted(times)
    assert rest[-1].startswith("Run ended: up, and shared memory quiet for 50 ms at ")
    assert len(result.stdout.splitlines()) < 24  # one screen
    assert not [line for line in rest if len(line) > 100 or line != line.rstrip()]


def test_the_consoles_are_one_text_in_the_order_of_time(pair: Pair) -> None:
    said = rptwin("run", "--verbose", pair.main, pair.remote).stdout.partition("\nConsoles\n")[2].partition("\n\n")[0]
    *lines, trace = said.splitlines()
    matched = [re.fullmatch(r" +(\d+\.\d{3}) ms  (main|remote) +\| .+", line) for line in lines]
    times = [float(each[1]) for each in matched if each is not None]
    assert len(times) == len(lines) == 11
    assert times == sorted(times)
    assert {each[2] for each in matched if each is not None} == {"main", "remote"}
    assert trace.strip() == "remote.trace says the same as remote"


def test_a_cause_names_the_line_the_call_that_led_there_and_the_issue(firmware: Callable[[str], Pair]) -> None:
    faulty = firmware("crash-remote")
    text = rptwin("run", faulty.main, faulty.remote).stdout
    file = ROOT / "firmware" / "remote" / "main.c"
    (line,) = re.findall(rf"at +{re.escape(str(file))}:(\d+)  cpu_cm4 at 0x\w+ \(main\+0x\w+\)", text)
    assert "0x70000000" in file.read_text().splitlines()[int(line) - 1]
    assert f"from     {file.parents[1] / 'common' / 'start.c'}:" in text
    assert "vrings missing (vdev[0].vring[0], vdev[0].vring[1]), DRIVER_OK missing (vdev[0] at 0)" in text
    assert "Resource table" not in text
    quiet = firmware("wrong-channel")
    text = rptwin("run", quiet.main, quiet.remote).stdout
    assert "see      https://github.com/Xilinx/linux-xlnx/issues/51\n" in text
    signals = ROOT / "firmware" / "boards" / "stm32h745" / "mailbox.c"
    (line,) = re.findall(rf"at +{re.escape(str(signals))}:(\d+)  cpu_cm7 at 0x\w+\n +\(mailbox_signal\+", text)
    assert "=" in signals.read_text().splitlines()[int(line) - 1]  # the store
    assert "notifications missing (none to remote)" in text
    assert "\nNotifications\n" in text  # the cause lies there
    assert "Resource table" not in text


def test_a_fault_of_the_table_names_the_line_of_its_variable_and_shows_the_table(
    firmware: Callable[[str], Pair],
) -> None:
    faulty = firmware("align3")
    text = rptwin("run", faulty.main, faulty.remote).stdout
    assert re.search(r"at +\S+/firmware/remote/table\.c:\d+  cpu_cm7 at 0x30040084", text)
    assert "\nResource table\n" in text
    assert "vring[1]  da 0x100410f0 align 3 num 8" in text
    assert "Buffers through the virtqueues" not in text


def test_demo_finds_its_pair(pair: Pair) -> None:
    assert rptwin("demo", "--quiet").stdout.startswith("RPTUN is up: no findings (stm32h745, main ")


def test_verbose_shows_events_and_whole_consoles(pair: Pair) -> None:
    result = rptwin("run", "--verbose", pair.main, pair.remote)
    assert "notification-sent mailbox=hsem target=cpu_cm4" in result.stderr
    assert not re.search(r"[({]'|\(\d+,\)|=\d{7,}", result.stderr)  # no Python, no address in decimal
    for words in ("main 0x30040000 = remote 0x10040000", "0x30041000   0x10041000", "hsem channel 0", "main 1024"):
        assert words in result.stdout
    assert result.stdout.splitlines()[-1] == result.stdout.splitlines()[0]


def test_verbose_and_quiet_contradict_each_other(pair: Pair) -> None:
    assert "contradict" in error_of(rptwin("run", "-v", "-q", pair.main, pair.remote))


def test_run_on_a_faulty_pair_exits_1_with_its_one_cause(firmware: Callable[[str], Pair]) -> None:
    faulty = firmware("align3")
    result = rptwin("run", "--quiet", faulty.main, faulty.remote)
    assert result.exit_code == 1
    assert "vring.align-not-power-of-two  vdev[0].vring[1].align" in result.stdout
    assert result.stdout.startswith("RPTUN is up, with errors: 1 error (stm32h745, main ")


def test_settings_come_from_the_file_and_the_command_line_wins(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "rptwin.toml").write_text(
        f'main = "{pair.main}"\nremote = "{pair.remote}"\nuntil = "main:never"\ntimeout = "30 ms"\n'
    )
    assert "Run ended: timeout at 0.030000 s." in rptwin("run", "-q").stdout
    assert "Run ended: timeout at 0.020000 s." in rptwin("run", "-q", "--timeout", "20 ms").stdout


def test_until_ends_the_run(pair: Pair) -> None:
    result = rptwin("run", "-q", "--until", "main:10 good", pair.main, pair.remote)
    assert "Run ended: the condition was met at 0.000" in result.stdout


def test_what_a_run_waits_for_in_vain_fails_it_in_every_report(pair: Pair, tmp_path: Path) -> None:
    command = (
        "run",
        "-q",
        "--until",
        "main:no such words",
        "--timeout",
        "100 ms",
        "--json",
        "a.json",
        "--junit",
        "a.xml",
    )
    result = rptwin(*command, pair.main, pair.remote)
    assert result.exit_code == 1
    assert "error   run.until-not-met  until" in result.stdout
    assert "main:no such words" in result.stdout
    assert "not within 100.000 ms, when the run ended (timeout)" in result.stdout
    assert result.stdout.startswith("RPTUN is up, with errors: 1 error (stm32h745, main ")
    verdict = json.loads((tmp_path / "a.json").read_text())["verdict"]
    assert (verdict["up"], verdict["exit_code"], verdict["headline"]) == (True, 1, "RPTUN is up, with errors")
    (finding,) = verdict["findings"]
    assert finding["rule"] == "run.until-not-met"
    advice = "what stopped it stands above; if nothing did, give --timeout more, or ask for something else"
    assert finding["advice"] == advice
    cases = ElementTree.parse(tmp_path / "a.xml").getroot().iter("testcase")
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["run.until-not-met", "RPTUN is up"]


def test_two_runs_give_the_same_json_apart_from_the_wall_clock(pair: Pair, tmp_path: Path) -> None:
    documents = []
    for name in ("a.json", "b.json"):
        assert rptwin("run", "--json", name, pair.main, pair.remote).exit_code == 0
        documents.append(json.loads((tmp_path / name).read_text()))
        assert set(documents[-1].pop("wall_clock")) == {"started", "seconds"}
    assert documents[0] == documents[1]
    assert documents[0]["verdict"]["up"] is True
    assert documents[0]["parameters"]["main"] == str(pair.main)
    assert documents[0]["parameters"]["vector_tables"]["remote"] == {
        "core": "cpu_cm4",
        "address": 0x0810_0000,
        "how": "the platform's boot address",
    }


def test_junit_has_a_case_for_each_rule_and_fails_the_one_that_is_broken(
    firmware: Callable[[str], Pair], tmp_path: Path
) -> None:
    faulty = firmware("align3")
    assert rptwin("run", "-q", "--junit", "out.xml", faulty.main, faulty.remote).exit_code == 1
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert root.get("failures") == "2"
    assert int(root.get("tests", "0")) == len(root.findall("./testsuite/testcase")) > 20
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == ["vring.align-not-power-of-two", "RPTUN is up"]


def test_a_report_that_cannot_be_written_is_an_error_after_the_others_are_out(pair: Pair, tmp_path: Path) -> None:
    result = rptwin("run", "-q", "--json", "no/such/folder.json", "--junit", "out.xml", pair.main, pair.remote)
    assert error_of(result) == "no/such/folder.json: JSON report not written: No such file or directory"
    assert "RPTUN is up" in result.stdout
    assert (tmp_path / "out.xml").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_in_one_line_and_the_other_report_is_written(pair: Pair, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device, not a path of ours
        child = process("run", "--json", tmp_path / "out.json", pair.main, pair.remote, stdout=full)
        _, errors = child.communicate()
    assert child.returncode == 2
    assert errors == "rptwin: error: standard output: report not written: No space left on device\n"
    assert json.loads((tmp_path / "out.json").read_text())["verdict"]["up"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_what_was_gathered_and_exit_code_2(
    pair: Pair, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out.json"
    # The events of --verbose tell when the run is under way, so that nothing depends on the speed of the machine.
    child = process(
        "run", "-v", "--until", "main:never", "--timeout", "1000000 s", "--json", out, pair.main, pair.remote
    )
    assert child.stderr is not None
    child.stderr.readline()
    child.send_signal(number)
    text, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    assert "Run ended: interrupted at " in text
    assert "Traceback" not in errors
    document = json.loads(out.read_text())
    assert (document["end"]["reason"], document["exit_code"], document["error"]) == ("interrupted", 2, "interrupted")


def test_wall_time_ends_a_run_with_what_was_gathered_and_exit_code_2(pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    forever = ("--until", "main:never", "--timeout", "1000000 s", "--wall-time", "300 ms")
    result = rptwin("run", *forever, "--json", out, pair.main, pair.remote)
    assert result.exit_code == 2
    assert "cut off after 300 ms of wall time (--wall-time)" in result.stderr
    assert "Run ended: wall time is up at " in result.stdout
    assert "of wall time (at most 300 ms) for" in result.stdout
    document = json.loads(out.read_text())
    assert (document["end"]["reason"], document["parameters"]["wall_time"]) == ("wall-time", "300 ms")


def test_no_recording_is_made_of_a_run_that_was_cut_off(pair: Pair, tmp_path: Path) -> None:
    forever = ("--until", "main:never", "--timeout", "1000000 s", "--wall-time", "300 ms")
    result = rptwin("record", *forever, "-o", tmp_path / "out.json", pair.main, pair.remote)
    assert "no recording of a run that was cut off" in error_of(result)
    assert not (tmp_path / "out.json").exists()


def test_what_can_be_said_of_images_that_cannot_be_loaded_is_said(pair: Pair, tmp_path: Path) -> None:
    broken = bytearray(pair.main.read_bytes())
    broken[52 + 12 : 52 + 16] = (0x6000_0000).to_bytes(4, "little")  # p_paddr of the first segment
    (tmp_path / "broken.elf").write_bytes(broken)
    result = rptwin("run", "broken.elf", pair.remote)
    assert "does not lie in memory of cpu_cm7" in error_of(result)
    assert "elf.segment-outside-memory  broken.elf: segment[0]" in result.stdout
    quiet = rptwin("run", "-q", "broken.elf", pair.remote)
    assert quiet.stdout == "Findings" + result.stdout.partition("Findings")[2]


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_an_engine_that_is_not_there_is_said_before_anything_of_the_images(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, quiet: tuple[str, ...]
) -> None:
    for name in ("PYRENODE_PKG", "PYRENODE_BUILD_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYRENODE_BIN", "/nowhere")
    result = rptwin("run", "--engine", "renode", *quiet, pair.main, pair.remote)
    assert error_of(result) == "PYRENODE_BIN: no Renode: expected an executable file, found /nowhere"
    assert result.stdout == ""


# inspect


def test_inspect_draws_the_table_and_the_memory_that_it_names(pair: Pair) -> None:
    result = rptwin("inspect", pair.remote)
    assert result.exit_code == 0, result.output
    for words in (
        "remote.elf: remote core cpu_cm4 of stm32h745",
        "vector table at 0x08100000 (the platform's boot address)",
        "├── vring[0]  da ANY align 16 num 8 notifyid 0",
        "0x30041000   0x10041000   12288   carveout[0]",
        "no findings",
    ):
        assert words in result.stdout


def test_inspect_takes_both_images_in_either_order(pair: Pair) -> None:
    for files in ((pair.main, pair.remote), (pair.remote, pair.main)):
        result = rptwin("inspect", *files)
        assert result.exit_code == 0
        assert "main.elf: main core cpu_cm7" in result.stdout
        assert "remote.elf: remote core cpu_cm4" in result.stdout


def test_inspect_exits_1_with_findings_and_writes_them_as_json(firmware: Callable[[str], Pair], tmp_path: Path) -> None:
    result = rptwin("inspect", "--json", "out.json", firmware("num6").remote)
    assert result.exit_code == 1
    document = json.loads((tmp_path / "out.json").read_text())
    assert [each["rule"] for each in document["findings"]] == ["vring.num-not-power-of-two"]


def test_inspect_of_what_is_no_elf_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("hello, world")
    assert error_of(rptwin("inspect", "text.elf")).startswith("text.elf: not an ELF file")


# console


def test_lines_from_a_pipe_go_to_the_console_that_was_chosen_last(pair: Pair) -> None:
    result = rptwin("console", pair.main, pair.remote, text="ping 3 64\n:remote\nstatus\n:nowhere\n:quit\n")
    assert result.exit_code == 0
    assert re.search(r"^ +\d+\.\d{3} ms  main +\| vdev 0: 3 pings: 3 good, 0 bad, 0 lost$", result.stdout, re.M)
    assert re.search(r"^ +\d+\.\d{3} ms  remote +\| vdev 0: status 0x07, up, 13 echoed$", result.stdout, re.M)
    assert result.stderr.startswith("rptwin: error: no such console: expected main | remote | ")


def test_a_command_that_says_nothing_while_it_works_is_waited_for(pair: Pair) -> None:
    """Pings of more than 50 ms of virtual time, and a summary at the end."""
    result = rptwin("console", pair.main, pair.remote, text="ping 1600 8\n")
    assert "1600 pings: 1600 good, 0 bad, 0 lost" in result.stdout
    assert float(result.stdout.splitlines()[-1].split()[0]) > 51


def test_lines_of_all_consoles_come_in_the_order_of_time(pair: Pair) -> None:
    lines = rptwin("console", pair.main, pair.remote, text="").stdout.splitlines()
    matched = (re.match(r" +(\d+\.\d{3}) ms  (\w+) ", line) for line in lines)
    said = [(float(each[1]), each[2]) for each in matched if each is not None]
    assert len(said) == 11
    assert said == sorted(said, key=lambda each: each[0])
    assert [name for _, name in said[:3]] == ["remote", "remote", "main"]


def test_a_session_from_a_pipe_is_judged_and_reported(firmware: Callable[[str], Pair], tmp_path: Path) -> None:
    faulty = firmware("align3")
    result = rptwin("console", "--json", "a.json", "--junit", "a.xml", faulty.main, faulty.remote, text="ping 3 64\n")
    assert result.exit_code == 1
    assert "vring.align-not-power-of-two" in result.stderr
    assert json.loads((tmp_path / "a.json").read_text())["verdict"]["exit_code"] == 1
    assert ElementTree.parse(tmp_path / "a.xml").getroot().get("failures") == "2"


def test_a_session_and_a_report_do_not_share_the_standard_output(pair: Pair) -> None:
    assert error_of(rptwin("console", "--json", "-", pair.main, pair.remote)).startswith("-: the standard output is")


def test_on_a_terminal_ctrl_t_switches_the_console_and_ctrl_c_ends(pair: Pair) -> None:
    shown = ""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests may run in the background, where it is ignored
        os.execv(sys.executable, [sys.executable, "-m", "orchestrator", "console", str(pair.main), str(pair.remote)])

    def read_until(words: str) -> None:
        nonlocal shown
        deadline = time.monotonic() + 60
        while words not in shown:
            assert time.monotonic() < deadline, shown
            try:
                shown += os.read(terminal, 4096).decode()
            except OSError:  # EIO: the other end is closed
                break

    read_until("10 good")
    os.write(terminal, b"ping 2 3x\x7f2\r")
    read_until("2 pings: 2 good")
    os.write(terminal, b"\x1b[A\x1b[D\x1b[D\x1b[D\x7f3\r")  # the line before, its count 3
    read_until("3 pings: 3 good")
    assert "[A" not in shown
    os.write(terminal, b"\x14status\r")
    read_until("15 echoed")
    os.write(terminal, b"\x03")
    read_until("never said")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert "remote> status" in shown
