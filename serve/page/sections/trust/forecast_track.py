"""Whether past forecasts came true: each beside what came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.forecast.track import TrackSummary
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section
from serve.page.content.words import PageWords
from serve.page.sections.forecast.texts import (
    describe_bias,
    describe_past,
    write_chance,
    write_error,
    write_plain,
)
from serve.page.sections.funnel.texts import UNKNOWN, Row

NAME = "forecast_track"


@dataclass(frozen=True)
class TrackBar:
    """A past forecast beside what came; places are in per cent of the longest bar."""

    expected: float
    came: float
    cells: Mapping[str, str]


def build_forecast_track(data: PageData) -> Section | None:
    """Return the section, in the unit of the goal; None if no past forecast can be compared."""
    result, words = data.forecast, data.words
    if result is None or not result.forecast.num_rows:
        return None
    summary = result.summarize_track()
    if summary is None:
        return None
    rows = [row for row in result.track.to_pylist() if row["unit"] == summary.unit]
    longest = max(max(row["expected"], row["came"]) for row in rows)
    return Section(
        NAME,
        "trust",
        words.text(NAME, "title"),
        " ".join([describe_past(words, result), *describe_bias(words, result)]),
        notes=[*_explain_track(words, summary)],
        template="forecast_track.html.j2",
        values={"bars": [_lay_out_forecast(words, row, 100 / longest) for row in rows]},
    )


def _lay_out_forecast(words: PageWords, row: Row, scale: float) -> TrackBar:
    error = row["error_share"]
    cells = {
        "made": words.day(row["forecast_as_of"]),
        "until": words.day(row["forecast_end"]),
        **{key: write_plain(words, row[key], row["unit"]) for key in ("expected", "came")},
        "error": UNKNOWN if error is None else write_error(words, error),
    }
    return TrackBar(round(row["expected"] * scale, 2), round(row["came"] * scale, 2), cells)


def _explain_track(words: PageWords, summary: TrackSummary) -> Iterator[str]:
    yield words.text(NAME, "again")
    if summary.shared_days >= 0.5:
        number, days = words.number(summary.forecasts), words.number(summary.shared_days)
        yield words.text(NAME, "overlap", n=number, days=days)
    if summary.sample_share < 1:
        yield words.text(NAME, "sample", share=write_chance(words, summary.sample_share))
