"""A chip of three cores, two pairs over one memory: main is played in Python towards two remotes with real firmware.

Nothing of the package knows this chip: it is described here, and its remotes run the images of the AN521's remote, each
in memory of its own and with its own window of the shared memory.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from support.browser import Keys, browser

from orchestrator.base.errors import UsageError
from orchestrator.board import Board, EndReason
from orchestrator.board.consoles import is_trace
from orchestrator.cli import main
from orchestrator.cli.run import _debugger
from orchestrator.platform import load_platform
from orchestrator.pytest_plugin import _failure
from orchestrator.trace import TraceCollector
from orchestrator.trace.pcapng import to_pcapng
from orchestrator.trace.perfetto import to_perfetto
from orchestrator.trace.profile import Coverage, StackProfile
from orchestrator.trace.vcd import to_vcd

SHARED, WINDOW = 0x3820_0000, 0x8000  # as main sees it; bytes of each remote's part
REMOTE_SHARED = 0x2820_0000  # as each remote sees its own part
NOTIFY = {"bell1": 0, "bell2": 0}  # the channel that the firmware listens to
FOLDER = Path(__file__).parent

CORE = """
cpu{i}: CPU.CortexM @ sysbus
    cpuType: "cortex-m33"
    nvic: nvic{i}
    cpuId: {i}
    PerformanceInMips: 20

nvic{i}: IRQControllers.NVIC @ sysbus new Bus.BusPointRegistration {{ address: 0xE000E000; cpu: cpu{i} }}
    priorityMask: 0xFF
    systickFrequency: 20000000
    -> cpu{i}@0
"""

REMOTE = """
code{i}: Memory.MappedMemory @ sysbus new Bus.BusPointRegistration {{ address: 0x10200000; cpu: cpu{i} }}
    size: 0x10000

ram{i}: Memory.MappedMemory @ sysbus new Bus.BusPointRegistration {{ address: 0x30010000; cpu: cpu{i} }}
    size: 0x10000

uart{i}: UART.CMSDK_APB_UART @ sysbus new Bus.BusPointRegistration {{ address: 0x50201000; cpu: cpu{i} }}
    RxInterrupt -> nvic{i}@34
    TxInterrupt -> nvic{i}@35

bell{i}: Python.PythonPeripheral @ {{
        sysbus new Bus.BusPointRegistration {{ address: 0x50003000; cpu: cpu{i} }};
        sysbus new Bus.BusPointRegistration {{ address: {main:#x}; cpu: cpu0 }}
    }}
    size: 0x1000
    initable: true
    filename: "bell{i}.py"
"""

MEMORY = """
shared: Memory.MappedMemory @ {
        sysbus new Bus.BusPointRegistration { address: 0x38200000; cpu: cpu0 };
        sysbus new Bus.BusPointRegistration { address: 0x28200000; cpu: cpu1 };
        sysbus new Bus.BusPointRegistration { address: 0x281F8000; cpu: cpu2 }
    }
    size: 0x10000
"""

BELL_SETTINGS = """
[mailboxes.bell{i}]
lines = [
    {{ core = "cpu0", interrupt = {line}, pending = 0x00 }},
    {{ core = "cpu{i}", interrupt = 6, pending = 0x10 }},
]

[mailboxes.bell{i}.drive.cpu0]
channels = 4
clear = [{{ write = 0x08 }}]
ring = [{{ write = 0x14 }}]
"""

SETTINGS = """
[roles]
main = "cpu0"
remote = "cpu1"

[pairs.second]
main = "cpu0"
remote = "cpu2"

[consoles]
cpu1 = "uart1"
cpu2 = "uart2"
"""


@pytest.fixture
def platform(tmp_path):
    mhu = (FOLDER.parents[1] / "platforms" / "mps2_an521" / "mhu0.py").read_text()
    text = "".join(CORE.format(i=i) for i in range(3)) + MEMORY
    settings = SETTINGS
    for i in (1, 2):
        lines = f"LINES = ({5 + i}, 6)"
        script = mhu.replace("LINE = 6", lines).replace("'sysbus.nvic1'", f"'sysbus.nvic{i}'")
        (tmp_path / f"bell{i}.py").write_text(script.replace("OnGPIO(LINE,", "OnGPIO(LINES[k],"))
        text += REMOTE.format(i=i, main=0x5000_2000 + 0x1000 * i)
        settings += BELL_SETTINGS.format(i=i, line=5 + i)
    (tmp_path / "three.repl").write_text(text)
    (tmp_path / "three.toml").write_text(settings)
    return load_platform(str(tmp_path / "three.repl"))


@pytest.fixture
def board(platform, pair):
    boards = []

    def make(first="demo", second="demo"):
        remotes = [pair(variant, "mps2_an521").remote for variant in (first, second)]
        boards.append(Board(platform, remote=remotes[0], others={"cpu2": remotes[1]}, notify=NOTIFY, profile="nuttx"))
        return boards[-1]

    yield make
    for each in boards:
        each.close()


def test_both_pairs_come_up_and_are_judged_each_by_itself(board):
    rig = board()
    assert rig.run().reason is EndReason.QUIET
    assert rig.is_up()
    for name, remote in (("", "cpu1"), ("second", "cpu2")):
        verdict = rig.pairs[name].verdict()
        assert (verdict.exit_code, [each for each in verdict.findings if each.rule != "traffic.none"]) == (0, [])
        assert {role: core.name for role, core in verdict.run.cores.items()} == {"main": "cpu0", "remote": remote}
        assert verdict.live.span.da == REMOTE_SHARED
    tables = [pair.observer.live.span.pa for pair in rig.pairs.values()]
    assert tables == [SHARED, SHARED + WINDOW]


def test_a_message_to_one_remote_is_of_its_pair_alone(board):
    rig = board()
    rig.run()
    first, second = rig.pairs.values()
    echo = second.host.endpoint("rptwin-echo")
    echo.send(b"to the second")
    assert echo.receive() == b"to the second"
    sent = [pair.observer.run.traffic.messages["vdev[0]"].sent_by("main") for pair in (first, second)]
    assert sent == [0, 1]
    rung = [pair.observer.run.ledger.sent_to("remote") for pair in (first, second)]
    assert rung[0] < rung[1]


def test_the_trace_of_a_further_pairs_remote_is_a_console_by_the_pairs_name(board):
    rig = board()
    assert rig.run("second.remote.trace:vdev 0: driver ok").reason is EndReason.CONDITION
    consoles = rig.consoles
    assert [name for name in consoles if is_trace(name)] == ["remote.trace", "second.remote.trace"]
    assert b"Cortex-M33 is up" in consoles["second.remote.trace"].output


def test_a_broken_remote_is_a_finding_of_its_pair_alone(board):
    rig = board(second="leak")
    rig.run()
    echo = rig.pairs["second"].host.endpoint("rptwin-echo")
    echo.send(b"kept")
    rig.run_for("100 ms")
    assert rig.verdict().exit_code == 0
    assert [each.finding.rule for each in rig.pairs["second"].verdict().causes] == ["buffer.not-returned"]


def test_a_trace_has_what_each_pair_did_and_each_core_once(board):
    rig = board()
    collector, stacks, coverage = TraceCollector(rig), StackProfile(rig), Coverage(rig)
    rig.run()
    echo = rig.pairs["second"].host.endpoint("rptwin-echo")
    echo.send(b"to the second")
    assert echo.receive() == b"to the second"
    trace = collector.trace()
    assert [core.name for core in trace.cores] == ["cpu0", "cpu1", "cpu2"]
    first, second = trace.pairs
    assert (second.name, second.cores) == ("second", {"main": "cpu0", "remote": "cpu2"})
    assert [(each.sender, each.payload) for each in first.messages if not each.text] == []
    assert [(each.sender, each.payload) for each in second.messages if not each.text] == [
        ("cpu0", b"to the second"),
        ("cpu2", b"to the second"),
    ]
    assert all(each.seen_ns is not None for each in second.messages)
    labels = {line.partition(";")[0] for line in stacks.folded().decode().splitlines()}
    assert labels == {"remote", "second.remote"}
    tests = {line for line in coverage.lcov(str).decode().splitlines() if line.startswith("TN:")}
    assert tests == {"TN:remote", "TN:second_remote"}
    for write in (to_perfetto, to_vcd, to_pcapng):
        assert write(trace)


@pytest.fixture
def rptwin_run(platform, pair, tmp_path):
    """``rptwin run`` on both remotes: its result, its JSON and its JUnit."""

    def run(first="demo", second="demo", *options):
        remotes = [pair(variant, "mps2_an521").remote for variant in (first, second)]
        files = tmp_path / "out.json", tmp_path / "out.xml"
        given = ["run", "--platform", platform.path, "--remote", remotes[0], "--firmware", f"cpu2={remotes[1]}"]
        given += ["--json", files[0], "--junit", files[1], "--profile", "nuttx", *options]
        given += [word for name, channel in NOTIFY.items() for word in ("--notify", f"{name}={channel}")]
        result = CliRunner().invoke(main, [str(each) for each in given], prog_name="rptwin")
        return result, json.loads(files[0].read_text()), ElementTree.parse(files[1]).getroot()

    return run


def test_every_report_has_both_pairs(rptwin_run):
    result, document, junit = rptwin_run()
    assert result.exit_code == 0, result.output
    assert "Pair first (cpu0, cpu1): RPTUN came up" in result.output
    assert "Pair second (cpu0, cpu2): RPTUN came up" in result.output
    assert (document["exit_code"], document["verdict"]["exit_code"]) == (0, 0)
    assert {name: each["table"]["main"] for name, each in document["pairs"].items()} == {"second": SHARED + WINDOW}
    assert document["verdict"]["table"]["main"] == SHARED
    assert document["parameters"]["firmware"].keys() == {"cpu2"}
    names = [suite.get("name") for suite in junit]
    assert names == [*names[: len(names) // 2], *(f"second: {each}" for each in names[: len(names) // 2])]
    assert junit.get("failures") == "0"


@pytest.mark.needs_command("chromium", "chromium")
@pytest.mark.needs_command("chromedriver", "chromium-driver")
@pytest.mark.xdist_group("browser")
def test_the_page_has_both_pairs_and_every_core(rptwin_run, tmp_path):
    result, _, _ = rptwin_run("demo", "align3", "--html", tmp_path / "out.html")
    assert result.exit_code == 1
    with browser() as chromium:
        chromium.open(tmp_path / "out.html")
        titles = [each.text for each in chromium.every("h1")]
        assert [title.partition(":")[0] for title in titles] == ["Pair first (cpu0, cpu1)", "Pair second (cpu0, cpu2)"]
        assert "second (cpu0, cpu2)" in chromium.text(".cause .subject")
        chromium.click(".cause header .moment")
        assert "cpu2" in chromium.text("#here")
        chromium.click("#vdevs button:last-child")
        tabs = {each.text: each.get_attribute("aria-pressed") for each in chromium.every("#vdevs button")}
        assert tabs == {"first (cpu0, cpu1) vdev[0]": "false", "second (cpu0, cpu2) vdev[0]": "true"}
        assert "not there yet at this moment" in chromium.text("#rings")
        chromium.press(Keys.END)
        assert "avail.idx" in chromium.text("#rings")
        assert chromium.complaints() == []


@pytest.mark.parametrize("broken", ["first", "second"])
@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_a_pair_that_is_broken_fails_the_run_and_is_named_with_its_finding(rptwin_run, broken, options):
    variants = ("align3", "demo") if broken == "first" else ("demo", "align3")
    result, document, junit = rptwin_run(*variants, *options)
    assert (result.exit_code, document["exit_code"]) == (1, 1)
    codes = {"first": document["verdict"]["exit_code"], "second": document["pairs"]["second"]["exit_code"]}
    assert codes == {"first": 0, "second": 0, broken: 1}
    before, rule, _ = result.output.partition("vring.align-not-power-of-two")
    assert rule
    assert f"\n{before}".rpartition("\nPair ")[2].startswith(f"{broken} (cpu0, cpu{1 if broken == 'first' else 2})\n")
    failed = {case.get("classname") for case in junit.iter("testcase") if case.find("failure") is not None}
    assert failed
    assert all(name.startswith("rptwin.second.") == (broken == "second") for name in failed)


def test_the_pytest_fixture_fails_for_any_pair(board):
    rig = board(second="align3")
    rig.run()
    assert re.match(r"pair second: .*\n.*vring\.align-not-power-of-two", _failure(rig))


def test_gdb_has_a_port_for_every_core_with_firmware(board):
    with _debugger(board(), 0) as server:
        assert list(server.ports) == ["cpu1", "cpu2"]


def test_a_core_with_a_role_takes_no_further_image(platform, pair):
    remote = pair("demo", "mps2_an521").remote
    with pytest.raises(UsageError, match=r"cpu1 is remote: expected a core without a role"):
        Board(platform, remote=remote, others={"cpu1": remote})


def test_no_recording_is_made_of_two_pairs(platform, pair, tmp_path):
    images = pair("demo", "mps2_an521")
    (tmp_path / "rptwin.toml").write_text(f'[firmware]\ncpu2 = "{images.remote}"\n')
    given = ["record", "--platform", platform.path, "--config", tmp_path / "rptwin.toml", images.main, images.remote]
    result = CliRunner().invoke(main, [str(each) for each in (*given, "-o", tmp_path / "out.json")])
    assert result.exit_code == 2
    assert "a recording is of one pair" in result.output
    assert not (tmp_path / "out.json").exists()
