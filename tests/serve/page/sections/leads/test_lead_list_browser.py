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
        page.fill("#search", "bob")
        expect("target = 'opportunity' AND owner = 'Bob'")
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
            "fallen": "grade > previous_grade",
            "at_risk": "falling_since IS NOT NULL AND coalesce(trend, 0) <= 0",
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
        page.select_option("#sort", label="score change since the night before")
        expect("target = 'close'", 'trend IS NULL, trend, "rank"')
        page.fill("#search", "nobody at all")
        assert "close within 30 days: no lead of 120" in page.inner_text("#shown")
        assert page.locator("#elsewhere button").count() == 0
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
        "change": "trend",
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
    file, query = night
    with open_file(browser, file, PHONE) as opened:
        page = opened.page
        assert page.locator("#leads thead").is_hidden()
        assert page.locator("#sort").is_visible()
        page.select_option("#sort", "lead")
        assert page.evaluate(IDS) == sorted(page.evaluate(IDS))
        wide = "[...document.querySelectorAll('#lead_list *')].filter(IS_WIDE)"
        wide = wide.replace("IS_WIDE", "e => e.getBoundingClientRect().right > innerWidth")
        assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 80))") == []
        # A mark in small print does not leave its card either.
        cut = "[...document.querySelectorAll('#leads tbody td')].filter(IS_CUT).length"
        assert page.evaluate(cut.replace("IS_CUT", "e => e.scrollWidth > e.clientWidth")) == 0
        first = page.evaluate(IDS)
        assert len(first) == 10
        page.click("#next-page")
        assert page.evaluate(IDS) == query("target = 'close'", "entity_id")[10:20]
        assert page.evaluate("document.activeElement.matches('#lead_list .scroll')")
        page.wait_for_function(
            "() => Math.abs(document.getElementById('shown').getBoundingClientRect().top) < 60"
        )
        # Few rows, since each card takes the check a tenth of a second.
        page.fill("#search", "L01")
        assert 0 < len(page.evaluate(IDS)) < 15
        assert opened.find_violations() == []
        assert opened.complaints == []


def test_target_is_named_by_its_meaning_and_a_search_looks_under_the_others(tmp_path, browser):
    project = make_project(tmp_path)
    store = Store(tmp_path / "scores.db")
    run = a_run(targets=("close", "opportunity"))
    ids = ["a", "b", "c"]
    reasons = [json.dumps([a_reason(0.9, "seen at the fair")])] * 3
    values = {
        "expected_value": [None] * 3 + [46_343.0, 999_900.0, 7.0],
        "review_at": [FIRST_NIGHT] * 6,
    }
    publish(store, run, some_scores(run, ids, reasons=["[]"] * 3 + reasons, **values))
    file = tmp_path / "index.html"
    file.write_bytes(build_page(gather_page_data(project, store, run)))
    with open_file(browser, file) as opened:
        page = opened.page
        labels = page.locator("#filter-target option").all_inner_texts()
        assert labels == [
            "close within 30 days",
            "opportunity within 30 days",
        ]
        # A column without a value, or with the same one everywhere, has no place.
        heading = "#leads thead th:not([hidden])[data-column={}]".format
        assert (
            page.locator(heading("value")).count() == page.locator(heading("review")).count() == 0
        )
        page.fill("#search", "the fair")
        assert page.evaluate(IDS) == []
        button = page.locator("#elsewhere button")
        assert button.inner_text().endswith(f"{labels[1]}: 3")
        button.click()
        assert len(page.evaluate(IDS)) == 3
        amounts = page.locator("#leads tbody td[data-column=value]").all_inner_texts()
        assert amounts == ["46.3\u00a0k", "1.00\u00a0M", "7"]
        assert page.inner_text("#shown").startswith(labels[1])
        assert page.evaluate("document.activeElement.id") == "filter-target"
        assert page.locator("#elsewhere button").count() == 0
        assert opened.complaints == []


def test_marks_say_why_a_lead_is_called_and_that_its_grade_is_kept(night, browser):
    file, query = night
    with open_file(browser, file) as opened:
        page = opened.page
        for show, column, mark, condition in (
            ("explore", "lead", "this week, drawn at random", "listed = 'explore'"),
            (
                "at_risk",
                "grade",
                "about to fall",
                "falling_since IS NOT NULL AND coalesce(trend, 0) <= 0",
            ),
            ("", "grade", "kept for now", "falling_since IS NOT NULL AND trend > 0"),
        ):
            page.select_option("#filter-show", show)
            marked = f"""[...document.querySelectorAll('#leads tbody tr')]
                .filter(row => row.querySelector('[data-column={column}]').textContent
                        .includes('{mark}'))
                .map(row => row.querySelector('.lead-link').textContent)"""
            shown = page.evaluate(IDS)
            expected = [
                lead for lead in query(f"target = 'close' AND {condition}") if lead in shown
            ]
            assert page.evaluate(marked) == expected != []


def test_list_fits_on_paper(night, browser):
    file, _ = night
    # A4 without the margins of a printer.
    with open_file(browser, file, 718) as opened:
        opened.page.emulate_media(media="print")
        table = "document.getElementById('leads').getBoundingClientRect()"
        assert opened.page.evaluate(f"{table}.right <= innerWidth")
        tables = "[...document.querySelectorAll('#night_changes table')]"
        right = "table => table.getBoundingClientRect().right"
        assert opened.page.evaluate(f"Math.max(...{tables}.map({right})) <= innerWidth")
        wide = opened.page.evaluate(
            "[...document.querySelectorAll('#leads td')]"
            ".filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"
        )
        assert wide == 0


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
