"""The section on past forecasts shows each of them beside what came."""

import pytest

from models.forecast.schemas import AMOUNT
from serve.page.build import build_page
from serve.page.sections.trust.forecast_track import build_forecast_track
from tests.browser import chromium, open_file
from tests.pipelines import forecasts
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import a_run, some_scores

RUN = a_run(targets=("close",))


@pytest.fixture
def gather(tmp_path):
    """Return a function that collects the data of a page with a forecast."""

    def collect(result, language="en"):
        scores = some_scores(RUN, ["L0001"])
        return make_data(make_project(tmp_path), scores, RUN, language, forecast=result)

    return collect


@pytest.fixture
def show(gather):
    """Return a function that builds the section of a forecast."""
    return lambda result, language="en": build_forecast_track(gather(result, language))


def with_track(**changes):
    return forecasts.build_result(track=forecasts.build_track(**changes))


def test_forecasts_stand_beside_what_came(show):
    section = show(forecasts.build_result())
    assert section.group == "trust"
    assert section.sentence == (
        "Of the last 8 forecasts 31 days ahead, 6 were within 7% of the wins that came; the worst "
        "was 14% too low. Of these, 3 were too low and 4 too high, on average less than 1% too "
        "high (90% range −8% … +9%): within chance."
    )
    bars = section.values["bars"]
    assert [bar.cells["error"] for bar in bars] == [
        *("2% too high", "4% too low", "6% too high", "14% too low"),
        *("right", "5% too high", "3% too low", "9% too high"),
    ]
    # The longest bar is that of 109 expected wins.
    assert (bars[7].expected, bars[7].came) == (100.0, pytest.approx(100 / 1.09, abs=0.01))
    assert bars[3].cells == {
        "made": "2025-04-12",
        "until": "2025-05-13",
        "expected": "86",
        "came": "100",
        "error": "14% too low",
    }
    assert bars[7].cells["until"] == "2025-07-14"


def test_unit_is_that_of_the_goal(show):
    rows = [forecasts.build_row(**forecasts.NO_GOAL), forecasts.build_row("amount", scale=1000.0)]
    section = show(forecasts.build_result(rows))
    assert "6 were within 13% of the amount that came" in section.sentence
    assert section.values["bars"][0].cells["came"] == "100\u00a0k"
    # Past amounts may be unknown where wins are known.
    section = show(forecasts.build_result(rows, track=forecasts.build_track()))
    assert "of the wins that came" in section.sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"errors": (0.02, 0.03)},
            "The last 2 forecasts 31 days ahead were all within 3% of the wins that came.",
        ),
        ({"errors": (0.2,)}, "The only past forecast of the wins 31 days ahead was 20% too high."),
        (
            {"errors": (-0.002,)},
            "The only past forecast of the wins 31 days ahead was less than 1% too low.",
        ),
    ],
)
def test_few_forecasts_have_sentences_of_their_own(show, changes, sentence):
    assert show(with_track(**changes)).sentence == sentence


def test_limits_are_written(show):
    notes = show(forecasts.build_result()).notes
    assert "They overlap: each shares about 16 days with the next, so they are not 8" in notes[1]
    assert len(notes) == 2
    apart = show(with_track(step_days=31, sample_share=0.124)).notes
    assert len(apart) == 2
    assert "a sample of 12% of the leads" in apart[1]


def test_window_without_a_win_has_no_error(show):
    rows = [*forecasts.build_track((0.1, 0.2)), *forecasts.build_track((0.1,), came=0.0)]
    bars = show(forecasts.build_result(track=rows)).values["bars"]
    assert bars[2].cells["error"] == "–"
    assert bars[2].came == 0.0


def test_nothing_to_compare_has_no_section(show):
    assert show(None) is None
    assert show(forecasts.build_result(track=[])) is None
    assert show(with_track(came=0.0)) is None
    # An older night has no such rows.
    assert show(forecasts.build_result([])) is None


@pytest.mark.parametrize("language", ["en", "ru"])
def test_page_links_to_the_record_where_there_is_one(gather, language):
    # Amounts alone are not of the unit with a goal.
    amounts = forecasts.build_track(unit=AMOUNT, came=100e3, sample_share=0.5)
    for result, has_record in (
        (forecasts.build_result(track=amounts), False),
        (forecasts.build_result(), True),
    ):
        page = build_page(gather(result, language)).decode()
        assert ('href="#forecast_track"' in page) == has_record
        assert ('id="forecast_track"' in page) == has_record
    section = build_forecast_track(gather(forecasts.build_result(), language))
    assert section.sentence in page


@pytest.mark.slow
def test_record_fits_a_phone(gather, tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(build_page(gather(forecasts.build_result())))
    with chromium() as browser, open_file(browser, path, width=360) as opened:
        bars = opened.page.locator("#forecast_track .bar svg").all()
        assert len(bars) == 8
        assert all(200 < bar.bounding_box()["width"] < 360 for bar in bars)
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 360
        assert opened.complaints == []
