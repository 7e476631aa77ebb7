"""A person's way through the admin in headless Chromium: grant history, a reveal, a second approval; each page leaves a picture.

Playwright drives the system's own Chromium; nothing is downloaded. Where there is none, `missing()` says how to get it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HOW = "install it (apt-get install chromium) or name one in VOXGOV_CHROMIUM"


def chromium() -> str:
    """Where a Chromium is; empty where there is none."""
    named = os.environ.get("VOXGOV_CHROMIUM", "")
    return named or next((found for name in NAMES if (found := shutil.which(name))), "")


@contextmanager
def page_at(base: str) -> Iterator["Page"]:
    """A fresh window on the service. Any error of a script or a refused load of ours fails the test that uses it."""
    from playwright.sync_api import sync_playwright

    problems: list[str] = []
    # Playwright keeps an event loop in this thread; the tests use the database beside it, and never from within it.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        # As root Chromium refuses to start inside its own sandbox; it only sees our own pages.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 900}, base_url=base)
            page.set_default_timeout(20_000)
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
            yield page
        finally:
            browser.close()
    assert not problems, f"the browser complained: {problems}"


def picture(page: "Page", folder: Path, name: str) -> None:
    """Keeps what the page looks like, and fails where something is wider than the window."""
    page.wait_for_load_state()
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    wide = page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('.results')]"
        ".map(part => part.scrollWidth - part.clientWidth)"
    )
    assert max(wide) <= 0, f"{name} is {max(wide)} pixels wider than there is room"
