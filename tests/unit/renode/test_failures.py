"""What Renode 1.16.1 says when it refuses a description, as it was recorded, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.base.errors import EngineError, PlatformError
from orchestrator.engines.renode.failures import refused

HOME = Path("/home/me/board")
UNKNOWN_TYPE = """Error E04: Could not resolve type: 'UART.STM32F7_USARTX'.
At /tmp/rptwin-4pybdc4b/rptwin-e0f7mjrz/stm32h745.repl:82:1:
usart1: UART.STM32F7_USARTX @ sysbus 0x40011000
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"""
SYNTAX = """Error encountered when loading Python peripheral from: /home/me/board/stm32h745/rcc.py.
[FatalError] unexpected token '<newline>' (Line 3, Column 18)

At /tmp/rptwin-xkgu2wz1/rptwin-crtp5p_2/stm32h745.repl:237:6:
rcc: Python.PythonPeripheral @ sysbus 0x58024400
     ^
"""


def test_a_refused_description_is_said_with_the_place_in_it_and_renodes_words_come_behind() -> None:
    error = refused(RuntimeError(UNKNOWN_TYPE), "stm32h745.repl", HOME)
    assert isinstance(error, PlatformError)
    what = "Renode refuses it (Error E04: Could not resolve type: 'UART.STM32F7_USARTX'.)"
    assert str(error) == f"stm32h745.repl:82:1: {what}"
    assert error.__notes__ == UNKNOWN_TYPE.strip().splitlines()[1:]


def test_a_refused_script_is_said_with_its_own_file_and_line() -> None:
    error = refused(RuntimeError(SYNTAX), "stm32h745.repl", HOME)
    assert str(error) == "stm32h745/rcc.py:3:18: Renode refuses it ([FatalError] unexpected token '<newline>')"


def test_a_reason_without_a_place_is_kept_whole_up_to_the_stack() -> None:
    error = refused(RuntimeError("No such\nthing\n   at Antmicro.Renode.X()"), "x.repl", HOME)
    assert type(error) is EngineError
    assert str(error) == "engine renode: x.repl: Renode refuses the platform: found No such thing"


def test_a_full_disk_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/small")
    around = "Exception has been thrown by the target of an invocation."
    text = f"{around} ---> System.IO.IOException: No space left on device : '/small/renode-7/x'\n   at System.IO.X()"
    error = refused(RuntimeError(text), "x.repl", HOME)
    assert str(error) == (
        "/small: no room for Renode's files: found No space left on device : '/small/renode-7/x'; "
        "TMPDIR names another folder"
    )
    assert error.__notes__ == ["   at System.IO.X()"]
