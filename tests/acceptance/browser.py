"""A real Chromium, without a window, that tells of every request and of every word on its console."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

DEMAND = "REPORT_BROWSER"
"""Set to `required`, this variable makes the tests fail, not skip, where Chromium is missing."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,900", "--hide-scrollbars"),
)


class Browser:
    """One tab."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, *, place: str = "") -> None:
        """Load a page from disk, with nothing of the one before it left over."""
        self.driver.get("about:blank")
        self.requests()
        self.console()
        self.driver.get(page.as_uri() + place)

    def requests(self) -> list[str]:
        """Return the addresses asked for since this was last asked."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def console(self) -> list[str]:
        """Return what was said on the console since this was last asked; breaches of the policy too."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def run(self, script: str, *values: Any) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script, *values)

    def later(self, script: str, *values: Any) -> Any:
        """Return what a script hands to `done`."""
        return self.driver.execute_async_script(
            f"const done = arguments[arguments.length - 1];\n{script}", *values
        )

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)"
        return list(self.run(script, selector))

    def keys(self, selector: str, *keys: str) -> None:
        """Press keys in an element, as a hand does."""
        self.driver.find_element("css selector", selector).send_keys(*keys)

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def screen(self, width_px: int, height_px: int, *, dark: bool = False) -> None:
        """Look through a screen of that size, in the light or in the dark."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": width_px < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def open_browser(folder: str) -> Chrome:
    """Start Chromium with a new profile in `folder`; skip the test, or fail it, where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        reason = "no Chromium here: apt-get install chromium chromium-driver"
        if os.environ.get(DEMAND) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    options = ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Chrome(options=options, service=Service(driver))


def browsers() -> Iterator[Browser]:
    """Yield one browser, and close it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        driver = open_browser(folder)
        try:
            yield Browser(driver)
        finally:
            driver.quit()
