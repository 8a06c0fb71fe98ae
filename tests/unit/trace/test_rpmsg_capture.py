"""Captures of RPMsg, read with tshark and the dissector that comes with rptwin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.base.errors import UsageError
from orchestrator.cli import main
from orchestrator.trace import Trace
from orchestrator.trace.pcapng import DISSECTOR, PacketHeader, refuse_without_pcapng, to_pcapng

tshark = pytest.mark.needs_command("tshark", "tshark")

FIELDS = ("frame.time_epoch", "frame.interface_name", "rptwin.vring", "rptwin.to_main", "rptwin.head", "rpmsg.src",
          "rpmsg.dst", "rpmsg.len", "rpmsg.payload", "rptwin.seen")  # fmt: skip


def read(trace: Trace, tmp_path: Path, *arguments: str) -> list[str]:
    file = tmp_path / "a.pcapng"
    file.write_bytes(to_pcapng(trace))
    command = ["tshark", "-X", f"lua_script:{DISSECTOR}", "-r", str(file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "Lua" not in done.stderr
    return done.stdout.splitlines()


def fields(trace: Trace, tmp_path: Path, names: tuple[str, ...], *filters: str) -> list[list[str]]:
    given = [word for name in names for word in ("-e", name)]
    return [line.split("\t") for line in read(trace, tmp_path, "-T", "fields", *given, *filters)]


@tshark
def test_every_message_is_a_packet(demo: Trace, tmp_path: Path) -> None:
    rows = fields(demo, tmp_path, FIELDS)
    messages = sorted(demo.pairs[0].messages)
    assert len(rows) == len(messages) == 21
    for row, message in zip(rows, messages, strict=True):
        assert message.seen_ns is not None
        assert row == [
            f"{message.sent_ns / 1e9:.9f}",
            "vdev[0]",
            message.ring[-2],
            str(int(message.receiver == "cpu_cm7")),
            str(message.head),
            str(message.src),
            str(message.dst),
            str(message.length),
            message.payload.hex(),
            f"{(message.seen_ns - message.sent_ns) / 1e9:.9f}",
        ]


@tshark
def test_an_announcement_names_the_messages_after_it(demo: Trace, tmp_path: Path) -> None:
    names = ("rpmsg.ns.name", "rpmsg.ns.addr", "rpmsg.ns.flags", "rpmsg.endpoint", "_ws.col.Protocol")
    first, *others = fields(demo, tmp_path, names)
    assert first == ["rptwin-echo", "1024", "0", "", "RPMsg NS"]
    assert others == [["", "", "", "rptwin-echo", "RPMsg"]] * 20


@tshark
def test_the_list_of_packets_reads_as_text(demo: Trace, tmp_path: Path) -> None:
    names = ("_ws.col.Source", "_ws.col.Destination", "_ws.col.Info", "frame.protocols")
    assert fields(demo, tmp_path, names)[:2] == [
        ["remote:1024", "main:53", "vdev[0] 1024 to 53, create rptwin-echo at 1024", "rptwin:rpmsg"],
        ["main:1024", "remote:1024", "vdev[0] 1024 to 1024, 1 bytes of rptwin-echo", "rptwin:rpmsg:data"],
    ]


@tshark
def test_each_vdev_is_an_interface(traced: Callable[..., Trace], tmp_path: Path) -> None:
    trace = traced("two-vdevs")
    rows = fields(trace, tmp_path, ("frame.interface_name", "frame.interface_description"))
    assert {tuple(row) for row in rows} == {
        (f"vdev[{number}]", "driver cpu_cm7, device cpu_cm4") for number in range(2)
    }
    only = fields(trace, tmp_path, ("rptwin.vdev",), "-Y", "rptwin.vdev == 1 && rpmsg.ns.name")
    assert only == [["1"]]


@tshark
def test_what_was_never_seen_and_what_was_cut_are_marked(demo: Trace, tmp_path: Path) -> None:
    pair = demo.pairs[0]
    odd = pair.messages[5]._replace(seen_ns=None, payload=pair.messages[5].payload[:4], length=100)
    trace = replace(demo, pairs=(replace(pair, messages=(odd,)),))
    assert fields(trace, tmp_path, ("frame.len", "frame.cap_len"), "-Y", "rptwin.never_seen && rpmsg.cut") == [
        [str(PacketHeader.size + 16 + 100), str(PacketHeader.size + 16 + 4)]
    ]


@tshark
@pytest.mark.parametrize(("name", "size"), [(b"n" * 32, 40), (b"\xff\xfe", 40), (b"x", 39)])
def test_announcements_that_are_none_do_not_stop_it(demo: Trace, tmp_path: Path, name: bytes, size: int) -> None:
    pair = demo.pairs[0]
    payload = (name.ljust(32, b"\0") + bytes(8))[:size]
    odd = pair.messages[0]._replace(payload=payload, length=size)
    trace = replace(demo, pairs=(replace(pair, messages=(odd, *pair.messages[1:])),))
    assert len(read(trace, tmp_path)) == 21
    bad = fields(trace, tmp_path, ("rpmsg.len",), "-Y", "rpmsg.ns.size")
    assert bad == ([["39"]] if size == 39 else [])


@tshark
def test_a_run_without_messages_is_a_capture_without_packets(traced: Callable[..., Trace], tmp_path: Path) -> None:
    assert read(traced("crash-remote"), tmp_path) == []


def test_the_command_line_says_where_the_dissector_is() -> None:
    result = CliRunner().invoke(main, ["dissector"], prog_name="rptwin")
    assert (result.exit_code, result.output) == (0, f"{DISSECTOR}\n")
    assert DISSECTOR.read_text().startswith("-- RPMsg messages in a capture that rptwin wrote")


def test_without_the_extra_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pcapng", None)
    with pytest.raises(UsageError, match=r"--pcapng: python-pcapng is not installed; pip install rptwin\[pcapng\]"):
        refuse_without_pcapng("--pcapng")
