"""Renode types and their models: those that come along, those of other packages, and none."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.base.errors import EngineError
from orchestrator.engines.contract import EngineOptions
from orchestrator.engines.registry import create_engine
from orchestrator.engines.unicorn.devices import registry
from orchestrator.engines.unicorn.devices.registry import MODELLED
from orchestrator.engines.unicorn.engine import UnicornEngine
from orchestrator.platform import load_platform
from orchestrator.platform.model import Connections

PAGE = Path(__file__).resolve().parents[5] / "docs" / "writing-a-peripheral.md"

DESCRIPTION = """cpu: CPU.CortexM @ sysbus
    cpuType: "cortex-m7"
    nvic: nvic
nvic: IRQControllers.NVIC @ sysbus new Bus.BusPointRegistration { address: 0xE000E000; cpu: cpu }
    -> cpu@0
serial: UART.PL011 @ sysbus 0x40000000
    IRQ -> nvic@3
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with entry points where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(package: str, code: str, points: str) -> None:
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[rptwin.devices]\n{points}\n")
        monkeypatch.delitem(sys.modules, package, raising=False)

    return put


@pytest.fixture
def boot(tmp_path: Path) -> Callable[[], UnicornEngine]:
    def make() -> UnicornEngine:
        folder = tmp_path / "platform"
        folder.mkdir(exist_ok=True)
        (folder / "p.repl").write_text(DESCRIPTION)
        return UnicornEngine(load_platform(folder / "p.repl"), EngineOptions())

    return make


def test_a_type_without_a_model_has_no_console(boot):
    assert "serial" not in boot().consoles


@pytest.mark.parametrize("brought_by", ["platform", "package"])
def test_the_model_in_the_documentation_works_as_it_stands_there(install, model, boot, brought_by):
    page = PAGE.read_text()
    code = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Pl011" in block)
    file, point = re.findall(r'^"(\S+)" = "(\S+)"$', page, re.MULTILINE)
    if brought_by == "package":
        install("our_models", code, f"{point[0]} = {point[1]}")
    else:
        assert file == ("UART.PL011", "models/pl011.py")
        model(code)
    engine = boot()
    device = engine.wiring.devices["serial"]
    assert device.read(0x18, 4, "cpu") == 0x80
    device.write(0x00, 4, ord("x"), "cpu")
    assert engine.consoles["serial"].output == b"x"
    engine.restore(engine.snapshot())


def test_a_maker_gets_the_wires_of_the_platform(install, boot):
    code = (
        "from orchestrator.engines.unicorn.devices.plain import Unmodelled\n"
        "from orchestrator.engines.unicorn.devices.registry import Host, Lines\n"
        "def make(board, peripheral):\n"
        "    assert isinstance(Lines(board, peripheral.interrupts), Lines)\n"
        "    [wire] = peripheral.interrupts\n"
        "    assert (wire.target, wire.line) == ('nvic', 3)\n"
        "    return Unmodelled(Host(board, peripheral.name), 'wired'), None\n"
    )
    install("wires", code, "UART.PL011 = wires:make")
    assert type(boot().wiring.devices["serial"]).__name__ == "Unmodelled"


MODEL = """
from orchestrator.engines.unicorn.devices.plain import Unmodelled
from orchestrator.engines.unicorn.devices.registry import Host
from orchestrator.engines.unicorn.devices.uart import UartConsole


def make(board, peripheral):
    console = UartConsole(peripheral.name, board.settle)
    console.transmit(ord("m"))
    return Unmodelled(Host(board, peripheral.name), "ours"), console
"""


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str], Path]:
    """Puts a model beside the platform, and names it in the platform's settings."""

    def put(code: str) -> Path:
        folder = tmp_path / "platform"
        folder.mkdir()
        (folder / "p.toml").write_text('[models]\n"UART.PL011" = "models/pl011.py"\n')
        (folder / "models").mkdir()
        (folder / "models" / "pl011.py").write_text(code)
        return folder

    return put


def test_a_platform_brings_a_model_in_a_file(model, boot, monkeypatch, tmp_path):
    model(MODEL)
    monkeypatch.chdir(tmp_path)
    assert boot().consoles["serial"].output == b"m"


def test_a_platforms_own_model_comes_before_that_of_a_package(model, boot, install):
    install("ours", "raise SystemExit('imported')", "UART.PL011 = ours:make")
    model(MODEL)
    assert boot().consoles["serial"].output == b"m"


def test_a_platforms_own_model_comes_before_that_of_rptwin(model, boot, monkeypatch):
    """Or a platform would change its meaning with the release that brings a model."""
    monkeypatch.setitem(registry._MAKERS, "UART.PL011", lambda board, peripheral: pytest.fail("not the platform's"))
    model(MODEL)
    assert boot().consoles["serial"].output == b"m"


def test_an_engine_in_a_child_process_has_the_platforms_models_too(model, boot):
    folder = model(MODEL.replace('    console.transmit(ord("m"))\n', ""))
    boot()  # writes the description
    engine = create_engine("unicorn-remote", load_platform(folder / "p.repl"))
    try:
        assert engine.consoles["serial"].output == b""
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "pl011.py: no function: expected def make(board, peripheral)"),
        ("def make(", "serial: model of UART.PL011 by pl011.py: SyntaxError: "),
        ("import nothing_of_this_name", "serial: model of UART.PL011 by pl011.py: ModuleNotFoundError: "),
        ("def make(board): pass", "serial: model of UART.PL011 by pl011.py: TypeError: make() takes 1 positional"),
        (
            "def make(board, peripheral): return None",
            "serial: model of UART.PL011 by pl011.py: not what a maker gives: expected (device, console or None)",
        ),
    ],
)
def test_a_file_that_is_no_model_is_named(model, boot, code, message):
    model(code)
    with pytest.raises(EngineError) as caught:
        boot()
    assert str(caught.value).startswith(message)


def test_the_types_that_come_along_are_those_in_the_documentation():
    page = (PAGE.parent / "writing-a-platform.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("| the Unicorn engine |"))
    assert re.findall(r"`([^`]+)`", line) == sorted(MODELLED)


def test_a_type_that_comes_along_is_not_replaced(install):
    install("usurper", "raise SystemExit('imported')", "UART.STM32F7_USART = usurper:make")
    engine = UnicornEngine(load_platform("stm32h745"), EngineOptions())
    assert {"usart1", "usart2", "usart3"} <= set(engine.consoles)


def test_two_packages_with_one_type_are_both_named(install, boot):
    install("one", "", "UART.PL011 = one:make")
    install("two", "", "UART.PL011 = two:make")
    with pytest.raises(
        EngineError, match=r"UART\.PL011: more than one model of a type: expected one, found "
    ) as caught:
        boot()
    assert {"one 1.2", "two 1.2"} == set(str(caught.value).rpartition("found ")[2].split(" | "))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "AttributeError: module 'ours' has no attribute 'make'"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def make(board, peripheral): raise ValueError('no clock')", "ValueError: no clock"),
        (
            "def make(board, peripheral): return 3",
            "not what a maker gives: expected (device, console or None), found 3",
        ),
        ("def make(board, peripheral): return 3, None", "not a device: expected is_steady read write reset snapshot"),
    ],
)
def test_a_model_that_cannot_be_used_names_its_package(install, boot, code, message):
    install("ours", code, "UART.PL011 = ours:make")
    with pytest.raises(EngineError) as caught:
        boot()
    assert str(caught.value).startswith(f"serial: model of UART.PL011 by ours 1.2: {message}")


def test_a_peripheral_whose_model_has_no_events_cannot_be_connected():
    platform = replace(load_platform("nrf5340"), connections=(Connections("dppic_app", 0x500, ("uart0_app", "ipc")),))
    with pytest.raises(EngineError, match=r"connections\.dppic_app: a peripheral whose model has no events.*ipc"):
        UnicornEngine(platform, EngineOptions())
