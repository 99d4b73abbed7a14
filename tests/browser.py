"""Debian's chromium on a page of ours: its size, its theme, what it complains of, and what axe-core finds."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="needs Debian's chromium and chromium-driver; see the Makefile"
)
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
         "--autoplay-policy=no-user-gesture-required")  # fmt: skip
FOUND = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then((found) => done(
  found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' ; ')}`)));
"""


@contextlib.contextmanager
def chromium(*, downloads: Path | None = None) -> Iterator[Any]:
    """A headless browser without a page; what it saves goes into `downloads`."""
    os.environ["SE_OFFLINE"] = "true"
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.binary_location = str(BROWSER)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        if downloads is not None:
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield driver
    finally:
        driver.quit()


def look(driver: Any, *, width: int, height: int = 900, dark: bool = False) -> None:
    """What the next pages are seen on."""
    facts = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", facts)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})


def overflow(driver: Any) -> int:
    """By how many pixels the page is wider than the screen."""
    return int(driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth"))


def serious(driver: Any) -> list[str]:
    """What axe-core calls serious or critical on the page: contrast below 4.5 is."""
    axe = importlib.resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    driver.execute_script(f"{axe};window.axe = axe;")
    driver.set_script_timeout(60)
    return list(driver.execute_async_script(FOUND))


def complaints(driver: Any) -> list[str]:
    """What the browser wrote into its console since it was last asked, of any level above info."""
    return [one["message"] for one in driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]


def asked(driver: Any) -> list[str]:
    """The addresses that pages have asked for since this was last asked, their own data left out."""
    import json

    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [url for url in found if not url.startswith(("data:", "blob:"))]
