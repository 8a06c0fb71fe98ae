"""A real browser for the tests of what rptwin writes for one."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

__all__ = ["Browser", "Keys", "browser"]

_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Browser:
    """Chromium without a window."""

    driver: Chrome

    def open(
        self,
        page: Path,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        at: str = "",
        keeps: bool = False,
    ) -> None:
        """Load a page from its file; ``at`` is the end of its address, ``keeps``: with what it has stored before."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        if not keeps:
            kept = {"origin": "file://", "storageTypes": "local_storage"}
            self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", kept)
        self.driver.get("about:blank")  # a change behind # alone would load nothing
        self.driver.get(page.resolve().as_uri() + at)

    def js(self, text: str, *given: object) -> Any:
        """What a script returns, run outside of the page's policy."""
        return self.driver.execute_script(text, *given)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def every(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    def press(self, *keys: str) -> None:
        """To whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
            self.settle()

    def click(self, selector: str) -> None:
        """In the middle of the window, as bars at its edges may lie over it."""
        element = self.find(selector)
        self.js("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.settle()

    def settle(self) -> None:
        """Wait until two frames were drawn, and a new address was written."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def until(self, script: str) -> None:
        """Wait for a condition of the page."""
        end = time.monotonic() + _PATIENCE_S
        while not self.js(f"return Boolean({script})"):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.02)

    def complaints(self) -> list[str]:
        """What the browser's console says, since this was asked last: errors, and what the policy has refused."""
        return [each["message"] for each in self.driver.get_log("browser")]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium; as root, which CI is, it has no sandbox."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium is not None
    assert chromedriver is not None
    options = Options()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
