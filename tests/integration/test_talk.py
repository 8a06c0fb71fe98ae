"""``rptwin run``, ``ping`` and ``send`` with one image: Python plays the other core."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from conftest import Pair, Rptwin

Pairs = Callable[[str], Pair]


def test_run_takes_a_remote_alone(pair: Pairs, rptwin: Rptwin, tmp_path: Path) -> None:
    done = rptwin(
        "run", "-v", "--remote", pair("demo").remote, "--json", tmp_path / "out.json", "--junit", tmp_path / "o.xml"
    )
    assert done.exit_code == 0
    assert "cpu_cm7, played in Python: the host of a lone remote (nuttx)" in done.output
    assert "create rptwin-echo at 1024" in done.output
    assert "round trip" not in done.output  # nobody has asked anything
    assert json.loads((tmp_path / "out.json").read_text())["verdict"]["up"]


def test_run_takes_a_main_alone_and_wants_to_know_where_the_table_goes(pair: Pairs, rptwin: Rptwin) -> None:
    main = pair("demo").main
    assert rptwin("run", "--main", main, "--table", "remote:0x10040000").exit_code == 0
    refused = rptwin("run", "--main", main)
    assert refused.exit_code == 2
    assert "no place for the resource table of a Python remote: expected remote:0xADDRESS" in refused.output


def test_ping_measures_the_echo_in_virtual_time(pair: Pairs, rptwin: Rptwin) -> None:
    done = rptwin("ping", "--remote", pair("demo").remote, "--count", "5", "--size", "496")
    assert done.exit_code == 0
    assert "5 messages of 496 bytes: 5 good, 0 bad, 0 lost" in done.output
    assert done.output == rptwin("ping", "--remote", pair("demo").remote, "--count", "5", "--size", "496").output


def test_ping_that_nobody_answers_is_exit_code_1_or_2(pair: Pairs, rptwin: Rptwin) -> None:
    long = rptwin("ping", "--remote", pair("demo").remote, "--size", "497")
    assert (long.exit_code, "at most 496 bytes" in long.output) == (2, True)
    pair_given = rptwin("ping", "--remote", pair("no-copy").remote, "--timeout", "100 ms")
    assert (pair_given.exit_code, "not a resource table" in pair_given.output) == (2, True)


def test_a_chip_whose_mailbox_has_no_enables_asks_for_the_channel_and_takes_it(
    firmware: Callable[..., Pair], rptwin: Rptwin
) -> None:
    images = firmware("demo", "mps2_an521")
    alone = ("--platform", "mps2_an521", "--remote", images.remote)
    for command in (("run", *alone), ("ping", *alone), ("send", *alone, "x")):
        refused = rptwin(*command)
        assert (refused.exit_code, "expected --notify mhu0=CHANNEL, 0..3" in refused.output) == (2, True)
    assert rptwin("run", *alone, "--notify", "mhu0=0").exit_code == 0
    assert "10 good, 0 bad, 0 lost" in rptwin("ping", *alone, "--notify", "mhu0=0").output
    sent = rptwin("send", *alone, "--notify", "vdev[0].vring[1]=0", "hello")
    assert sent.output.splitlines()[1:] == ["hello"]
    main = ("--platform", "mps2_an521", "--main", images.main, "--table", "remote:0x28200000")
    assert "--notify mhu0=CHANNEL" in rptwin("run", *main).output
    assert rptwin("run", *main, "--notify", "mhu0=1").exit_code == 0


def test_ping_on_a_channel_that_the_remote_never_clears_says_so(firmware: Callable[..., Pair], rptwin: Rptwin) -> None:
    remote = firmware("demo", "mps2_an521").remote
    done = rptwin("ping", "--platform", "mps2_an521", "--remote", remote, "--notify", "mhu0=3")
    assert done.exit_code == 2
    assert "a core takes one notification again and again; `rptwin run` has the findings" in done.output


def test_send_prints_the_answers(pair: Pairs, rptwin: Rptwin) -> None:
    remote = pair("demo").remote
    assert rptwin("send", "--remote", remote, "hello", "you").output.splitlines()[1:] == ["hello", "you"]
    assert rptwin("send", "--remote", remote, "--hex", "01 02 ff").output.splitlines()[1:] == ["01 02 ff"]
    assert "not bytes in hexadecimal" in rptwin("send", "--remote", remote, "--hex", "xyz").output


def test_a_pair_is_not_talked_to(rptwin: Rptwin) -> None:
    assert "expected --remote REMOTE.elf, and no main image" in rptwin("ping").output
