"""Keywords for a core that Python plays: each one that judges fails with what it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator.base.errors import HostError, UsageError
from orchestrator.host import Console, Rng
from orchestrator.robot import RptwinLibrary

# What each keyword says of a lone demo remote that has just been started.
FAILING_CASES: dict[str, tuple[tuple[Any, ...], str]] = {
    "host_should_be": (("offline",), "the host is running, not offline"),
    "host_should_not_leak": ((), "not-allocated: 0x30041003..0x30041003: given back"),
    "message_should_come_back": (("rptwin-echo", "other"), "rptwin-echo answers 'first', not 'other'"),
    "remote_trace_should_contain": (("never",), "no 'never' in the trace buffer:\nrptwin remote: Cortex-M4 is up"),
    "python_remote_should_be_up": ((), "main has not brought the vdevs of the Python remote up"),
    "virtio_console_should_contain": ((0, "login:"), "no 'login:' on the virtio console of vdev[0]: 'boot'"),
}


@pytest.fixture
def library(firmware: Callable[[str], Any]) -> Iterator[RptwinLibrary]:
    library = RptwinLibrary()
    library.start_board("stm32h745", remote=str(firmware("demo").remote))
    library.start_remote()
    yield library
    library.close()


def fails(library: RptwinLibrary, keyword: str) -> None:
    arguments, message = FAILING_CASES[keyword]
    with pytest.raises(AssertionError) as failure:
        getattr(library, keyword)(*arguments)
    assert str(failure.value).startswith(message)


def test_the_state_of_the_host_is_compared(library: RptwinLibrary) -> None:
    library.host_should_be("Running")
    fails(library, "host_should_be")


def test_what_the_heap_was_given_wrongly_is_a_leak(library: RptwinLibrary) -> None:
    library.host_should_not_leak()
    library._board().host.allocation.heaps[0].free(0x3004_1003)
    fails(library, "host_should_not_leak")


def test_an_answer_that_differs_is_shown(library: RptwinLibrary) -> None:
    library.message_should_come_back("rptwin-echo", "hello")
    library.send_message("rptwin-echo", "first")
    fails(library, "message_should_come_back")


def test_silence_fails_after_virtual_time(library: RptwinLibrary) -> None:
    with pytest.raises(AssertionError, match="no message came: expected one within 5 ms"):
        library.receive_message("rptwin-echo", "5 ms")


def test_the_trace_buffer_is_read_live(library: RptwinLibrary) -> None:
    library.remote_trace_should_contain("Cortex-M4 is up")
    fails(library, "remote_trace_should_contain")


def test_a_lone_main_has_a_python_remote(library: RptwinLibrary, firmware: Callable[[str], Any]) -> None:
    library.start_board("stm32h745", main=str(firmware("demo").main), table="remote:0x10040000")
    fails(library, "python_remote_should_be_up")
    library.run_until_quiet()
    library.python_remote_should_be_up()


def test_a_virtio_console_is_typed_into_and_read(library: RptwinLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no virtio device of ours there"):
        library.virtio_console_should_contain(0, "x")
    console = Console()
    console.output += b"boot"
    monkeypatch.setattr(library._board().host, "device", lambda vdev: console)
    library.virtio_console_should_contain(0, "boot")
    fails(library, "virtio_console_should_contain")
    library.write_to_virtio_console(0, "root\n")
    assert console._input == b"root\n"
    monkeypatch.setattr(library._board().host, "device", lambda vdev: Rng())
    with pytest.raises(AssertionError, match="no console but virtio id 4"):
        library.virtio_console_should_contain(0, "boot")


def test_life_cycle_keywords_follow_each_other(library: RptwinLibrary) -> None:
    library.restart_remote()
    library.crash_remote()
    library.host_should_be("crashed")
    library.recover_remote()
    library.send_rptun_command("stop")
    library.stop_remote()
    library.host_should_be("offline")
    library.host_should_not_leak()
    with pytest.raises(UsageError, match=r"no such RPTUN command: expected NONE | READY"):
        library.send_rptun_command("sleep")


def test_a_remote_that_cannot_start_fails_with_the_reason(firmware: Callable[[str], Any]) -> None:
    library = RptwinLibrary()
    library.start_board("stm32h745", remote=str(firmware("align3").remote))
    with pytest.raises(Exception, match="power of two, found 3"):
        library.start_remote()
    with pytest.raises(AssertionError, match="the host is failed, not running: no alignment"):
        library.host_should_be("running")
    library.close()
    library.start_board("stm32h745", remote=str(firmware("demo").remote))
    with pytest.raises(HostError, match="not announced"):
        library.message_should_come_back("nobody", "x")
    library.close()
