"""The list of leads in a browser: search, filters, order, pages, opening, and a phone."""

import json
from urllib.parse import unquote

import pytest

from pipelines.page.gather import gather_page_data
from serve.page.build import build_page
from serve.store.store import Store
from tests.browser import PHONE, open_file
from tests.serve.page.nights import FIRST_NIGHT, publish_nights
from tests.serve.page.pages import make_project
from tests.serve.samples import DAY, a_reason, a_run, ask, publish, some_scores

IDS = "[...document.querySelectorAll('#leads tbody .lead-link')].map(link => link.textContent)"
LISTEN = "addEventListener('open-lead', event => { window.opened = event.detail; })"
HOSTILE = [
    "<img src=x onerror=\"document.title='run'\">",
    "</script><script>document.title='run'</script>",
    '"><b>{reason}{{ 7 * 7 }}',
    "a/b?c#d&e=%2F",
    "=cmd|'/c calc'!A0",
    "\u202eabc\u2028\\",
    "constructor",
]
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Return the file of a page of 2 × 120 leads, and a function that asks its database."""
    folder = tmp_path_factory.mktemp("list")
    project = make_project(folder, capacity={"per_week": 5})
    store = Store(folder / "scores.db")
    run = publish_nights(store, project, nights=2, leads=120)
    file = folder / "index.html"
    file.write_bytes(build_page(gather_page_data(project, store, run)))

    def query(condition, order='"rank"'):
        rows = ask(
            f"sqlite:///{folder / 'scores.db'}",
            f"""SELECT entity_id FROM scores WHERE run_id = 'r1' AND {condition}
                ORDER BY {order}""",
        )
        return [entity for (entity,) in rows]

    return file, query


def test_search_filters_order_and_pages_show_the_rows_of_the_table(night, browser):
    file, query = night
    with open_file(browser, file) as opened:
        page = opened.page

        def expect(condition, order='"rank"', first=0):
            rows = query(condition, order)
            assert page.evaluate(IDS) == rows[first : first + 50]
            assert f"{len(rows)} of 120" in page.inner_text("#shown") or not rows

        expect("target = 'close'")
        page.select_option("#filter-target", "opportunity")
        expect("target = 'opportunity'")
        # Some of these sentences speak for one lead and against another.
        page.fill("#search", "INDUSTRY is software (1)")
        expect("target = 'opportunity' AND instr(reasons, 'industry is software (1)')")
        page.fill("#search", "acc1")
        expect("target = 'opportunity' AND instr(account_id, 'acc1')")
        page.click("#lead-filters button[type=reset]")
        page.wait_for_selector("#leads tbody tr:nth-child(50)")
        page.select_option("#filter-owner", "=Bob")
        page.select_option("#filter-grade", "B")
        page.select_option("#filter-evidence", "enough")
        bobs = "target = 'close' AND owner = 'Bob' AND grade = 'B' AND evidence = 'enough'"
        expect(bobs)
        page.click("#lead-filters button[type=reset]")
        page.wait_for_selector("#leads tbody tr:nth-child(50)")
        for show, condition in {
            "explore": "listed = 'explore'",
            "listed": "listed IS NOT NULL",
            "fallen": "(grade > previous_grade OR falling_since IS NOT NULL)",
            "new_best": "grade = 'A' AND coalesce(previous_grade, '') <> 'A'",
        }.items():
            page.select_option("#filter-show", show)
            expect(f"target = 'close' AND {condition}")
        page.select_option("#filter-show", "")
        page.click("th[data-column=trend] button")
        expect("target = 'close'", 'trend_7d IS NULL, trend_7d DESC, "rank"')
        page.click("th[data-column=trend] button")
        assert page.get_attribute("th[data-column=trend]", "aria-sort") == "ascending"
        expect("target = 'close'", 'trend_7d IS NULL, trend_7d, "rank"')
        page.click("#next-page")
        expect("target = 'close'", 'trend_7d IS NULL, trend_7d, "rank"', 50)
        page.fill("#search", "nobody at all")
        assert "No lead of 120" in page.inner_text("#shown")
        assert opened.complaints == []


def test_order_of_each_heading_follows_its_column(night, browser):
    file, query = night
    columns = {
        "lead": "entity_id",
        "account": "cast(substr(account_id, 4) AS int)",
        "owner": "owner",
        "grade": "grade",
        "score": "score DESC",
        "value": "expected_value DESC",
        "days": "outcome_days_50",
        "change": "trend DESC",
        "review": "review_at",
    }
    with open_file(browser, file) as opened:
        page = opened.page
        for column, order in columns.items():
            page.click(f"th[data-column={column}] button")
            name = order.removesuffix(" DESC")
            order = f'{name} IS NULL, {order}, "rank"'
            assert page.evaluate(IDS) == query("target = 'close'", order)[:50], column
        page.click("th[data-column=probability] button")
        page.click("th[data-column=probability] button")
        assert page.evaluate(IDS) == query("target = 'close'", '"rank" DESC')[:50]


def test_link_keeps_filters_and_keyboard_opens_a_lead(night, browser):
    file, query = night
    with open_file(browser, file) as opened:
        page = opened.page
        page.evaluate(LISTEN)
        page.focus("#search")
        page.keyboard.type("visits")
        page.select_option("#filter-target", "opportunity")
        page.click("th[data-column=lead] button")
        assert page.url.endswith("#list?q=visits&target=opportunity&sort=lead")
        page.reload()
        page.wait_for_selector("html[data-ready]")
        expected = query("target = 'opportunity' AND instr(reasons, 'visits')", "entity_id")
        assert page.evaluate(IDS) == expected[:50]
        assert page.input_value("#search") == "visits"
        page.evaluate(LISTEN)
        page.focus("#leads tbody tr:nth-child(2) .lead-link")
        page.keyboard.press("Enter")
        assert page.evaluate("opened") == {"target": "opportunity", "entity": expected[1]}
        assert page.url.endswith(f"#lead=opportunity/{expected[1]}")


def test_row_opens_its_lead_and_so_does_a_table_above(night, browser):
    file, _ = night
    with open_file(browser, file) as opened:
        page = opened.page
        page.evaluate(LISTEN)
        page.evaluate("document.querySelector('#leads tbody tr:nth-child(3) td').click()")
        assert page.evaluate("opened.entity") == page.evaluate(IDS)[2]
        link = "document.querySelector('#night_changes .lead-link')"
        page.evaluate(f"{link}.click()")
        assert page.evaluate("opened.entity") == page.evaluate(f"{link}.textContent")


def test_phone_shows_cards_that_fit(night, browser):
    file, _ = night
    with open_file(browser, file, PHONE) as opened:
        page = opened.page
        assert page.locator("#leads thead").is_hidden()
        assert page.locator("#sort").is_visible()
        page.select_option("#sort", "lead")
        assert page.evaluate(IDS) == sorted(page.evaluate(IDS))
        wide = "[...document.querySelectorAll('#lead_list *')].filter(IS_WIDE)"
        wide = wide.replace("IS_WIDE", "e => e.getBoundingClientRect().right > innerWidth")
        assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []
        # Few rows, since each card takes the check a tenth of a second.
        page.fill("#search", "L01")
        assert 0 < len(page.evaluate(IDS)) < 15
        assert opened.find_violations() == []
        assert opened.complaints == []


def test_hostile_texts_are_shown_filtered_and_opened_as_they_are(tmp_path, browser):
    project = make_project(tmp_path, capacity={"per_week": 5})
    store = Store(tmp_path / "scores.db")
    for night in range(2):
        run = a_run(f"r{night}", FIRST_NIGHT + night * DAY, targets=("close",))
        reasons = [json.dumps([a_reason(0.9 - night / 2, text)]) for text in HOSTILE]
        columns = {"owner": HOSTILE, "account_id": HOSTILE, "reasons": reasons}
        changed = {"trend": [-9] * len(HOSTILE), "previous_grade": ["B"] * len(HOSTILE)}
        publish(store, run, some_scores(run, HOSTILE, **columns, **changed))
    file = tmp_path / "index.html"
    file.write_bytes(build_page(gather_page_data(project, store, run)))
    with open_file(browser, file) as opened:
        page = opened.page
        page.evaluate(LISTEN)
        assert page.evaluate(IDS) == HOSTILE
        for text in HOSTILE:
            page.select_option("#filter-owner", "=" + text)
            assert page.evaluate(IDS) == [text]
            page.evaluate("document.querySelector('#leads tbody .lead-link').click()")
            assert page.evaluate("opened.entity") == text
            target, _, entity = page.url.partition("#lead=")[2].partition("/")
            assert (target, unquote(entity)) == ("close", text)
            change = page.evaluate(
                "document.querySelector('#leads td[data-column=change]').textContent"
            )
            assert change == f"weaker: {text}"
            page.select_option("#filter-owner", "")
            page.fill("#search", text.upper())
            assert text in page.evaluate(IDS)
            page.fill("#search", "")
        page.select_option("#filter-owner", "=" + HOSTILE[3])
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.evaluate(IDS) == [HOSTILE[3]]
        page.evaluate("location.hash = '#list?grade=constructor&sort=__proto__&page=-9&item=1'")
        page.wait_for_selector("#leads tbody tr:nth-child(7)")
        assert page.evaluate(IDS) == HOSTILE
        assert page.title() != "run"
        assert opened.complaints == []
