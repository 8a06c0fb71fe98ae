"""Peripheral scripts as C#: which can be, and what stands there. That both do the same is shown on a real Renode."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.engines.renode.compiled.csharp import class_name, compile_script
from orchestrator.engines.renode.compiled.models import Models
from orchestrator.engines.renode.compiled.script_types import UntypedError, infer
from orchestrator.platform import load_platform
from orchestrator.platform.export import export, named

PLATFORMS = Path(__file__).resolve().parents[3] / "platforms"
SCRIPTS = sorted(each for each in PLATFORMS.rglob("*.py") if each.parent.name != "renode")
READ = "if request.IsRead:\n    {}\n"
WITH_INIT = "if request.IsInit:\n    {}\nelif request.IsRead:\n    {}\n"


def read(line: str) -> str:
    return compile_script("device", READ.format(line))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_script_of_a_platform_is_compiled(script: Path) -> None:
    text = script.read_text()
    made = compile_script(script.stem, text)
    assert f"public class {class_name(script.stem, text)} : Script" in made
    assert made.count("{") == made.count("}")


@pytest.mark.parametrize(
    ("python", "csharp"),
    [
        ("request.Value = request.Offset // 4 % 3", "value = Mod(Div(offset, 4L), 3L);"),
        ("request.Value = 1 << (8 * request.Length)", "value = Shl(1L, (8L * length));"),
        (
            "o = request.Offset\n    request.Value = 1 if o in (4, 8) else 0",
            "value = (((l_o == 4L || l_o == 8L)) ? 1L : 0L);",
        ),
        ("request.Value = 1 if 4 <= request.Offset < 8 else 2", "value = ((4L <= offset && offset < 8L) ? 1L : 2L);"),
        ("request.Value |= 3", "value = (value | 3L);"),
        ("self.WarningLog('at 0x{0:X}', request.Offset)", 'this.WarningLog("at 0x{0:X}", offset);'),
        (
            "self.GetMachine()['sysbus.nvic'].OnGPIO(3, True)",
            '((IGPIOReceiver)Part("sysbus.nvic")).OnGPIO((int)(3L), true);',
        ),
    ],
)
def test_what_a_script_says_in_c_sharp(python: str, csharp: str) -> None:
    assert csharp in read(python)


def test_a_list_counts_from_its_end_too() -> None:
    made = compile_script("device", WITH_INIT.format("words = [0] * 4", "request.Value = words[request.Offset - 1]"))
    assert "value = At(s_words, (offset - 1L));" in made


def test_what_a_function_is_given_is_known_from_its_calls_in_whatever_order() -> None:
    text = WITH_INIT.format(
        "def first(pair):\n        a, b = pair\n        return a\n\n    def second():\n        return first((1, True))",
        "request.Value = second()",
    )
    made = compile_script("device", text)
    assert "private long F_first((long, bool) l_pair)" in made


def test_nothing_is_a_number_that_no_register_has() -> None:
    text = WITH_INIT.format(
        "def owner():\n        if request.Offset:\n            return 3\n        return None", "request.Value = owner()"
    )
    assert "return Nothing;" in compile_script("device", text)


@pytest.mark.parametrize(
    "line",
    [
        "request.Value = words[0] if request.Offset else True",
        "request.Value = 'text'",
        "request.Value = request.Offset / 2",
        "x = request.Offset\n    x = 'text'",
        "request.Value = request.Counter",
        "request.Value = [1, 2][0:1]",
        "request.Value = unknown()",
        "request.Value = request.Offset and 3",
        "request.Value = 1 << 5 if request.Offset in 7 else 0",
        "import re",
        "self.GetMachine()['sysbus.uart'].WriteChar(3)",
    ],
)
def test_what_has_no_one_type_is_left_to_ironpython(line: str) -> None:
    with pytest.raises(UntypedError, match="line"):
        read(line)


@pytest.mark.parametrize(
    "text",
    [
        "words = {}\n" + READ.format("pass"),
        "if request.IsUser:\n    pass\n",
        "if request.IsRead:\n    pass\nelse:\n    pass\n",
        WITH_INIT.format("def f(*given):\n        pass", "pass"),
        WITH_INIT.format("x = 0", "def f():\n        pass"),
        WITH_INIT.format("port = {'enable': 0, 'sending': False}", "pass"),
    ],
)
def test_another_shape_is_left_to_ironpython(text: str) -> None:
    with pytest.raises(UntypedError):
        infer(text)


def test_a_description_names_the_class_of_a_script_and_keeps_the_others() -> None:
    models = Models()
    text = export(load_platform("nrf5340"), scripts=named, models=models.name_of)["nrf5340.repl"]
    ipc = (PLATFORMS / "nrf5340" / "ipc.py").read_text()
    assert f"ipc: Rptwin.{class_name('ipc', ipc)} @" in text
    assert f"public class {class_name('ipc', ipc)} : Script" in models.source
    assert "uart0_app_registers: Python.PythonPeripheral @" in text


def test_plain_renode_is_given_the_scripts_themselves() -> None:
    assert "Rptwin." not in export(load_platform("nrf5340"))["nrf5340.repl"]
