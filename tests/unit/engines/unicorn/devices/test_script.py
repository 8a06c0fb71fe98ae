"""Python peripheral scripts under CPython: Renode's API, errors, and snapshots of whatever a script remembers."""

from __future__ import annotations

import pytest
from support.script_host import ScriptHost

from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.engines.unicorn.devices.script_api import dotnet_format


@pytest.fixture
def host() -> ScriptHost:
    return ScriptHost({"cpu_a": False, "cpu_b": True})


def script(
    host: ScriptHost, init: str = "pass", read: str = "pass", write: str = "pass", **more: object
) -> ScriptDevice:
    """A script of three branches, one line each or several between newlines."""
    text = "".join(
        f"{keyword} request.{kind}:\n" + "".join(f"    {line}\n" for line in body.splitlines())
        for keyword, kind, body in (("if", "IsInit", init), ("elif", "IsRead", read), ("elif", "IsWrite", write))
    )
    return ScriptDevice(text, "x.py", 0x100, host, cores=["cpu_a", "cpu_b"], nvics=["nvic_a"], **more)  # type: ignore[arg-type]


def test_names_made_at_init_live_on_between_accesses(host):
    it = script(
        host, "words = {}", "request.Value = words.get(request.Offset, 0)", "words[request.Offset] = request.Value"
    )
    it.write(4, 4, 0x12345678, "cpu_a")
    assert it.read(4, 4, "cpu_a") == 0x12345678


def test_a_script_that_is_not_initable_never_sees_init(host):
    it = script(host, "request.NoSuchThing", "request.Value = 7", initable=False)
    assert it.read(0, 4, None) == 7


def test_init_runs_once_before_the_first_access_and_again_on_reset(host):
    it = script(host, "self.InfoLog('init')")
    it.read(0, 4, None)
    it.read(0, 4, None)
    it.reset()
    assert host.calls == [("info", "init")] * 2


def test_a_read_starts_from_zero(host):
    it = script(host)
    it.write(0, 4, 5, None)
    assert it.read(0, 4, None) == 0


@pytest.mark.parametrize(("size", "seen"), [(1, 0xEF), (2, 0xBEEF), (4, 0xDEADBEEF)])
def test_values_are_cut_to_the_width_of_the_access(host, size, seen):
    it = script(host, "kept = [0]", "request.Value = 0x1DEADBEEF", "kept[0] = request.Value")
    assert it.read(0, size, None) == seen
    it.write(0, size, 0xDEADBEEF, None)
    assert it.snapshot().names["kept"] == [seen]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("-1", "int(-1)"), ("1 << 64", "int(18446744073709551616)"), ("True", "bool(True)"), ("1.0", "float(1.0)")],
)
def test_a_value_that_renode_cannot_convert_is_an_error(host, value, shown):
    it = script(host, read=f"request.Value = {value}")
    with pytest.raises(EngineError, match="Cannot convert") as caught:
        it.read(0, 4, None)
    assert shown in str(caught.value)


def test_the_request_says_offset_length_and_size_of_the_peripheral(host):
    it = script(host, read="request.Value = request.Offset * 0x10000 + request.Length * 0x1000 + size")
    assert it.read(0x12, 2, None) == 0x2100
    assert it.read(0x12, 4, None) == 0x124100


def test_the_request_says_its_type_as_renode_prints_it(host):
    log = "self.InfoLog('{0}', str(request.Type))"
    it = script(host, log, log, log)
    it.read(0, 4, None)
    it.write(0, 4, 0, None)
    assert host.calls == [("info", "INIT"), ("info", "READ"), ("info", "WRITE")]


def test_the_request_says_at_which_of_its_addresses_the_device_is_asked(host):
    log = "self.InfoLog('{0:X}', request.Absolute)"
    it = script(host, read=log, write=log, base=0x4000_0000)
    alias = it.at(0x5000_0000)
    it.read(4, 4, None)
    alias.read(8, 4, "cpu_a")
    alias.write(12, 4, 0, "cpu_b")
    assert host.calls == [("info", "40000004"), ("info", "50000008"), ("info", "5000000C")]


def test_accesses_are_counted_from_0_and_the_initialisation_is_none(host):
    it = script(host, read="request.Value = request.Counter", write="self.InfoLog('{0}', request.Counter)")
    assert [it.read(0, 4, None), it.read(0, 4, None)] == [0, 1]
    it.write(0, 4, 0, None)
    assert host.calls == [("info", "2")]


def test_a_script_of_renodes_own_reaches_cores_by_their_number_and_prints(host):
    it = script(
        host,
        "cpu = emulationManager.Instance.CurrentEmulation.Machines[0].SystemBus.GetCPUs()[1]",
        "print('held', cpu.IsHalted)",
        "cpu.VectorTableOffset = request.Value",
    )
    it.write(0, 4, 0x1000, "cpu_a")
    it.read(0, 4, "cpu_a")
    assert host.calls == [("boots", "cpu_b", 0x1000), ("info", "held True")]
    it.restore(it.snapshot())


def test_the_accessing_core_is_found_and_the_host_is_none(host):
    it = script(
        host,
        read="found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()\n"
        "request.Value = 0 if not found and cpu is None else 1 if cpu == self.GetMachine()['sysbus.cpu_a'] else 2",
    )
    assert [it.read(0, 4, core) for core in (None, "cpu_a", "cpu_b", None)] == [0, 1, 2, 0]


def test_a_script_drives_interrupts_and_holds_cores(host):
    it = script(
        host,
        read="request.Value = 1 if self.GetMachine()['sysbus.cpu_b'].IsHalted else 0",
        write="self.GetMachine()['sysbus.nvic_a'].OnGPIO(5, True)\nself.GetMachine()['sysbus.cpu_b'].IsHalted = False",
    )
    assert it.read(0, 4, None) == 1
    it.write(0, 4, 0, "cpu_a")
    assert it.read(0, 4, None) == 0
    assert host.calls == [("line", "nvic_a", 5, True)]


def test_log_lines_are_formatted_as_dotnet_does(host):
    script(
        host,
        "self.NoisyLog('n')\nself.DebugLog('d {0}', 1)\n"
        "self.WarningLog('w {1} {0:X4}', 255, 'x')\nself.ErrorLog('{{{0:x}}}', 10)",
    ).reset()
    assert host.calls == [("noisy", "n"), ("debug", "d 1"), ("warning", "w x 00FF"), ("error", "{a}")]
    assert dotnet_format("{0:D3}", [7]) == "007"


def test_a_warning_that_begins_with_unmodelled_is_an_unmodelled_access_of_a_core(host):
    it = script(host, read="self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)")
    it.read(0x1C, 4, "cpu_a")
    it.read(0x20, 4, None)
    assert host.calls == [("unmodelled", 0x1C, "unmodelled read at 0x1C")]


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("x = 1\nrequest.Value = 1 // 0", "ZeroDivisionError"),
        ("x = 1\nself.GetMachine()['sysbus.nvic_z'].OnGPIO(1, True)", "sysbus.nvic_z"),
        ("x = 1\nself.GetMachine()['sysbus.nvic_a'].Reset()", "'Reset'"),
        ("x = 1\nrequest.Address = 1", "'Address'"),
    ],
)
def test_a_failure_names_file_line_and_the_last_line_of_the_traceback(host, body, last):
    it = script(host, read=body)
    with pytest.raises(EngineError) as caught:
        it.read(0, 4, "cpu_a")
    assert caught.value.where == "x.py:5"
    assert last in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "while True:\n    try:\n        x = 1 // 0\n    except Exception:\n        continue",
        "for each in iter(int, 1): pass",
        "x = [each for each in iter(int, 1)]",
        "x = sum(1 for each in range(3) for other in iter(int, 1))",
    ],
)
def test_a_loop_without_end_is_an_error_at_its_line(host, body):
    it = ScriptDevice(f"x = 1\n{body}\n", "x.py", 0x100, host, cores=["cpu_a"], nvics=[], initable=False)
    with pytest.raises(EngineError) as caught:
        it.read(0, 4, "cpu_a")
    assert str(caught.value) == "x.py:2: a script failed: RuntimeError: still looping after 1,000,000 rounds"


def test_loops_that_end_are_counted_for_each_access_anew(host):
    text = "request.Value = len([each for each in range(600000) if each % 2])\n"
    text += "while request.Value > 7: request.Value -= 7\n"
    it = ScriptDevice(text, "x.py", 0x100, host, cores=["cpu_a"], nvics=[], initable=False)
    assert [it.read(0, 4, "cpu_a") for _ in range(2)] == [(300000 - 1) % 7 + 1] * 2


def test_a_failure_in_a_function_names_the_line_in_the_function(host):
    it = script(host, "def f():\n    return nothing", "request.Value = f()")
    with pytest.raises(EngineError) as caught:
        it.read(0, 4, None)
    assert caught.value.where == "x.py:3"
    assert "name 'nothing' is not defined" in str(caught.value)


def test_a_syntax_error_names_file_and_line(host):
    with pytest.raises(EngineError) as caught:
        ScriptDevice("if request.IsInit:\n    x = = 1\n", "x.py", 4, host, cores=[], nvics=[])
    assert caught.value.where == "x.py:2"


def test_after_a_failure_the_device_is_still_usable(host):
    it = script(host, read="request.Value = 1 // request.Offset")
    with pytest.raises(EngineError):
        it.read(0, 4, "cpu_a")
    assert it.read(1, 4, None) == 1


MAKE = """def make():
    cell = [0]
    def bump():
        cell[0] += 1
        return cell[0]
    return bump"""
COUNTERS = {
    "a name": ("count = [0]\ndef bump():\n    count[0] += 1\n    return count[0]", "request.Value = bump()"),
    "a closure": (
        f"{MAKE}\nbump = make()",
        "request.Value = bump()",
    ),
    "a closure in a container": (
        f"{MAKE}\ntable = {{0: [make()]}}",
        "request.Value = table[0][0]()",
    ),
    "a default": ("def bump(cell=[0]):\n    cell[0] += 1\n    return cell[0]", "request.Value = bump()"),
    "an instance": (
        "class Counter(object):\n    def __init__(self):\n        self.n = 0\n"
        "    def bump(self):\n        self.n += 1\n        return self.n\nc = Counter()\nbump = c.bump",
        "request.Value = bump() if request.Offset == 0 else c.n",
    ),
    "a class": (
        "class Counter(object):\n    n = [0]\n"
        "    def bump(self):\n        self.n[0] += 1\n        return self.n[0]\nc = Counter()",
        "request.Value = c.bump()",
    ),
}


@pytest.mark.parametrize("kind", COUNTERS)
def test_state_kept_anywhere_in_a_script_is_restored_as_often_as_wanted(host, kind):
    it = script(host, *COUNTERS[kind])
    assert [it.read(0, 4, None) for _ in range(2)] == [1, 2]
    state = it.snapshot()
    for _ in range(3):
        assert [it.read(0, 4, None) for _ in range(3)] == [3, 4, 5]
        it.restore(state)


def test_what_was_shared_before_a_snapshot_is_shared_after_it(host):
    it = script(
        host,
        "def make(cell):\n    def bump():\n        cell[0] += 1\n    return bump\nseen = [0]\nbump = make(seen)",
        "bump()\nrequest.Value = seen[0]",
    )
    state = it.snapshot()
    it.restore(state)
    assert it.read(0, 4, None) == 1


def test_a_name_made_after_a_snapshot_is_gone_after_restore(host):
    it = script(host, "x = 1", "request.Value = 1 if 'late' in globals() else 0", "late = 1")
    state = it.snapshot()
    it.write(0, 4, 0, None)
    assert it.read(0, 4, None) == 1
    it.restore(state)
    assert it.read(0, 4, None) == 0


def test_functions_made_anew_by_a_reset_give_way_to_those_of_the_snapshot(host):
    it = script(host, *COUNTERS["a closure"])
    it.read(0, 4, None)
    state = it.snapshot()
    it.reset()
    assert it.read(0, 4, None) == 1
    it.restore(state)
    assert it.read(0, 4, None) == 2


def test_a_snapshot_of_another_device_is_refused(host):
    state = script(host).snapshot()
    with pytest.raises(EngineError, match="another device"):
        script(host).restore(state)


def test_state_that_cannot_be_copied_is_an_error(host):
    it = script(host, "if request.IsInit:\n    g = (x for x in [1])\nelse:\n    request.Value = next(g)")
    with pytest.raises(EngineError, match="cannot be copied"):
        it.snapshot()
