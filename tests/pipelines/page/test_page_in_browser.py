"""The page of a trained company in a browser, from the first look to the printed paper."""

import re
import shutil

import pytest

from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from tests.browser import DESKTOP, PHONE, open_file

NIGHTS = ("2024-12-29", "2024-12-30")
# Below this a PDF of the page would hold no chart and no list.
LEAST_PDF_BYTES = 50_000


@pytest.fixture(scope="module")
def page_file(guarded_company, tmp_path_factory):
    """Return the page that two nights of a company have left beside its export."""
    folder = tmp_path_factory.mktemp("looked-at") / "company"
    shutil.copytree(guarded_company, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        for night in NIGHTS:
            score_night(load_project("company.yaml"), night, Runner())
    return folder / "workspace" / "exports" / "current" / "index.html"


def has_no_fault(opened):
    """Return whether the page did nothing wrong so far and has no barrier that axe knows."""
    assert opened.complaints == []
    assert opened.requests == []
    assert opened.find_violations() == []
    return True


def count_shown(opened):
    """Return the number of leads that the status line says match."""
    found = re.search(r"([\d,]+) of [\d,]+ leads match", opened.page.inner_text("#shown"))
    return int(found[1].replace(",", ""))


@pytest.mark.server
def test_reader_searches_filters_and_opens_a_lead(page_file, browser):
    with open_file(browser, page_file) as opened:
        page = opened.page
        everything = count_shown(opened)
        page.select_option("#filter-grade", "A")
        best = count_shown(opened)
        assert 0 < best < everything
        name = page.locator("#leads tbody tr").first.locator("button").first.inner_text()
        page.fill("#search", name)
        assert 0 < count_shown(opened) <= best
        assert name in page.inner_text("#leads tbody")
        page.locator("#leads tbody tr").first.locator("button").first.press("Enter")
        page.wait_for_selector("#one-lead[open]")
        assert name in page.inner_text("#one-lead-title")
        for chart in ("steps", "history"):
            page.wait_for_selector(f"#one-lead [data-lead-chart={chart}] svg", state="attached")
        assert has_no_fault(opened)
        page.keyboard.press("Escape")
        page.wait_for_selector("#one-lead:not([open])", state="attached")
        # The reader goes on where the dialog was opened.
        page.wait_for_function("name => document.activeElement.textContent === name", arg=name)


@pytest.mark.server
def test_theme_is_switched_and_charts_follow(page_file, browser):
    with open_file(browser, page_file, PHONE) as opened:
        ground = "getComputedStyle(document.body).backgroundColor"
        label = "getComputedStyle(document.querySelector('[data-chart] svg text')).fill"
        light = [opened.page.evaluate(part) for part in (ground, label)]
        opened.page.click("#theme")
        dark = [opened.page.evaluate(part) for part in (ground, label)]
        assert all(one != other for one, other in zip(light, dark, strict=True))
        assert has_no_fault(opened)
        width = opened.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE


@pytest.mark.server
def test_paper_is_light_and_has_all_sections(page_file, browser):
    with open_file(browser, page_file, DESKTOP, "dark") as opened:
        assert len(opened.page.pdf()) > LEAST_PDF_BYTES
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        sections = opened.page.locator("main section")
        assert sections.count() > 5
        assert all(sections.nth(i).is_visible() for i in range(sections.count()))
        assert not opened.page.locator("nav.contents").is_visible()
        assert not opened.page.locator("#lead-filters").is_visible()
        assert opened.complaints == []
