"""A browser opens, shows and closes the card of one lead."""

import json
import re
from urllib.parse import quote

import pyarrow as pa
import pytest

from serve.page.build import build_page
from serve.page.content import page_data
from serve.page.content.page_data import TIMELINE, LeadFacts
from serve.store.store import Store
from tests.browser import DESKTOP, PHONE, open_file
from tests.serve.page.pages import make_data, make_project
from tests.serve.page.test_render import HOSTILE
from tests.serve.samples import DAY, MONDAY, a_reason, a_run, publish, some_scores

HEADINGS = {"en": "Lead a", "ru": "Лид a"}
pytestmark = pytest.mark.server
OPEN = """([target, entity]) => document.dispatchEvent(
  new CustomEvent("open-lead", { detail: { target, entity } }))"""
OVERFLOW = """() => {
  const box = document.getElementById("one-lead");
  const right = box.getBoundingClientRect().right;
  return Math.max(box.scrollWidth - box.clientWidth, right - innerWidth);
}"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Return a function that writes a page of two nights, with events, and returns its file."""

    def write(ids=("a", "b"), texts=("visit",), language="en"):
        project = make_project(tmp_path)
        store, targets = Store(tmp_path / "scores.db"), tuple(project.targets)
        reasons = json.dumps([a_reason(0.5 - place, text) for place, text in enumerate(texts)])
        for night in range(2):
            run = a_run(f"r{night}", MONDAY + night * DAY, targets)
            rows = [reasons] * len(ids) * len(targets)
            publish(store, run, some_scores(run, ids, seed=night, reasons=rows))
        events = [(ids[0], MONDAY, text, text, 1.5) for text in texts]
        timeline = [dict(zip(TIMELINE.names, event, strict=True)) for event in events]
        facts = LeadFacts(
            pa.Table.from_pylist(timeline, schema=TIMELINE),
            {entity: len(texts) * (entity == ids[0]) for entity in ids},
            {entity: list(texts) for entity in ids},
        )
        data = make_data(
            project,
            store.scores(project.project, run.as_of),
            run,
            language,
            past=store.past_scores(project.project, ids, run.as_of, 60),
            facts=facts,
            runs=store.runs(project.project),
        )
        # Other sections need more of an evaluation than the base value.
        for module in ("serve.page.one_lead.cards", "serve.page.sections.leads.one_lead"):
            monkeypatch.setattr(f"{module}.get_base_value", lambda *_: -2.0)
        file = tmp_path / "index.html"
        file.write_bytes(build_page(data))
        return file

    return write


def wait_for(opened, entity):
    """Wait until the card of a lead is drawn; return the dialog."""
    opened.page.wait_for_function(
        "name => (document.querySelector('#one-lead[open]')?.dataset.drawn || '').endsWith(name)",
        arg="\n" + entity,
    )
    return opened.page.locator("#one-lead")


def find_focus(opened):
    return opened.page.evaluate("document.activeElement.id || document.activeElement.tagName")


@pytest.mark.parametrize(
    ("width", "scheme", "language"), [(PHONE, "dark", "ru"), (DESKTOP, "light", "en")]
)
def test_card_fits_and_has_no_barrier(page, browser, width, scheme, language):
    with open_file(browser, page(language=language), width, scheme) as opened:
        opened.page.evaluate(OPEN, ["close", "a"])
        dialog = wait_for(opened, "a")
        assert dialog.locator(".lead-chart svg").count() == 2
        assert opened.page.evaluate(OVERFLOW) <= 0
        assert opened.find_violations() == []
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.page.get_by_role("dialog", name=HEADINGS[language]).is_visible()


def test_keyboard_opens_and_closes_and_the_focus_returns(page, browser):
    with open_file(browser, page()) as opened:
        address = opened.page.url
        row = "#leads .lead-link[data-entity=a][data-target=close]"
        opened.page.focus(row)
        opened.page.keyboard.press("Enter")
        wait_for(opened, "a")
        opened.page.wait_for_function("document.activeElement.id === 'one-lead-title'")
        opened.page.wait_for_url(f"{address}#lead=close/a")
        opened.page.keyboard.press("Escape")
        opened.page.wait_for_selector("#one-lead:not([open])", state="attached")
        # The browser tells the page of the end in a task of its own.
        opened.page.wait_for_function(f"document.activeElement.matches('{row}')")
        opened.page.wait_for_url(address)
        opened.page.keyboard.press("Enter")
        wait_for(opened, "a")
        opened.page.click("#one-lead-close")
        opened.page.wait_for_function(f"document.activeElement.matches('{row}')")
        opened.page.click(row)
        wait_for(opened, "a")
        opened.page.mouse.click(2, 450)
        opened.page.wait_for_selector("#one-lead:not([open])", state="attached")
        assert opened.complaints == []


def test_address_opens_a_lead_and_says_where_there_are_no_details(page, browser):
    file = page()
    with open_file(browser, file) as opened:
        opened.page.goto("about:blank")
        opened.page.goto(f"{file.absolute().as_uri()}#lead=close/b")
        dialog = wait_for(opened, "b")
        assert "Place 2 of 2" in dialog.inner_text()
        opened.page.evaluate("location.hash = 'lead=close/it%27s%20new'")
        wait_for(opened, "it's new")
        assert "leadscore explain acme.yaml 'it'\\''s new'" in dialog.inner_text()
        assert not dialog.locator(".lead-card").is_visible()
        opened.page.go_back()
        wait_for(opened, "b")
        # An address that was cut names no lead.
        opened.page.evaluate("location.hash = 'lead=close/%'")
        opened.page.wait_for_selector("#one-lead:not([open])", state="attached")
        assert opened.complaints == []


def test_lead_without_details_is_shown_as_the_list_has_it(page, browser, monkeypatch):
    monkeypatch.setattr(page_data, "choose_detailed_leads", lambda scores: scores.slice(0, 1))
    with open_file(browser, page()) as opened:
        row = opened.page.locator("#leads tbody tr", has_text="b").last
        cells = {
            name: row.locator(f"[data-column={name}]").inner_text().split()
            for name in ("grade", "score", "probability", "reasons")
        }
        row.locator(".lead-link").click()
        dialog = wait_for(opened, "b")
        shown = dialog.locator(".lead-missing")
        assert shown.is_visible() and not dialog.locator(".lead-card").is_visible()
        words = shown.inner_text().split()
        for texts in cells.values():
            assert texts and set(texts) <= set(words)
        assert shown.inner_text().startswith("close within 30 days. ")
        assert "For the data team" in shown.locator(".note").inner_text()
        assert shown.locator(".note").inner_text().endswith("leadscore explain acme.yaml b")
        assert opened.find_violations() == []
        assert opened.complaints == []


def test_open_lead_is_printed_alone(page, browser):
    with open_file(browser, page()) as opened:
        sheets = [count_sheets(opened.page.pdf(format="A4"))]
        opened.page.evaluate(OPEN, ["close", "a"])
        dialog = wait_for(opened, "a")
        sheets.append(count_sheets(opened.page.pdf(format="A4")))
        opened.page.emulate_media(media="print")
        assert not opened.page.locator("main").is_visible()
        assert not dialog.locator("#one-lead-close").is_visible()
        # Nothing is cut off, however long the lead is.
        box = dialog.bounding_box()
        assert (box["x"], box["y"]) == (0, 0)
        assert opened.page.evaluate("document.documentElement.scrollHeight") >= box["height"] > 700
        opened.page.emulate_media(media="screen")
        opened.page.keyboard.press("Escape")
        opened.page.emulate_media(media="print")
        assert opened.page.locator("main").is_visible() and not dialog.is_visible()
        assert 0 < sheets[1] < sheets[0]


def count_sheets(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_hostile_texts_in_a_card_are_shown_and_never_run(page, browser):
    file = page(HOSTILE, HOSTILE)
    with open_file(browser, file) as opened:
        entity = HOSTILE[2]
        opened.page.evaluate(f"location.hash = 'lead=close/{quote(entity, safe='')}'")
        wait_for(opened, entity)
        opened.page.evaluate(f"location.hash = 'lead=close/{quote(HOSTILE[0], safe='')}'")
        dialog = wait_for(opened, HOSTILE[0])
        for text in ("<script>document.title='run'</script>", "=1+1", "{{ 7 * 7 }}"):
            assert text in dialog.locator(".lead-events").inner_text()
            assert text in dialog.locator(".lead-unknown").inner_text()
            assert text in dialog.locator(".lead-steps").inner_text()
        assert HOSTILE[0] in dialog.locator("h2").inner_text()
        assert opened.page.title() != "run"
        assert opened.complaints == []
        assert opened.requests == []
