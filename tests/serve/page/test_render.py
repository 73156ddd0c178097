"""A page is one file that a browser shows without a network, an error or a barrier."""

import itertools
import json
import re
from string import Formatter

import pytest

from serve.page.build import build_page
from serve.page.content.words import WORDS_FOLDER, PageWords
from serve.store.store import Store
from tests.browser import DESKTOP, PHONE, open_file
from tests.serve.page.funnels import make_tables
from tests.serve.page.pages import make_data, make_project, publish_and_read
from tests.serve.samples import a_reason, a_run, some_scores

HOSTILE = [
    "<script>document.title='run'</script>",
    "</script><script>document.title='run'</script>",
    "<img src=x onerror=\"document.title='run'\">",
    "‮abc",
    "=1+1",
    "{{ 7 * 7 }}",
    "a\u2028b\\",
]


@pytest.fixture
def page(tmp_path):
    """Return a function that writes the page of some ids and reasons, and returns its file."""

    def write(ids=("a", "b", "c"), sentences=("opened a mail",), language="en"):
        project = make_project(tmp_path)
        run = a_run(targets=tuple(project.targets))
        reasons = json.dumps([a_reason(0.5, sentence) for sentence in sentences])
        n = len(ids) * len(run.models)
        scores = some_scores(run, ids, reasons=[reasons] * n)
        store = Store(tmp_path / "scores.db")
        given = {"language": language, "funnel": make_tables()}
        data = publish_and_read(store, project, run, scores, **given)
        file = tmp_path / "index.html"
        file.write_bytes(build_page(data))
        return file

    return write


@pytest.mark.server
@pytest.mark.parametrize(
    ("width", "scheme", "language"),
    [(PHONE, "light", "en"), (DESKTOP, "dark", "ru")],
)
def test_browser_shows_page_without_complaint(page, browser, width, scheme, language):
    with open_file(browser, page(language=language), width, scheme) as opened:
        assert opened.page.locator("[data-chart]").count() > 0
        assert opened.page.locator("[data-chart]:not(:has(svg))").count() == 0
        assert opened.complaints == []
        assert opened.requests == []
        assert opened.find_violations() == []


@pytest.mark.server
def test_hostile_texts_are_shown_and_never_run(page, browser):
    with open_file(browser, page(HOSTILE, HOSTILE)) as opened:
        opened.page.fill("#search", "img src")
        assert HOSTILE[2] in opened.page.inner_text("#leads")
        assert opened.page.title() != "run"
        assert opened.complaints == []
        assert opened.requests == []


@pytest.mark.server
def test_policy_stops_a_script_that_was_not_escaped(page, browser):
    file = page()
    text = file.read_text("utf-8").replace(
        "</main>", "<script>document.title='run'</script></main>"
    )
    file.write_text(text, "utf-8")
    with open_file(browser, file) as opened:
        assert opened.page.title() != "run"
        assert any("Content Security Policy" in line for line in opened.complaints)


def test_same_contents_give_same_bytes(tmp_path):
    project = make_project(tmp_path)
    scores = some_scores(a_run(targets=tuple(project.targets)))
    assert build_page(make_data(project, scores)) == build_page(make_data(project, scores))


def test_languages_have_the_same_texts_and_values():
    folders = sorted(path for path in WORDS_FOLDER.iterdir() if path.is_dir())
    loaded = [PageWords.load(folder.name, None).texts for folder in folders]
    assert len(loaded) >= 2
    for one, other in itertools.pairwise(loaded):
        assert list_values(one) == list_values(other)


def list_values(texts):
    """Return the names of the values of each text, by section and key."""
    return {
        (section, key): sorted({name for _, name, *_ in Formatter().parse(text) if name})
        for section, entries in texts.items()
        for key, text in entries.items()
    }


@pytest.mark.parametrize("code", sorted(path.name for path in WORDS_FOLDER.iterdir()))
def test_shares_in_texts_are_written_as_numbers_are(code):
    words = PageWords.load(code, None)
    has_space = words.percent(0.5, 0) != "50%"
    texts = [text for section in words.texts.values() for text in section.values()]
    wrong = re.compile(r"\d%" if has_space else r"\d\s%")
    assert [text for text in texts if wrong.search(text)] == []
    assert any(re.search(r"\d\s?%", text) for text in texts)
