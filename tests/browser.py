"""Headless Chromium for tests of pages, and what a page did wrong in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = 360, 1440


@dataclass
class OpenPage:
    """A page that a browser has opened from a file.

    Attributes:
        page: The page, as Playwright drives it.
        complaints: Errors and warnings of its console, and scripts that failed.
        requests: Addresses other than the file that it asked for.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def find_violations(self) -> list[str]:
        """Return the violations of WCAG 2 A and AA that axe sees now, with an example each."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium while the block runs; skip the test where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        # A sandbox of its own is not to be had in most containers; the page is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_file(
    browser: Browser, path: Path, width: int = DESKTOP, scheme: str = "light"
) -> Iterator[OpenPage]:
    """Open an HTML file without a network, and wait until the page says that it is ready."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    opened = OpenPage(context.new_page())
    opened.page.on("console", lambda line: _note_line(opened, line))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("request", lambda request: _note_request(opened, request.url, path))
    opened.page.goto(path.absolute().as_uri())
    opened.page.wait_for_selector("html[data-ready]", timeout=20_000)
    yield opened
    context.close()


def _note_line(opened: OpenPage, line) -> None:
    if line.type in ("error", "warning"):
        opened.complaints.append(line.text)


def _note_request(opened: OpenPage, url: str, path: Path) -> None:
    if url != path.absolute().as_uri() and not url.startswith(("data:", "blob:")):
        opened.requests.append(url)
