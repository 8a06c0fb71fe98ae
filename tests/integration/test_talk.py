"""``rptwin run``, ``ping`` and ``send`` with one image: Python plays the other core."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from conftest import Pair, Rptwin

Pairs = Callable[[str], Pair]


def test_run_takes_a_remote_alone(pair: Pairs, rptwin: Rptwin, tmp_path: Path) -> None:
    done = rptwin(
        "run", "--remote", pair("demo").remote, "--json", tmp_path / "out.json", "--junit", tmp_path / "o.xml"
    )
    assert done.exit_code == 0
    assert "cpu_cm7, played in Python: the host of a lone remote (nuttx)" in done.output
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


def test_send_prints_the_answers(pair: Pairs, rptwin: Rptwin) -> None:
    remote = pair("demo").remote
    assert rptwin("send", "--remote", remote, "hello", "you").output.splitlines()[1:] == ["hello", "you"]
    assert rptwin("send", "--remote", remote, "--hex", "01 02 ff").output.splitlines()[1:] == ["01 02 ff"]
    assert "not bytes in hexadecimal" in rptwin("send", "--remote", remote, "--hex", "xyz").output


def test_a_pair_is_not_talked_to(rptwin: Rptwin) -> None:
    assert "expected --remote REMOTE.elf, and no main image" in rptwin("ping").output
