"""A read that changes nothing is answered as before until something changes; whatever may change something runs again.

Each script is asked the same as one that is executed each time: values, calls of the board and what is remembered are
the same.
"""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest
from support.script_host import ScriptHost

import orchestrator.engines.unicorn.devices.script as script_module
from orchestrator.base.errors import EngineError
from orchestrator.engines.unicorn.devices.script import ScriptDevice
from orchestrator.engines.unicorn.devices.script_code import code_of
from orchestrator.engines.unicorn.devices.script_effects import tell_changes
from orchestrator.engines.unicorn.devices.script_names import passing_names

CORES, NVICS = ["cpu_a", "cpu_b"], ["nvic_a", "nvic_b"]
PLATFORMS = Path(__file__).parents[5] / "platforms"
INIT = "if request.IsInit:\n"
READ = "elif request.IsRead:\n"

# What a read does, behind what the initialisation makes: the same value each time, or another.
ANSWERED = {
    "an element": ("words = [7, 8]", "request.Value = words[request.Offset // 4 % 2]"),
    "its own names": ("word = 9", "v = word\nv = v + 1\nrequest.Value = v"),
    "a number that grows": ("word = 9", "v = word\nv |= 0x10\nv += 1\nrequest.Value = v"),
    "the value itself": ("word = 9", "request.Value = word\nrequest.Value += 1"),
    "a function": ("def f(x):\n    y = x\n    y += 1\n    return y", "request.Value = f(3)"),
    "a default": ("def f(x, add=[4]):\n    return x + add[0]", "request.Value = f(3)"),
    "a closure": ("def make(n):\n    def f():\n        return n\n    return f\ng = make(5)", "request.Value = g()"),
    "a comprehension": ("words = [1, 2]", "request.Value = sum([each for each in words])"),
    "a generator that is read up": ("words = {1: 2}", "request.Value = sum(words[each] for each in words)"),
    "an enumeration": ("words = [5, 6]", "for n, each in enumerate(words):\n    request.Value = n + each"),
    "a lambda": ("f = lambda x: x + 1", "request.Value = f(2)"),
    "a way not taken": ("words = [3]", "if words[0] > 3:\n    words.append(1)\nrequest.Value = words[0]"),
    "who asks": ("", "found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()\nrequest.Value = 2 if found else 1"),
    "a failure": ("words = []", "request.Value = words[0]"),
}
CHANGES = {
    "a counter": ("count = 0", "count += 1\nrequest.Value = count"),
    "a counter in other words": ("count = 0", "count = count + 1\nrequest.Value = count"),
    "an element": ("words = [0]", "words[0] += 1\nrequest.Value = words[0]"),
    "a key": ("words = {}", "words[len(words)] = 1\nrequest.Value = len(words)"),
    "a list": ("words = []", "words.append(1)\nrequest.Value = len(words)"),
    "a list by another name": ("words = []", "v = words\nv += [1]\nrequest.Value = len(words)"),
    "a set by another name": ("words = set()", "v = words\nv |= {len(words)}\nrequest.Value = len(words)"),
    "a list in a function": ("words = []\ndef f(v):\n    v += [1]\n    return len(v)", "request.Value = f(words)"),
    "a default": ("def f(seen=[]):\n    seen.append(1)\n    return len(seen)", "request.Value = f()"),
    "a default's element": ("def f(seen=[0]):\n    seen[0] += 1\n    return seen[0]", "request.Value = f()"),
    "a global": ("n = 0\ndef f():\n    global n\n    n += 1\n    return n", "request.Value = f()"),
    "a global of a loop": (
        "n = 0\ndef f():\n    global n\n    v = n\n    for n in range(v + 2):\n        pass\n    return n",
        "request.Value = f()",
    ),
    "a closure": (
        "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return f\ng = make()",
        "request.Value = g()",
    ),
    "a target of a loop": (
        "words = [0]",
        "v = words[0]\nfor words[0] in range(v + 2):\n    pass\nrequest.Value = words[0]",
    ),
    "taken away": ("words = [9, 8, 7, 6, 5, 4, 3, 2]", "request.Value = words[0]\ndel words[0]"),
    "in a condition": ("words = [1, 2, 3, 4, 5, 6, 7, 8]", "if words.pop() > 3:\n    request.Value = 1"),
    "in an elif": (
        "words = [1, 2, 3, 4, 5, 6, 7, 8]",
        "if size == 1:\n    pass\nelif words.pop() > 3:\n    request.Value = 1",
    ),
    "while": ("words = [8] * 8", "while words and words.pop() > 8:\n    pass\nrequest.Value = len(words)"),
    "in a comprehension": ("words = []", "request.Value = len([words.append(1) for _ in range(3)] + words)"),
    "in an argument": ("words = []\ndef f(x):\n    return len(words)", "request.Value = f(words.append(1))"),
    "in a subscript": (
        "words = [[1], []]",
        "words[words[0].append(1) is None].append(1)\nrequest.Value = len(words[1])",
    ),
    "a function anew": ("def f():\n    return 0", "v = f()\ndef f(v=v):\n    return v + 1\nrequest.Value = f()"),
    "a log": ("", "self.InfoLog('read')"),
    "a word to the report": ("", "self.WarningLog('unmodelled read at 0x{0:X}', request.Offset)"),
    "printed": ("", "print(1)"),
    "a line": ("", "self.GetMachine()['sysbus.nvic_a'].OnGPIO(3, True)"),
    "an event": ("", "self.GetMachine()['sysbus.cpu_a'].SetEventFlag(True)"),
    "how often": ("", "request.Value = request.Counter"),
    "where": ("", "request.Value = request.Absolute"),
    # What is not understood.
    "an iterator": ("words = iter(range(100))", "for request.Value in words:\n    break"),
    "an iterator unpacked": (
        "words = enumerate([5, 6, 7, 8, 9, 10])",
        "(v, w), *rest = words\nrequest.Value = len(rest)",
    ),
    "a generator": ("def f():\n    for n in range(99):\n        yield n\ng = f()", "request.Value = next(g)"),
    "a generator kept": ("g = (n for n in range(99))", "request.Value = 1 if 5 in g else 0"),
    "a method kept": ("words = []\nadd = words.append", "add(1)\nrequest.Value = len(words)"),
    "print by another name": ("say = print", "say(1)"),
    "a class": ("class A:\n    n = 0", "A.n += 1\nrequest.Value = A.n"),
    "a property": (
        "class A:\n    n = 0\n    @property\n    def v(self):\n        A.n += 1\n        return A.n\na = A()",
        "request.Value = a.v",
    ),
    "a class of its own in a read": ("n = [0]", "class A:\n    n[0] += 1\nrequest.Value = n[0]"),
    "a module": ("import itertools\nc = itertools.count()", "request.Value = next(c)"),
    "by its name": ("n = 0", "globals()['n'] = n + 1\nrequest.Value = n"),
    "by the way": ("n = 0", "request.Value = (n := n + 1)"),
    "with an exception": (
        "n = [0]",
        "try:\n    n.pop(9)\nexcept IndexError as e:\n    n[0] += 1\nrequest.Value = n[0]",
    ),
    "a builtin of its own": (
        "words = []\ndef max(x):\n    words.append(1)\n    return len(x)",
        "request.Value = max(words)",
    ),
    "as an attribute": ("def f():\n    return 1\nf.n = 0", "f.n += 1\nrequest.Value = f.n"),
    "a format": ("", "request.Value = int('{0.Counter}'.format(request))"),
    "a decorator": (
        "words = []\ndef d(f):\n    words.append(1)\n    return f",
        "@d\ndef g():\n    pass\nrequest.Value = len(words)",
    ),
    "what it returns, as it says": ("words = []", "def g() -> words.append(1):\n    pass\nrequest.Value = len(words)"),
}


def _text(init: str, read: str) -> str:
    branches = ((INIT, init or "pass"), (READ, read))
    return "".join(head + "".join(f"    {line}\n" for line in body.splitlines()) for head, body in branches)


def _device(text: str, host: ScriptHost, name: str = "x.py") -> ScriptDevice:
    return ScriptDevice(text, name, 0x1000, host, cores=CORES, nvics=NVICS)


def _ask(device: ScriptDevice, offset: int, size: int, core: str | None) -> object:
    try:
        return device.read(offset, size, core)
    except EngineError as error:
        return str(error)


def _both(text: str) -> list[tuple[object, object]]:
    """Value by value: as it is answered, and where it is executed each time."""
    hosts = ScriptHost(), ScriptHost()
    answers, executes = (_device(text, host) for host in hosts)
    found = []
    for core in ("cpu_a", "cpu_a", None, "cpu_b", "cpu_a"):
        executes.forget_answers()
        found.append((_ask(answers, 0, 4, core), _ask(executes, 0, 4, core)))
    assert hosts[0].calls == hosts[1].calls
    return found


@pytest.mark.parametrize("case", ANSWERED)
def test_what_changes_nothing_is_answered_as_before(case, monkeypatch):
    text = _text(*ANSWERED[case])
    assert all(quick == slow for quick, slow in _both(text))
    device = _device(text, ScriptHost())
    first = _ask(device, 0, 4, "cpu_a")
    if isinstance(first, str):
        return
    monkeypatch.setattr(script_module.ScriptDevice, "_execute", lambda *_: pytest.fail("executed"))
    assert not device.stands(0, 4, "cpu_a")  # it was read once
    assert _ask(device, 0, 4, "cpu_a") == first
    assert device.stands(0, 4, "cpu_a")
    assert not device.stands(4, 4, "cpu_a")
    assert not device.stands(0, 2, "cpu_a")
    assert not device.stands(0, 4, "cpu_b")


@pytest.mark.parametrize("case", CHANGES)
def test_what_may_change_something_is_executed_each_time(case):
    text = _text(*CHANGES[case])
    assert all(quick == slow for quick, slow in _both(text))
    device = _device(text, ScriptHost())
    for _time in range(2):
        _ask(device, 0, 4, "cpu_a")
        assert not device.stands(0, 4, "cpu_a")


def test_a_script_of_changes_changes_something():
    """The cases are worth their place: asked twice, most say something else, or do something to the board."""
    silent = []
    for case, parts in CHANGES.items():
        host = ScriptHost()
        device = _device(_text(*parts), host)
        values = [_ask(device, 0, 4, core) for core in ("cpu_a",) * 6]
        if len(set(map(str, values))) == 1 and not host.calls:
            silent.append(case)
    assert silent == ["where"]


def test_a_write_ends_what_was_answered():
    device = _device(_text("n = [1]", "request.Value = n[0]") + "else:\n    n[0] = request.Value\n", ScriptHost())
    assert device.read(0, 4, "cpu_a") == 1
    version = device.version[0]
    device.write(0, 4, 5, "cpu_b")
    assert device.version[0] != version
    assert device.read(0, 4, "cpu_a") == 5


def test_a_write_that_changes_nothing_does_not():
    device = _device(_text("n = [1]", "request.Value = n[0]") + "else:\n    v = request.Value\n", ScriptHost())
    device.read(0, 4, "cpu_a")
    device.write(0, 4, 5, "cpu_b")
    device.read(0, 4, "cpu_a")
    assert device.stands(0, 4, "cpu_a")


def test_a_write_that_fails_half_way_ends_it():
    text = _text("n = [1]", "request.Value = n[0]") + "else:\n    n[0] = 2\n    n[1] = 3\n"
    device = _device(text, ScriptHost())
    device.read(0, 4, "cpu_a")
    with pytest.raises(EngineError, match="IndexError"):
        device.write(0, 4, 5, "cpu_a")
    assert device.read(0, 4, "cpu_a") == 2


def test_going_back_ends_it_and_a_reset_too():
    device = _device(_text("n = [1]", "request.Value = n[0]") + "else:\n    n[0] = request.Value\n", ScriptHost())
    before = device.snapshot()
    device.write(0, 4, 5, None)
    assert device.read(0, 4, "cpu_a") == 5
    device.restore(before)
    assert device.read(0, 4, "cpu_a") == 1
    device.write(0, 4, 5, None)
    device.read(0, 4, "cpu_a")
    device.reset()
    assert device.read(0, 4, "cpu_a") == 1


def test_a_snapshot_after_a_look_is_the_one_before():
    device = _device(_text("n = [1]", "v = n[0]\nrequest.Value = v"), ScriptHost())
    before = device.snapshot()
    device.read(0, 4, "cpu_a")
    assert device.snapshot() is before


SCRIPTS = sorted(PLATFORMS.glob("*/*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda each: f"{each.parent.name}/{each.stem}")
def test_a_platforms_script_is_understood_and_tells_the_same_executed_or_not(path):
    text, name = path.read_text(), path.name
    tree = ast.parse(text)
    assert tell_changes(tree, passing_names(text, name))
    platform = path.parent.name
    cores = {"stm32h745": ("cm7", "cm4"), "nrf5340": ("app", "net"), "mps2_an521": ("0", "1")}[platform]
    join = "" if platform == "mps2_an521" else "_"
    names = [f"cpu{join}{each}" for each in cores]
    chance = random.Random(path.stem)
    hosts = ScriptHost(), ScriptHost()
    quick, slow = (
        ScriptDevice(text, name, 0x1000, host, cores=names, nvics=[f"nvic{join}{each}" for each in cores])
        for host in hosts
    )
    offsets = [chance.randrange(0, 0x1000, 4) for _ in range(12)] + [*range(0, 0x160, 4)]
    states = []
    for _step in range(1500):
        offset, core = chance.choice(offsets) + chance.choice((0, 0, 0, 1, 2)), chance.choice((*names, None))
        size = chance.choice((4, 4, 4, 1, 2))
        slow.forget_answers()
        if chance.random() < 0.6:
            assert _ask(quick, offset, size, core) == _ask(slow, offset, size, core)
        else:
            value = chance.choice((0, 1, 0xFFFFFFFF, 1 << chance.randrange(32), chance.getrandbits(32), 0x80000300))
            for each in (quick, slow):
                each.write(offset, size, value, core)
        if chance.random() < 0.02:
            nvic = f"nvic{join}{chance.choice(cores)}"
            for host in hosts:
                host.deeply_asleep ^= {nvic}
            quick.forget_answers()
        if chance.random() < 0.02:
            states.append([each.snapshot() for each in (quick, slow)])
        if states and chance.random() < 0.02:
            for each, state in zip((quick, slow), chance.choice(states), strict=True):
                each.restore(state)
    assert hosts[0].calls == hosts[1].calls
    assert hosts[0].holds == hosts[1].holds


def test_all_platforms_scripts_are_among_them():
    assert len(SCRIPTS) > 30


def test_code_that_is_kept_says_whether_it_tells_changes():
    assert code_of(_text("", "request.Value = 1"), "x.py").tells_changes
    assert not code_of(_text("", "request.Value = request.Counter"), "x.py").tells_changes
