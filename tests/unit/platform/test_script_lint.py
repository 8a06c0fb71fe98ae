"""What Renode's IronPython, its API or a description would not take is found in a script, with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engines.unicorn.devices import script_api as api
from orchestrator.platform.script_lint import API, MODULES, lint_script, main

ROOT = Path(__file__).resolve().parents[3]


def found(script: str) -> list[str]:
    """``line: what`` of each problem."""
    return [f"{each.line}: {each.what}" for each in lint_script(script, "x.py")]


def only(script: str) -> str:
    problems = found(script)
    assert len(problems) == 1, problems
    return problems[0]


def test_the_scripts_of_every_platform_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "platforms")]) == 0
    scripts = len(list((ROOT / "platforms").rglob("*.py")))
    assert capsys.readouterr().out == f"{scripts} peripheral script{'s' * (scripts != 1)}, 0 problems\n"


def test_the_script_of_the_documentation_passes() -> None:
    page = (ROOT / "docs" / "writing-a-peripheral.md").read_text()
    (script,) = (each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "request.IsInit" in each)
    assert lint_script(script, "x.py") == ()


def test_make_lint_reads_the_scripts() -> None:
    assert "-m orchestrator.platform.script_lint platforms" in (ROOT / "Makefile").read_text()


def test_a_problem_is_a_line_with_place_and_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "a.py"
    path.write_text("x = 1\nrequest.Value = x / 2\n")
    assert main([str(tmp_path)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{path}:2:17: /, which divides whole numbers differently in the two Pythons; write //"
    assert last == "1 peripheral script, 1 problem"


def test_a_folder_without_scripts_is_no_success(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1


def test_the_api_is_the_one_that_the_unicorn_engine_gives() -> None:
    def public(owner: type) -> set[str]:
        return {name for name in dir(owner) if name[0].isupper()}

    assert API["self"] == public(api.Self)
    assert API["request"] == public(api.Request)
    assert API["machine"] == public(api.Machine)
    assert API["bus"] == public(api.SystemBus)
    assert API["part"] == public(api.Nvic) | public(api.Cpu)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_that_is_allowed_exists_here_too(module: str) -> None:
    __import__(module)
    assert found(f"import {module}\n") == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("x = 1\ny = 'a\\n'\n", "2: a backslash"),
        ("x = '''a'''\n", "1: '''"),
        ("x = 1\ny = 2", "2: the last line does not end"),
        ("x = 1\n# caf\u00e9\n", "2: a character outside ASCII"),
        ("x = 1\nx = 1 +\n", "2: syntax error: invalid syntax"),
        ("x = 1_000\n", "1: 1_000"),
        ("x = 1\ny = 0x1" + "0" * 16 + "\n", "2: a number of more than 64 bits"),
        ("self.InfoLog('{" + "9" * 5000 + "}', 1)\n", "1: a log line with '{" + "9" * 5000 + "}' and 1 values"),
        ("x = 0x1" + "0" * 4000 + " - 1\n", "1: a number of more than 64 bits"),
        ("x = f'{size}'\n", "1: an f-string, which Python 2.7 does not have"),
        ("x: int = 1\n", "1: an annotation, which Python 2.7 does not have"),
        ("def f(x: int):\n    pass\n", "1: x: an annotation, which Python 2.7 does not have"),
        ("def f() -> int:\n    pass\n", "1: an annotation, which Python 2.7 does not have"),
        ("def f(a, *, b):\n    pass\n", "1: b: an argument by position or by name only"),
        ("def f(a, /):\n    pass\n", "1: a: an argument by position or by name only"),
        (
            "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = 2\n    g()\n",
            "4: nonlocal, which Python 2.7 does not have",
        ),
        ("if (x := size):\n    pass\n", "1: :=, which Python 2.7 does not have"),
        ("a, *b = [1, 2]\n", "1: a starred expression, which Python 2.7 does not have"),
        ("match size:\n    case 1:\n        pass\n", "1: match, which Python 2.7 does not have"),
        ("class A(object, metaclass=type):\n    pass\n", "1: a keyword of a class, which Python 2.7 does not have"),
        ("class A(object):\n    def f(self):\n        super().f()\n", "3: super(), which Python 2.7 does not have"),
        ("import collections\n", "1: module collections, which Renode does not have"),
        ("from os.path import join\n", "1: module os.path, which Renode does not have"),
        ("print('x')\n", "1: print"),
        ("x = xrange(3)\n", "1: no name xrange"),
        ("x = (5).to_bytes(4, 'little')\n", "1: .to_bytes, which one of the Pythons does not have"),
        ("x = {}.iteritems()\n", "1: .iteritems, which one of the Pythons does not have"),
        ("x = isinstance(request.Value, int)\n", "1: isinstance(x, int), which is false for request.Value in Renode"),
        ("x = isinstance(size, (str, int))\n", "1: isinstance(x, int), which is false for request.Value in Renode"),
        ("x = 7 / 2\n", "1: /, which divides whole numbers differently in the two Pythons"),
        ("x = 7\nx /= 2\n", "2: /, which divides whole numbers differently in the two Pythons"),
        ("x = self.SystemBus\n", "1: no self.SystemBus in both engines"),
        ("x = self['sysbus.cpu']\n", "1: no self[...]"),
        (
            "self.GetMachine()['sysbus.cpu'].VectorTableOffset = 4\n",
            "1: self.GetMachine()['sysbus.NAME'].VectorTableOffset cannot be set",
        ),
        ("x = request.Machine\n", "1: no request.Machine in both engines"),
        ("request.Offset = 3\n", "1: request.Offset cannot be set"),
        ("self = 3\n", "1: self is Renode's"),
        ("x = self.GetMachine().ElapsedTime\n", "1: no self.GetMachine().ElapsedTime in both engines"),
        ("m = self.GetMachine()\nm.Reset()\n", "2: no self.GetMachine().Reset in both engines"),
        ("x = self.GetMachine()['cpu']\n", "1: no 'cpu' in the machine"),
        ("self.GetMachine()['sysbus.n'].Set(3)\n", "1: no self.GetMachine()['sysbus.NAME'].Set in both engines"),
        (
            "bus = self.GetMachine().SystemBus\nbus.ReadByte(0)\n",
            "2: no self.GetMachine().SystemBus.ReadByte in both engines",
        ),
        (
            "found, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()\nx = cpu.Model\n",
            "2: no self.GetMachine()['sysbus.NAME'].Model in both engines",
        ),
        ("request.Value = ~1\n", "1: request.Value may be negative: ~1 in line 1"),
        ("request.Value = -1\n", "1: request.Value may be negative: -1 in line 1"),
        ("request.Value |= ~size\n", "1: request.Value may be negative: ~size in line 1"),
        ("x = ~size\ny = x | 1\nrequest.Value = y\n", "3: request.Value may be negative: ~size in line 1"),
        ("x = [0]\nx[0] = ~size\nrequest.Value = x[0]\n", "3: request.Value may be negative: ~size in line 2"),
        ("x = [0]\nx[0] -= 1\nrequest.Value = x[0]\n", "3: request.Value may be negative: x[0] - 1 in line 2"),
        (
            "def f(v):\n    return v\nrequest.Value = f(size - 5)\n",
            "3: request.Value may be negative: size - 5 in line 3",
        ),
        ("x = {1: -2}\nrequest.Value = x.get(size, 0)\n", "2: request.Value may be negative: -2 in line 1"),
        ("request.Value = ~size & ~1\n", "1: request.Value may be negative: ~1 in line 1"),
        ("raise ValueError('x')\n", "1: an exception that gets out ends Renode"),
        ("try:\n    raise ValueError('x')\nfinally:\n    x = 1\n", "2: an exception that gets out ends Renode"),
        ("assert size\n", "1: an assertion that fails ends Renode"),
        ("d = {}\nx = d[request.Offset]\n", "2: a key that may be missing: d[request.Offset]"),
        ("d = dict()\nd[request.Offset] += 1\n", "2: a key that may be missing: d[request.Offset]"),
        ("d = {}\ndel d[request.Offset]\n", "2: a key that may be missing: d[request.Offset]"),
        ("d = [{}]\nx = d[0][request.Offset]\n", "2: a key that may be missing: d[0][request.Offset]"),
        (
            "d = {}\nif request.Offset in d:\n    x = 1\nelse:\n    x = d[request.Offset]\n",
            "5: a key that may be missing: d[request.Offset]",
        ),
        (
            "d = {}\ndef f(k):\n    return d[k]\nif size in d:\n    f(size)\nf(size)\n",
            "3: a key that may be missing: d[k]",
        ),
        ("x = 5 % request.Value\n", "1: a division by request.Value, which may be 0"),
        ("x = 5\nx //= request.Value\n", "2: a division by request.Value, which may be 0"),
        ("self.InfoLog('{0} {1}', size)\n", "1: a log line with '{1}' and 1 values"),
        ("self.InfoLog('a { b')\n", "1: a log line with '{' and 0 values"),
    ],
)
def test_each_rule_finds_its_own_and_nothing_else(script: str, problem: str) -> None:
    assert only(script) == problem


@pytest.mark.parametrize(
    "script",
    [
        "request.Value = ~size & 0xFFFFFFFF\n",
        "request.Value = 0xFFFFFFFF ^ size\n",
        "request.Value = request.Offset - request.Offset % 4\n",
        "request.Value = ((1 << (8 * request.Length)) - 1) & 0xFF\n",
        "x = [0] * 4\nx[0] = ~size & 0xFF\nrequest.Value = x[request.Offset // 4]\n",
        "x = size - 4\nrequest.Value = [1, 2][x]\n",
        "d = {}\nif request.Offset in d:\n    request.Value = d[request.Offset]\n",
        "d = {}\nx = d[request.Offset] if request.Offset in d else 0\n",
        "d = {}\nx = request.Offset in d and d[request.Offset] > 1\n",
        "d = {}\ndef f(k):\n    if k not in d:\n        return 0\n    return d[k]\n",
        "d = {}\ndef f(k):\n    return d[k]\nif size in d:\n    f(size)\n",
        "d = {}\ntry:\n    x = d[size]\nexcept KeyError:\n    x = 0\n",
        "d = {1: 2}\nx = d[1]\nfor k in d:\n    x += d[k]\ny = [d[k] for k in d]\n",
        "d = {}\nd[size] = 1\nx = d.get(size + 1, 0)\n",
        "N = 4\nx = request.Offset // N + request.Offset % 0x10 + size % request.Length\n",
        "x = 5 // size if size else 0\n",
        "x = '%d' % size\n",
        "self.InfoLog('{0:X8} {{ }} {1}', size, size)\n",
        "class A(object):\n    def __init__(self):\n        self.x = 1\n        self.y = {}\n",
        "def f(request):\n    return request.anything\n",
        "try:\n    raise ValueError('x')\nexcept ValueError:\n    pass\n",
        "ok, cpu = self.GetMachine().SystemBus.TryGetCurrentCPU()\nx = ok and cpu == self.GetMachine()['sysbus.a']\n",
        "cpu = self.GetMachine()['sysbus.cpu']\nif cpu.IsHalted:\n    cpu.IsHalted = False\n",
        "self.GetMachine()['sysbus.nvic'].OnGPIO(3, True)\n",
        "a = [0, 1]\na[0] = a[1]\na[1] = a[0]\nx = a[0]\nrequest.Value = x\n",
    ],
)
def test_what_both_engines_take_is_left_alone(script: str) -> None:
    assert found(script) == []


def test_every_problem_is_reported_in_the_order_of_the_text() -> None:
    lines = [line.partition(":")[0] for line in found("x = 1 / 2\nprint(x)\nraise ValueError\nimport os\n")]
    assert lines == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    "value",
    [
        *(f"{left} {operator} {right}" for operator in "|^+*" for left, right in (("1", "~size"), ("~size", "1"))),
        *("~size << 1", "~size >> 1", "~size // 2", "5 % -3", "1 if size else ~size", "~size if size else 1"),
        *("size and ~size", "min(1, ~size)", "max(~size, ~size)", "int(~size)", "sum([~size])", "[1, [~size]][1][0]"),
        *("[~size for k in (1, 2)][0]", "{1: ~size}[1]", "dict([(1, ~size)])[1]", "list((~size,))[0]"),
        *("([1] + [~size])[1]", "{1: 2}.get(size, ~size)", "list(range(-1, 5))[0]"),
    ],
)
def test_a_complement_is_followed_through_every_operation(value: str) -> None:
    assert only(f"request.Value = {value}\n").startswith("1: request.Value may be negative: ")


# Numbers of which one is never negative, combined: what passes the lint is never negative when it is worked out.
EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "y", "0", "1", "0xFF", "names[0]", "made(x)"]),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["~", "-"]), inner).map("".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "&", "|", "^"]), inner).map(" ".join).map("({})".format),
        st.tuples(inner, st.sampled_from(["<< 2", ">> 3", "% 5", "// 7"])).map(" ".join).map("({})".format),
        st.tuples(inner, inner, inner).map("({0[0]} if {0[1]} else {0[2]})".format),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map("{0[0]}({0[1]}, {0[2]})".format),
    ),
    max_leaves=8,
)
NUMBERS = st.integers(0, 1 << 32)


class Request:
    Value = 0


@settings(max_examples=300)
@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS, NUMBERS, NUMBERS)
def test_a_value_that_passes_is_never_negative(first: str, second: str, last: str, x: int, y: int) -> None:
    functions = (
        f"def made(v):\n    return v & 0xF if v > 99 else {first.replace('made(x)', '1').replace('names', '[v]')}\n"
    )
    script = f"{functions}names = [1]\nnames[0] = {second}\nz = {last}\nrequest.Value = z\n"
    prefix = "x = request.Offset\ny = request.Length\n"
    if not any("may be negative" in each.what for each in lint_script(prefix + script, "x.py")):
        scope = {"x": x, "y": y, "request": Request()}
        exec(script, scope)
        assert scope["z"] >= 0  # type: ignore[operator]


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    for each in lint_script(text, "x.py"):
        assert each.line >= 1
