"""``rptwin judge``: boards that somebody else runs, by gdb servers, dumps of memory and a Linux host's debugfs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.debugfs import carveouts_text, table_text
from support.json_schema import report_schema, violations

from orchestrator.base.errors import EngineError
from orchestrator.board import Board
from orchestrator.engines.renode.discovery import discover
from orchestrator.engines.renode.installed import Kind
from orchestrator.formats.gdb_packets import frame
from orchestrator.formats.resource_table import scan_table
from orchestrator.formats.translation import AddressRange

LIMIT_S = 120
H745, SHARED_PA, SHARED_DA, SHARED = "stm32h745", 0x3004_0000, 0x1004_0000, 0x8000
AN521, AN521_TABLE = "mps2_an521", 0x3820_0000
needs_qemu = pytest.mark.needs_command("qemu-system-arm", "qemu-system-arm")
needs_gdb = pytest.mark.needs_command("gdb-multiarch", "gdb-multiarch")


class Judged:
    """What ``rptwin judge`` said of a board."""

    def __init__(self, *arguments: str | Path, folder: Path) -> None:
        report = folder / "judged.json"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "orchestrator", "judge", "--json", str(report), *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.json = json.loads(report.read_text()) if report.exists() else {}
        assert not self.json or list(violations(self.json, report_schema())) == []

    @property
    def verdict(self) -> dict:
        return self.json["verdict"]

    @property
    def rules(self) -> list[str]:
        return [each["rule"] for each in self.verdict["findings"]]


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Judged]:
    return lambda *arguments: Judged(*arguments, folder=tmp_path)


@pytest.fixture(scope="module")
def shared(pair) -> bytes:
    """Shared memory of the demo pair after its run, as main has it from ``SHARED_PA`` on."""
    images = pair("demo")
    with Board(H745, main=images.main, remote=images.remote) as board:
        board.run()
        assert board.verdict().exit_code == 0
        return board.engine.memory("cpu_cm7").read(SHARED_PA, SHARED)


@pytest.fixture
def dump(shared: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "shared.bin"
    file.write_bytes(shared)
    return file


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


# dumps


@pytest.mark.parametrize("options", [(), ("--platform", H745), ("--table", "0x10040000", "--platform", H745)])
def test_a_dump_of_a_pair_that_works_is_good_and_says_what_was_not_judged(judge, dump: Path, options) -> None:
    judged = judge("--memory", f"{dump}@{SHARED_PA:#x}", *options)
    assert (judged.code, judged.rules) == (0, [])
    assert judged.out.startswith("RPTUN is up: no findings")
    assert judged.verdict["table"]["vdevs"][0]["vrings"][0]["main"] == SHARED_PA + 0x1000
    owners = {each["owner"] for each in judged.verdict["buffers"]}
    assert owners == {"device"}
    reasons = judged.json["reading"]["not_applied"]
    assert "notification.missing" in reasons["needs a run that was watched"]
    assert "elf.images-overlap" in reasons["needs the ELF files"]
    assert f"{len(reasons['needs a run that was watched'])} rules (-v: which)" in judged.out


def test_the_images_add_their_rules_and_the_line_of_the_table(judge, dump: Path, pair) -> None:
    images = pair("demo")
    spoilt = bytearray(dump.read_bytes())
    spoilt[0x70] = 24  # vdev[0].vring[0].align
    dump.write_bytes(spoilt)
    options = ("--platform", H745, "--main", images.main, "--remote", images.remote)
    judged = judge("--memory", f"{dump}@{SHARED_PA:#x}", *options)
    assert judged.code == 1
    assert [each["rule"] for each in judged.verdict["causes"]] == ["vring.align-not-power-of-two"]
    assert "firmware/remote/table.c:" in judged.out
    assert "needs the ELF files" not in judged.json["reading"]["not_applied"]


def test_main_may_see_one_file_and_the_remote_another(judge, dump: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(dump.read_bytes()[:0x40] + b"\xff" + dump.read_bytes()[0x41:])
    options = ("--platform", H745, "--table", f"main:{SHARED_PA:#x}")
    both = (f"main={dump}@{SHARED_PA:#x}", f"remote={other}@{SHARED_DA:#x}")
    judged = judge("--memory", both[0], "--memory", both[1], *options)
    assert "table.views-differ" in judged.rules


def test_an_address_that_main_and_remote_have_apart_is_translated_as_given(judge, dump: Path) -> None:
    given = f"{SHARED_PA:#x}:{SHARED_DA:#x}:{SHARED:#x}"
    judged = judge("--memory", f"{dump}@{SHARED_PA:#x}", "--map", given, "--table", f"{SHARED_DA:#x}")
    assert (judged.code, judged.rules) == (0, [])


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (0x40, "the dump is too short: expected all of"),
        (0x1068, "expected all of vdev[0].vring[0]"),
        (0x200, "in no dump"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--platform", H745)])
def test_a_dump_that_lacks_what_the_table_names_is_an_error(judge, dump: Path, size: int, says: str, options) -> None:
    dump.write_bytes(dump.read_bytes()[:size])
    judged = judge("--memory", f"{dump}@{SHARED_PA:#x}", "--table", f"main:{SHARED_PA:#x}", *options)
    assert judged.code == 2
    assert judged.err.count("\n") == 1
    assert says in judged.err
    assert judged.json["exit_code"] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--memory", "absent.bin@0x1000"), "absent.bin: cannot be read (No such file or directory)"),
        (("--memory", "zeros.bin@0x1000"), "no table found: expected --table"),
        (("--memory", "zeros.bin"), "--memory: not a dump: expected FILE@ADDRESS"),
        (("--memory", "zeros.bin@0x100000000"), "not a dump"),
        (("--memory", "zeros.bin@0xffffffff"), "no dump of memory: expected 1 to 1 bytes"),
        (("--memory", "empty.bin@0"), "no dump of memory"),
        (("--memory", ".@0"), "Is a directory"),
        (("--memory", "zeros.bin@0", "--memory", "ones.bin@8"), "dumps that differ"),
        (("--memory", "zeros.bin@0", "--gdb", "localhost:1"), "memory of a core from two places"),
        (("--gdb", "localhost:1", "--gdb", "localhost:2"), "a core or a server twice"),
        (("--gdb", "localhost"), "not an address"),
        (("--memory", "zeros.bin@0", "--table", "symbol"), "no image to look in"),
        (("--memory", "zeros.bin@0", "--twice", "soon"), "--twice: not a duration"),
        (("--memory", "zeros.bin@0", "--twice", "61 min"), "at most an hour"),
        (("--memory", "zeros.bin@0", "--patience", "0 s"), "more than zero"),
        (("--memory", "zeros.bin@0", "--map", "1:2"), "not an address range"),
        (("--memory", "zeros.bin@0", "--junit", "zeros.bin"), "would be written over a file"),
        (("--debugfs", "zeros.bin"), "no line of a resource table"),
        (("--debugfs", "absent"), "absent: cannot be read"),
        ((), "nothing to look at"),
    ],
)
def test_what_cannot_be_read_is_one_line(judge, tmp_path: Path, arguments, says: str) -> None:
    for name, data in (("zeros.bin", bytes(64)), ("ones.bin", b"\1" * 64), ("empty.bin", b"")):
        (tmp_path / name).write_bytes(data)
    judged = judge(*arguments)
    assert (judged.code, judged.out) == (2, "")
    assert says in judged.err
    assert len(judged.err.splitlines()) == 1


def test_several_tables_in_a_dump_are_named_and_none_is_chosen(judge, dump: Path) -> None:
    dump.write_bytes(dump.read_bytes() + dump.read_bytes())
    judged = judge("--memory", f"{dump}@{SHARED_PA:#x}")
    assert judged.code == 2
    assert "found main:0x30040000, main:0x30048000" in judged.err


def test_looked_at_twice_a_file_that_is_dumped_again_shows_what_moved(dump: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "judge", "--memory", f"{dump}@{SHARED_PA:#x}", "--twice", "3 s"]
    judging = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    time.sleep(2)  # between its first look and the second, on a machine of any use
    later = bytearray(dump.read_bytes())
    later[0x10F0 + 128 + 2] += 1  # vdev[0].vring[1].avail.idx
    fresh = tmp_path / "fresh"
    fresh.write_bytes(later)
    fresh.replace(dump)
    out = judging.communicate(timeout=LIMIT_S)[0]
    moved = "Moved in between: vdev[0].vring[1] (available +1, used +0)." in out
    assert moved or "Moved in between: nothing." in out  # a slow machine saw the same file twice
    assert "vdev[0].vring[1]: 1 message that the device has not returned" in out


def test_a_report_for_every_reader(judge, dump: Path, tmp_path: Path) -> None:
    spoilt = bytearray(dump.read_bytes())
    spoilt[0x70] = 24
    dump.write_bytes(spoilt)
    where = ("--memory", f"{dump}@{SHARED_PA:#x}", "--table", f"main:{SHARED_PA:#x}")
    judged = judge(*where, "--junit", "j.xml", "--sarif", "s.json", "-v")
    assert judged.code == 1
    cases = ElementTree.parse(tmp_path / "j.xml").iter("testcase")
    failed = [each.get("name") for each in cases if each.find("failure") is not None]
    assert {"vring.align-not-power-of-two", "RPTUN is up"} <= set(failed)
    results = json.loads((tmp_path / "s.json").read_text())["runs"][0]["results"]
    assert "vring.align-not-power-of-two" in {each["ruleId"] for each in results}
    assert "Vrings as each core addresses them" in judged.out
    assert "notification.missing" in judged.out


# debugfs


@pytest.fixture
def debugfs(shared: bytes, tmp_path: Path) -> Path:
    """What Linux would show of the pair: its table, and where the carveouts are."""
    from orchestrator.base.memory import BytesMemory  # noqa: PLC0415

    table = scan_table(BytesMemory("shared", SHARED_PA, shared), SHARED_PA, SHARED).table
    assert table is not None
    folder = tmp_path / "remoteproc0"
    folder.mkdir()
    (folder / "resource_table").write_text(table_text(table))
    where = [AddressRange(SHARED_PA, SHARED_DA, SHARED, "vdev0buffer")]
    (folder / "carveout_memories").write_text(carveouts_text(where))
    return folder


def test_debugfs_alone_says_how_far_the_table_is(judge, debugfs: Path) -> None:
    judged = judge("--debugfs", debugfs)
    assert (judged.code, judged.rules) == (0, [])
    assert "vring.overlap" in judged.json["reading"]["not_applied"]["needs shared memory"]
    text = (debugfs / "resource_table").read_text()
    (debugfs / "resource_table").write_text(text.replace("Status 0x7", "Status 0x3"))
    judged = judge("--debugfs", debugfs)
    assert (judged.code, judged.rules) == (1, ["vdev.driver-ok-not-reached"])


def test_debugfs_with_a_dump_of_the_carveout_has_rings_and_buffers(judge, debugfs: Path, dump: Path) -> None:
    judged = judge("--debugfs", debugfs, "--memory", f"{dump}@{SHARED_PA:#x}")
    assert (judged.code, judged.rules) == (0, [])
    assert {each["ring"]: each["used"] for each in judged.verdict["traffic"]}["vdev[0].vring[1]"] == 10


# gdb servers


@pytest.fixture
def qemu(pair) -> Iterator[int]:
    """QEMU with the demo pair, running; the port of its gdb server."""
    images, port = pair("demo", AN521), free_port()
    command = ["qemu-system-arm", "-M", "mps2-an521", "-display", "none", "-nodefaults", "-serial", "null"]
    command += ["-gdb", f"tcp:127.0.0.1:{port}", "-nic", "none"]
    for image in (images.main, images.remote):
        command += ["-device", f"loader,file={image}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(frame(b"D"))
            break
        time.sleep(0.1)
    yield port
    process.kill()
    process.wait()


def until_up(judge, *arguments: str) -> Judged:
    """The firmware runs in this computer's time."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        judged = judge(*arguments)
        if judged.code != 1 or time.monotonic() > deadline:
            return judged
        time.sleep(0.2)


@needs_qemu
@pytest.mark.parametrize("options", [("--platform", AN521), ("--table", f"main:{AN521_TABLE:#x}")])
def test_a_pair_that_runs_in_qemu_is_judged_and_goes_on(judge, qemu: int, options) -> None:
    server = f"localhost:{qemu}"
    judged = until_up(judge, "--gdb", server, "--twice", "200 ms", *options)
    assert judged.code == 0, judged.err + judged.out
    assert judged.json["reading"]["looks"] == 2
    assert re.search(rf" at {server} halted for \d+ ms", judged.out)
    assert judge("--gdb", server, *options).code == 0  # it was let go, and answers again


@needs_qemu
@needs_gdb
def test_what_gdb_dumps_is_judged_like_the_board(judge, qemu: int, tmp_path: Path) -> None:
    until_up(judge, "--gdb", f"localhost:{qemu}", "--platform", AN521)
    file = tmp_path / "by-gdb.bin"
    script = ["set architecture arm", f"target remote localhost:{qemu}"]
    script += [f"dump binary memory {file} {AN521_TABLE:#x} {AN521_TABLE + 0x8000:#x}", "detach"]
    arguments = [argument for each in script for argument in ("-ex", each)]
    subprocess.run(["gdb-multiarch", "-nx", "-batch", *arguments], capture_output=True, timeout=LIMIT_S, check=True)
    judged = judge("--memory", f"{file}@{AN521_TABLE:#x}")
    assert (judged.code, judged.rules) == (0, [])


@needs_qemu
def test_a_table_that_is_nowhere_is_an_error_and_no_hang(judge, qemu: int) -> None:
    judged = judge("--gdb", f"localhost:{qemu}", "--table", "main:0x38300000")
    assert (judged.code, judged.rules) == (1, ["table.absent"])
    assert judge("--gdb", f"localhost:{qemu}").code == 2  # nobody says where, and no platform where to look


def test_our_own_gdb_servers_are_two_and_the_run_goes_on_between_the_looks(judge, pair, tmp_path: Path) -> None:
    images = pair("demo")
    command = [sys.executable, "-m", "orchestrator", "run", "--quiet", "--gdb", "0", "--until", "main:never"]
    # Somebody at a UART, so that virtual time goes no faster than this computer's.
    command += ["--timeout", "60 min", "--uart", "remote=pty", str(images.main), str(images.remote)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peer = -1
    try:
        ports = [int(re.fullmatch(r".*localhost:(\d+)\n", process.stderr.readline())[1]) for _ in range(2)]
        terminal = re.fullmatch(r"uart: remote .*: (/\S+)\n", process.stderr.readline())[1]
        peer = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
        servers = [f"--gdb={role}=localhost:{port}" for role, port in zip(("main", "remote"), ports, strict=True)]
        judged = until_up(judge, *servers, "--platform", H745, "--table", f"{SHARED_DA:#x}", "--twice", "300 ms")
        assert judged.code == 0, judged.err + judged.out
        assert judged.verdict["table"]["remote"] == SHARED_DA
        assert judged.out.count("halted for") == 2
    finally:
        process.kill()
        process.communicate()
        if peer >= 0:
            os.close(peer)


def test_a_server_that_says_nothing_is_an_error_in_time(judge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        judged = judge("--gdb", f"localhost:{port}", "--table", "0x1000", "--patience", "300 ms")
    assert judged.code == 2
    assert f"gdb server localhost:{port}: does not answer within 0.3 s" in judged.err


@pytest.fixture
def in_renode(pair, tmp_path: Path) -> Iterator[int]:
    """A plain Renode with the demo pair, running, from a build; the port of its gdb server."""
    try:
        renode = discover().renode
    except EngineError as missing:
        pytest.skip(f"no Renode: {missing.what}")
    program = renode.path / "output" / "bin" / "Release" / "Renode.dll"
    if renode.kind is not Kind.BUILD or not program.exists():
        pytest.skip("no Renode: a program of its own is looked for in a build")
    images, port = pair("demo", AN521), free_port()
    exported = [sys.executable, "-m", "orchestrator", "export-renode", AN521, "-o", str(tmp_path / "exported")]
    subprocess.run(exported, stdout=subprocess.DEVNULL, check=True)
    script = tmp_path / "go.resc"
    script.write_text(
        f"$main=@{images.main}\n$remote=@{images.remote}\ninclude @{tmp_path}/exported/{AN521}.resc\n"
        f'machine StartGdbServer {port} true "sysbus.cpu0"\nstart\n'
    )
    command = ["dotnet", str(program), "--console", "--hide-analyzers", "--plain", "-e", f"include @{script}"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.5)
    yield port
    process.kill()
    process.communicate()


@pytest.mark.renode
def test_a_pair_that_runs_in_renode_is_judged(judge, in_renode: int) -> None:
    options = ("--table", f"main:{AN521_TABLE:#x}", "--platform", AN521, "--twice", "200 ms")
    judged = until_up(judge, "--gdb", f"localhost:{in_renode}", *options)
    assert judged.code == 0, judged.err + judged.out
    assert judged.json["reading"]["looks"] == 2
