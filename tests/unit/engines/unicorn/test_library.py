"""Importing the engine brings no more than it needs, and leaves the standard library as it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

NOT_NEEDED = ("importlib.resources", "zipfile", "tempfile", "orchestrator.engines.unicorn.devices.nrf.timers")


@pytest.mark.parametrize("before", ["", "import importlib.resources, unicorn", "import importlib.resources"])
def test_who_asks_for_resources_gets_the_standard_librarys(before):
    text = (
        f"{before}\n"
        "from orchestrator.engines.unicorn import binding\n"
        "import importlib.resources\n"
        "assert importlib.resources.files('email').joinpath('charset.py').is_file()\n"
        "assert importlib.resources.__spec__.origin\n"
        "assert binding.describe(0)"
    )
    subprocess.run([sys.executable, "-c", text], check=True)


def test_a_board_without_nordic_devices_loads_none():
    text = (
        "import sys\n"
        "from orchestrator.engines.contract import EngineOptions\n"
        "from orchestrator.engines.unicorn.engine import UnicornEngine\n"
        "from orchestrator.platform import load_platform\n"
        "UnicornEngine(load_platform('stm32h745'), EngineOptions()).close()\n"
        f"print([each for each in {NOT_NEEDED} if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
