"""A page whose parts, browser or ids are odd: the rest works, and it says what is missing."""

import re

import pytest

from serve.page.build import build_page
from serve.store.store import Store
from tests.browser import open_file
from tests.serve.page.funnels import make_tables
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, publish, some_scores

LINKS = "document.querySelectorAll('#leads tbody .lead-link').length"
IS_BROKEN = "!document.getElementById('broken').hidden"
# The block of the first chart.
CHART = 'chart-[^"]*'
pytestmark = pytest.mark.server


@pytest.fixture
def file(tmp_path):
    """Return the file of a page of three leads."""
    project, store = make_project(tmp_path), Store(tmp_path / "scores.db")
    run = a_run(targets=tuple(project.targets))
    publish(store, run, some_scores(run))
    data = make_data(project, store.scores("acme", run.as_of), run, funnel=make_tables())
    file = tmp_path / "index.html"
    file.write_bytes(build_page(data))
    return file


def damage_block(file, name):
    """Replace the contents of a block by some that cannot be unpacked."""
    page, count = re.subn(
        rf'(id="block-{name}">)[^<]*', r"\1AAAA", file.read_text("utf-8"), count=1
    )
    assert count == 1
    file.write_text(page, "utf-8")


@pytest.mark.parametrize(("block", "links"), [("leads", 0), ("lead-cards", 3), (CHART, 3)])
def test_damaged_part_takes_no_other_with_it(file, browser, block, links):
    with open_file(browser, file) as opened:
        charts = opened.page.locator("[data-chart] svg").count()
        assert not opened.page.evaluate(IS_BROKEN)
    damage_block(file, block)
    with open_file(browser, file) as opened:
        page = opened.page
        assert page.evaluate(IS_BROKEN) and page.evaluate(LINKS) == links
        assert page.locator("[data-chart] svg").count() == charts - (block == CHART)
        if block != "lead-cards":
            page.evaluate("location.hash = 'lead=close/b'")
            page.wait_for_selector("#one-lead[open]", timeout=3_000)


def test_old_browser_is_told_so_and_a_limited_one_works(file, browser):
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(file.as_uri())
    page.wait_for_selector("#broken:not([hidden])", timeout=3_000)
    page.close()
    # Safari: limits how often an address is written, and its version 16 has neither of these.
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(
        """history.replaceState = () => { throw new DOMException("too often", "SecurityError"); };
        delete Array.prototype.toSorted; delete URLSearchParams.prototype.size;"""
    )
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.fill("#search", "b")
    assert page.evaluate(LINKS) == 1
    page.click("#leads .lead-link")
    page.click("#one-lead-close")
    page.wait_for_function("document.activeElement.className === 'lead-link'")
    assert not errors and not page.evaluate(IS_BROKEN)
    page.close()


def test_id_with_a_carriage_return_opens_from_a_table(tmp_path, browser):
    project, store = make_project(tmp_path), Store(tmp_path / "scores.db")
    run = a_run(targets=tuple(project.targets))
    scores = some_scores(run, ["a\rb", "a\r\n<&"], previous_grade=["B"] * 4)
    publish(store, run, scores)
    file = tmp_path / "index.html"
    file.write_bytes(build_page(make_data(project, store.scores("acme", run.as_of), run)))
    with open_file(browser, file) as opened:
        links = (
            "[...document.querySelectorAll('#summary .lead-link')].map(one => one.dataset.entity)"
        )
        assert set(opened.page.evaluate(links)) == {"a\rb", "a\r\n<&"}
