"""Every keyword that judges: what it says of a board at power-on, and that it passes on the demo pair when it is up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from robot.api import SkipExecution
from test_host_keywords import FAILING_CASES

from orchestrator.base.durations import parse_duration
from orchestrator.base.errors import CapabilityError, EngineError, ReportError, UsageError
from orchestrator.engines.contract import Capability
from orchestrator.robot import RptwinLibrary
from orchestrator.robot.suite import duration_ns, duration_text

Boot = Callable[[str], RptwinLibrary]

# At power-on nothing has happened yet: each of these has to fail, and to say what it saw.
AT_POWER_ON: dict[str, tuple[tuple[Any, ...], str]] = {
    "resource_table_should_be_in_memory": (
        (),
        "not the table of the firmware: there is no resource table in memory at",
    ),
    "both_cores_should_see_the_same_table": ((), "not the table of the firmware: there is no resource table in memory"),
    "table_field_should_be": (("vdev[0].status", 7), "there is no resource table in memory at main 0x30040000"),
    "vdev_should_be_at_driver_ok": ((0,), "no vdev[0]: there is no resource table in memory at main 0x30040000"),
    "vring_should_be_resolved": ((0, 1), "no vdev[0]: there is no resource table in memory"),
    "every_vring_should_be_resolved": ((), "there is no vring: there is no resource table in memory"),
    "vring_should_be_inside_its_carveout": ((0, 1), "no vdev[0]: there is no resource table in memory"),
    "every_vring_should_be_inside_its_carveout": ((), "there is no vring: there is no resource table in memory"),
    "should_have_sent_at_least": (("main", 10), "main has sent 0 messages, not 10 or more; rings: none has carried"),
    "endpoint_should_be_announced": (
        ("rptwin-echo",),
        "no endpoint 'rptwin-echo' was announced; announcements: none",
    ),
    "vring_should_have_carried_at_least": ((1, 0, 1), "no vdev[0]: there is no resource table in memory"),
    "should_have_been_notified_at_least": (
        ("remote", 2),
        "remote: 0 notifications taken, 0 sent to it, 0 on channels that it has not enabled; expected 2 or more taken",
    ),
    "core_should_be": (("main", "sleeping"), "main is running, not sleeping, at "),
    "rptun_should_be_up": ((), "RPTUN did not come up\nerror: "),
    "there_should_be_no_findings": ((), "there are findings\nerror: "),
    "finding_should_be_reported": (("vring.num-zero",), "vring.num-zero was not reported\nerror: "),
}

# The same keywords once the demo pair is up.
WHEN_UP: dict[str, tuple[Any, ...]] = {
    name: arguments for name, (arguments, _) in AT_POWER_ON.items() if name != "finding_should_be_reported"
} | {
    "core_should_not_have_faulted": ("main",),
    "every_message_should_have_been_consumed": (),
    "finding_should_not_be_reported": ("vring.outside-carveout",),
    "only_cause_should_be": (),
}

# What they say of a pair with one wrong line.
OF_FAULTY: dict[str, tuple[str, tuple[Any, ...], str]] = {
    "core_should_not_have_faulted": (
        "crash-remote",
        ("remote",),
        "remote took BusFault at 0.005 ms: reads 4 bytes at 0x70000000, where this chip has nothing; main+",
    ),
    "vring_should_be_inside_its_carveout": ("past-carveout", (0, 1), "vdev[0].vring[1] at main 0x"),
    "every_vring_should_be_inside_its_carveout": ("past-carveout", (), "vdev[0].vring[1] at main 0x"),
    "no_notification_should_be_ignored": (
        "wrong-channel",
        (),
        "notifications were ignored: hsem channel 1 to main: once, hsem channel 5 to remote: ",
    ),
    "vring_should_have_carried_at_least": (
        "wrong-channel",
        (1, 0, 0),
        "vdev[0].vring[0]: 8 buffers posted, 0 used, not 1 or more",
    ),
    "vring_should_be_resolved": ("num6", (0, 1), "vdev[0].vring[1] is not resolved: da 0xffffffff"),
    "every_vring_should_be_resolved": ("num6", (), "vdev[0].vring[1] is not resolved: da 0xffffffff"),
    "vdev_should_be_at_driver_ok": (
        "no-driver-ok",
        (0,),
        "vdev[0].status is 0x03: DRIVER_OK (0x04) is not set",
    ),
    "only_cause_should_be": (
        "past-carveout",
        ("vring.unresolved",),
        "causes are vring.outside-carveout, not vring.unresolved\nerror: vring.outside-carveout: ",
    ),
    "finding_should_not_be_reported": (
        "past-carveout",
        ("vring.outside-carveout",),
        "vring.outside-carveout was reported\nerror: ",
    ),
    "rptun_should_be_up": ("past-carveout", (), "RPTUN is up, with errors\nerror: vring.outside-carveout: "),
    "rptun_should_not_be_up": ("demo", (), "RPTUN is up"),
    "table_field_should_be": (
        "demo",
        ("vdev[0].vring[1].align", 4),
        "vdev[0].vring[1].align is 16 (0x10), not 4 (0x4)",
    ),
}


@pytest.fixture(scope="module")
def power_on(firmware: Callable[[str], Any]) -> Iterator[Boot]:
    """Puts a variant on a board of its own; no time passes."""
    opened: list[RptwinLibrary] = []

    def make(variant: str) -> RptwinLibrary:
        pair, library = firmware(variant), RptwinLibrary()
        opened.append(library)
        library.start_board("stm32h745", str(pair.main), str(pair.remote))
        return library

    yield make
    for library in opened:
        library.close()


@pytest.fixture(scope="module")
def boot(power_on: Boot) -> Boot:
    """Boots a variant once, and leaves it as it is at the end of its run."""
    booted: dict[str, RptwinLibrary] = {}

    def make(variant: str) -> RptwinLibrary:
        if variant not in booted:
            booted[variant] = power_on(variant)
            booted[variant].run_until_the_end("1 s")
        return booted[variant]

    return make


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1", 1_000_000_000),
        ("0.25", 250_000_000),
        ("15", 15_000_000_000),
        (2, 2_000_000_000),
        (0.5, 500_000_000),
        ("50 ms", 50_000_000),
        ("1.5s", 1_500_000_000),
        ("1 second", 1_000_000_000),
        ("2 minutes", 120_000_000_000),
        ("2 minutes 10 seconds", 130_000_000_000),
        ("00:00:01", 1_000_000_000),
        ("00:00:01.500", 1_500_000_000),
        ("3 milliseconds", 3_000_000),
    ],
)
def test_a_time_is_whatever_robot_framework_calls_one(text: float | str, expected_ns: int) -> None:
    assert duration_ns(text, "timeout") == expected_ns
    assert parse_duration(duration_text(text)) == expected_ns


@pytest.mark.parametrize("text", ["soon", "", "-1", "1 parsec", "nan", -1])
def test_a_time_that_is_none_says_what_one_is(text: float | str) -> None:
    with pytest.raises(UsageError, match=r"timeout: not a duration: expected a number and a unit"):
        duration_ns(text, "timeout")


@pytest.mark.parametrize("name", AT_POWER_ON)
def test_a_keyword_says_what_it_saw_of_a_board_at_power_on(power_on: Boot, name: str) -> None:
    arguments, message = AT_POWER_ON[name]
    with pytest.raises(AssertionError) as failure:
        getattr(power_on("demo"), name)(*arguments)
    assert str(failure.value).startswith(message)


@pytest.mark.parametrize("name", OF_FAULTY)
def test_a_keyword_says_what_it_saw_of_a_wrong_line(boot: Boot, name: str) -> None:
    variant, arguments, message = OF_FAULTY[name]
    with pytest.raises(AssertionError) as failure:
        getattr(boot(variant), name)(*arguments)
    assert str(failure.value).startswith(message)


@pytest.mark.parametrize("name", WHEN_UP)
def test_a_keyword_passes_on_a_pair_that_is_up(boot: Boot, name: str) -> None:
    getattr(boot("demo"), name)(*WHEN_UP[name])


def test_every_keyword_that_judges_has_a_failing_case() -> None:
    judging = {
        name
        for name, member in inspect.getmembers(RptwinLibrary, inspect.isfunction)
        if hasattr(member, "robot_name") and "_should" in f"_{name}" and "uart" not in name
    }
    elsewhere = {
        "every_message_should_have_been_consumed",
        "pc_should_be_equal",
        "register_should_be_equal",
        *FAILING_CASES,  # test_host_keywords
    }
    assert judging - set(AT_POWER_ON) - set(OF_FAULTY) == elsewhere


def test_a_message_that_waits_for_the_device_is_named(power_on: Boot) -> None:
    library = power_on("demo")
    library.run_until_the_end()
    library.every_message_should_have_been_consumed()
    # Another message, as main would post it: descriptor 0 is still the last one that it used.
    idx = library.read_word("main", 0x30041170)
    library.write_word("main", 0x30041170, idx + 0x10000)
    library.run_for("20 us")
    board = library._board()
    board.observer.finish(board.time_ns, "looked")
    with pytest.raises(AssertionError, match=r"messages wait for the device: vdev\[0\]\.vring\[1\]: heads 0"):
        library.every_message_should_have_been_consumed()


def test_a_keyword_without_a_board_says_how_to_get_one() -> None:
    with pytest.raises(AssertionError, match="no board is running: use `Start Board` first"):
        RptwinLibrary().rptun_should_be_up()


def test_a_vring_that_the_vdev_lacks_is_named(boot: Boot) -> None:
    with pytest.raises(AssertionError, match=r"no vdev\[0\]\.vring\[2\]: the vdev has 2 vrings"):
        boot("demo").vring_should_be_resolved(0, 2)


def test_a_vdev_that_the_table_lacks_is_named(boot: Boot) -> None:
    with pytest.raises(AssertionError, match=r"no vdev\[1\]: the resource table at .* has 1 vdev"):
        boot("demo").vdev_should_be_at_driver_ok(1)


def test_waiting_in_vain_for_rptun_ends_with_the_findings(power_on: Boot) -> None:
    with pytest.raises(AssertionError) as failure:
        power_on("no-copy").run_until_up("100 ms")
    first, second, *_ = str(failure.value).splitlines()
    assert first == "RPTUN did not come up: timeout at 0.100000 s"
    assert second.startswith("error: table.not-copied: ")


def test_a_bring_up_without_rest_ends_with_the_findings(power_on: Boot) -> None:
    with pytest.raises(AssertionError, match=r"did not come to rest: timeout at 0\.100000 s\nerror: table\.not-copied"):
        power_on("no-copy").run_until_quiet("100 ms")


def test_a_condition_that_is_not_met_is_named(power_on: Boot) -> None:
    with pytest.raises(AssertionError, match=r"'main:never' was not met: timeout at 0\.001000 s"):
        power_on("demo").run_until("main:never", "1 ms")


def test_a_snapshot_takes_the_board_back(power_on: Boot) -> None:
    library = power_on("demo")
    library.run_for("1 ms")
    snapshot = library.take_snapshot()
    library.write_word("main", 0x30040000, 0)
    library.run_for("1 ms")
    library.restore_snapshot(snapshot)
    assert library.get_virtual_time() == 0.001
    assert library.read_word("main", 0x30040000) == 1


def test_both_cores_name_a_vring_by_their_own_address(boot: Boot) -> None:
    library = boot("demo")
    addresses = [library.get_vring_address(core, 0, 1) for core in ("main", "remote", "cpu_cm4")]
    assert addresses == [0x300410F0, 0x100410F0, 0x100410F0]


def test_a_terminal_is_found_by_its_uart_its_role_and_renodes_path(power_on: Boot) -> None:
    library = power_on("demo")
    ids = [library.create_terminal_tester(name) for name in ("usart3", "main", "sysbus.usart3", "remote")]
    assert ids == [0, 0, 0, 1]


def test_two_terminals_need_an_id(power_on: Boot) -> None:
    library = power_on("demo")
    library.create_terminal_tester("main")
    library.create_terminal_tester("remote")
    with pytest.raises(AssertionError, match=r"no testerId was given; testers: 0 \(usart3\), 1 \(usart2\)"):
        library.wait_for_line_on_uart("x")
    library.set_default_tester(1)
    assert library.wait_for_line_on_uart("Cortex-M4").Line == "rptwin remote: Cortex-M4 is up"


def test_a_uart_that_the_board_lacks_is_named(power_on: Boot) -> None:
    with pytest.raises(UsageError, match="no such console"):
        power_on("demo").create_terminal_tester("uart9")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"machine": "board"}, "machine is not supported"),
        ({"endLineOption": "Never"}, "no such endLineOption: 'Never'"),
    ],
)
def test_what_renodes_terminal_has_and_this_one_lacks_is_refused(
    power_on: Boot, argument: dict[str, str], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        power_on("demo").create_terminal_tester("main", **argument)


def test_a_tester_of_bytes_waits_for_bytes_and_not_for_lines(power_on: Boot) -> None:
    library = power_on("demo")
    library.create_terminal_tester("remote", binaryMode=True)
    assert library.wait_for_bytes_on_uart("43 6f 72 74 65 78").Content == b"Cortex"
    with pytest.raises(AssertionError, match="usart2 has a tester of bytes, which knows no lines"):
        library.wait_for_line_on_uart("Cortex")


def test_a_tester_of_lines_does_not_wait_for_bytes(power_on: Boot) -> None:
    library = power_on("demo")
    library.create_terminal_tester("remote")
    with pytest.raises(AssertionError, match="create it with binaryMode=True"):
        library.wait_for_bytes_on_uart("43")


def test_lines_that_follow_one_another_are_waited_for_on_a_real_console(power_on: Boot) -> None:
    library = power_on("demo")
    library.create_terminal_tester("remote")
    first, second = library.wait_for_next_line_on_uart().Line, library.wait_for_next_line_on_uart().Line
    again = power_on("demo")
    again.create_terminal_tester("remote")
    assert again.wait_for_lines_on_uart([first, second]).Line == second


def test_what_is_typed_reaches_the_shell_by_character_key_and_text(power_on: Boot) -> None:
    library = power_on("demo")
    library.create_terminal_tester("main")
    library.wait_for_prompt_on_uart("main>")
    library.write_char_on_uart("h")
    library.write_to_uart("el")
    library.send_key_to_uart(0x70)
    library.send_key_to_uart(0x0D)
    assert "ping N LEN" in library.wait_for_line_on_uart("ping").Line


@pytest.mark.parametrize(("name", "value"), [("write_char_on_uart", "ab"), ("send_key_to_uart", 256)])
def test_what_is_no_single_character_or_key_is_refused(power_on: Boot, name: str, value: object) -> None:
    library = power_on("demo")
    library.create_terminal_tester("main")
    with pytest.raises(AssertionError, match="expected "):
        getattr(library, name)(value)


def test_resetting_the_emulation_leaves_no_board_and_needs_none(power_on: Boot) -> None:
    library = power_on("demo")
    library.reset_emulation()
    library.reset_emulation()
    with pytest.raises(AssertionError, match="no board is running"):
        library.get_virtual_time()


def test_registers_are_compared_by_name_and_by_number(boot: Boot) -> None:
    library = boot("demo")
    registers = library._board().engine.registers("cpu_cm4")
    library.register_should_be_equal("sp", registers["SP"], cpuName="cpu_cm4")
    library.register_should_be_equal(14, registers["LR"], cpuName="remote")
    library.pc_should_be_equal(registers["PC"], cpuName="remote")


def test_a_register_with_another_value_is_named_after_the_message(boot: Boot) -> None:
    with pytest.raises(AssertionError, match=r"^after boot: PC of main is 0x8[0-9a-f]+, not 0x1$"):
        boot("demo").register_should_be_equal(15, 1, cpuName="main", message="after boot")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("R16", 0, None, "main"), "no register R16; there are R0, R1, "),
        ((16, 0, None, "main"), "no register 16; there are R0, R1, "),
        (("PC", 0), r"which core\? give cpuName: main | remote"),
        (("PC", 0, "board", "main"), "machine is not supported"),
    ],
)
def test_a_register_that_cannot_be_told_is_refused(boot: Boot, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        boot("demo").register_should_be_equal(*arguments)


def test_what_a_test_provides_is_required_by_another(power_on: Boot) -> None:
    library = power_on("demo")
    library.run_for("1 ms")
    library.provides("booted")
    library.run_for("1 ms")
    library.requires("booted")
    assert library.get_virtual_time() == 0.001


def test_what_nobody_has_provided_is_named(power_on: Boot) -> None:
    library = power_on("demo")
    library.provides("booted")
    with pytest.raises(AssertionError, match="no test has provided 'up'; provided: booted"):
        library.requires("up")
    library.stop_board()
    with pytest.raises(AssertionError, match="no board is running"):
        library.requires("booted")


@pytest.mark.parametrize("engine", ["unicorn", "unicorn-remote"])
def test_a_command_for_renodes_monitor_is_refused_by_name_elsewhere(
    firmware: Callable[[str], Any], engine: str
) -> None:
    pair, library = firmware("demo"), RptwinLibrary()
    library.start_board("stm32h745", str(pair.main), str(pair.remote), engine=engine)
    with pytest.raises(CapabilityError, match=f"engine {engine}: no monitor: found version; only the renode engine"):
        library.execute_command("version")
    library.close()


def test_a_command_goes_to_an_engine_that_has_the_monitor(power_on: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    library, given = power_on("demo"), []
    engine = library._board().engine
    monkeypatch.setattr(engine, "capabilities", frozenset({Capability.MONITOR}))
    monkeypatch.setattr(engine, "execute", lambda command: given.append(command) or "0x7", raising=False)
    assert library.execute_command(["sysbus", "ReadDoubleWord", "0x0"]) == "0x7"
    assert given == ["sysbus ReadDoubleWord 0x0"]


def test_a_test_is_skipped_where_there_is_no_renode_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        raise EngineError("no Renode", advice="rptwin doctor")

    monkeypatch.setattr("orchestrator.robot.board.discover", nothing)
    with pytest.raises(SkipExecution, match="no Renode; rptwin doctor"):
        RptwinLibrary().skip_without_engine("renode")
    RptwinLibrary().skip_without_engine("unicorn")


def test_a_test_is_skipped_where_there_is_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SkipExecution, match="no QEMU"):
        RptwinLibrary().skip_without_engine("qemu")
    with pytest.raises(UsageError, match="no such engine: expected unicorn"):
        RptwinLibrary().skip_without_engine("qmeu")


def test_a_test_is_skipped_where_the_engine_lacks_a_capability(boot: Boot) -> None:
    boot("demo").skip_without_capability("snapshot")
    with pytest.raises(SkipExecution, match="not checked on unicorn: it has no monitor"):
        boot("demo").skip_without_capability("monitor")


def test_the_trace_buffer_is_read_like_a_uart(power_on: Boot) -> None:
    library = power_on("demo")
    library.run_for("1 ms")
    library.create_terminal_tester("remote.trace", timeout="10 ms")
    assert library.wait_for_line_on_uart("published").Timestamp == 1.0
    with pytest.raises(AssertionError, match=r"remote\.trace: a line with 'never' did not come within 0\.01 s"):
        library.wait_for_line_on_uart("never")


def test_traces_are_written_when_the_board_is_given_up(power_on: Boot, tmp_path: Path) -> None:
    library = power_on("demo")
    waves, capture = tmp_path / "run.vcd", tmp_path / "none" / "run.pcapng"
    library.trace_board(vcd=str(waves), pcapng=str(capture))
    library.run_until_the_end("1 s")
    assert not waves.exists()
    with pytest.raises(ReportError, match=r"run\.pcapng: trace \(pcapng\) not written: No such file or directory"):
        library.stop_board()
    assert waves.read_text().startswith("$comment states: ")
    with pytest.raises(AssertionError, match="no board is running"):
        library.trace_board(vcd=str(waves))


def test_a_trace_that_there_is_not_is_named(power_on: Boot) -> None:
    with pytest.raises(UsageError, match=r"no such trace: expected perfetto \| vcd \| .*, found video"):
        power_on("demo").trace_board(video="run.mp4")
