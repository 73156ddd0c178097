"""The forecast of a company from its files, as known at an as-of."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from configs.goals.goals import Goals
from configs.schema import load_project
from models.forecast import tables
from models.forecast.schemas import AMOUNT, LEVELS, WINS
from pipelines.forecast import forecast as module
from pipelines.forecast.forecast import compute_forecast
from tests.pipelines.funnel import company

AS_OF = "2024-09-14"
MONTH = "2024-09-01T00:00:00+00:00"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return tmp_path


@pytest.fixture
def people_and_log(folder):
    goals = {"goal": 30, "by": "country", "segments": {"DE": 12}}
    return company.write(folder, goals=goals)


def forecast(**options):
    return compute_forecast(load_project("steps.yaml"), AS_OF, **options)


def test_past_as_of_forecasts_as_it_did_then(folder, people_and_log):
    """All rows that were known later are changed, deleted or added; every byte stays the same."""
    before = json.dumps(forecast().to_json())
    company.garble(folder, *people_and_log, AS_OF)
    assert json.dumps(forecast().to_json()) == before


def test_won_so_far_equals_a_plain_loop(people_and_log):
    _, log = people_and_log
    rows = forecast().forecast.to_pylist()
    limit = f"{AS_OF}T00:00:00+00:00"
    standing = {}
    for lead, at, known, kind, _ in sorted(log, key=lambda row: row[1]):
        if max(at, known) < limit and kind in ("won", "undone"):
            standing[lead] = at if kind == "won" else None
    wins = [at for at in standing.values() if at is not None and at >= MONTH]
    (own,) = [row for row in rows if (row["segment"], row["unit"]) == ("all", WINS)][:1]
    assert own["won"] == len(wins) > 0
    assert own["period_start"] == datetime(2024, 9, 1, tzinfo=UTC)
    assert own["period_end"] == datetime(2024, 10, 1, tzinfo=UTC)
    # Nothing is won of a period that has not begun.
    assert all(row["won"] == 0 for row in rows if row["period_start"] > own["period_start"])


@pytest.mark.usefixtures("people_and_log")
def test_segments_add_up_and_have_their_goals():
    rows = forecast().forecast.to_pylist()
    means = ("won", "from_open_mean", "from_new_mean", "total_mean")
    for key in {(row["period"], row["period_start"], row["unit"]) for row in rows}:
        every, *parts = (
            row for row in rows if (row["period"], row["period_start"], row["unit"]) == key
        )
        assert every["segment"] == "all"
        for name in means:
            assert every[name] == pytest.approx(sum(row[name] for row in parts))
        assert every["total_mean"] == pytest.approx(sum(every[name] for name in means[:3]))
    goals = {(row["segment"], row["unit"]): row["goal"] for row in rows if row["period"] == "month"}
    assert (goals["all", WINS], goals["DE", WINS], goals["FR", WINS]) == (30, 12, None)
    assert goals["all", AMOUNT] is None


@pytest.mark.usefixtures("people_and_log")
def test_quarter_is_the_sum_of_its_months():
    """As of the last month of a quarter two months are over."""
    rows = [row for row in forecast().forecast.to_pylist() if row["segment"] == "all"]
    for unit in (WINS, AMOUNT):
        own = [row for row in rows if row["unit"] == unit]
        september, october, quarter = own
        assert [row["period"] for row in own] == ["month", "month", "quarter"]
        assert quarter["period_start"] < september["period_start"] < october["period_start"]
        assert quarter["period_end"] == september["period_end"]
        assert quarter["won"] > september["won"] > 0
        for part in ("from_open_mean", "from_new_mean"):
            assert quarter[part] == pytest.approx(september[part])
        assert quarter["expected_new_deals"] == september["expected_new_deals"] > 0
    assert own[0]["goal"] is None
    assert rows[0]["goal"] * 3 == rows[-2]["goal"] == 90


@pytest.mark.usefixtures("people_and_log")
def test_rows_are_consistent():
    for row in forecast(period="quarter").forecast.to_pylist():
        for part in ("from_open", "from_new", "total"):
            assert row[f"{part}_p10"] <= row[f"{part}_p50"] <= row[f"{part}_p90"]
        if row["goal"] is not None:
            assert row["gap"] == pytest.approx(row["goal"] - row["total_mean"])
            assert (row["needed_new_deals"] == 0) == (row["gap"] <= 0) == (row["needed_wins"] == 0)
            assert (row["p_goal"] >= 0.5) == (row["total_p50"] >= row["goal"])
            assert (row["safe_gap"] == 0) == (row["p_goal"] >= 0.8) == (row["safe_wins"] == 0)


@pytest.mark.usefixtures("people_and_log")
def test_safe_gap_is_what_the_lower_quantile_lacks(monkeypatch):
    """A goal that is out of reach lacks what the total has in four of five draws."""
    monkeypatch.setattr(tables, "LEVELS", LEVELS | {"p10": 0.2})
    monkeypatch.setattr(Goals, "find_goal", lambda *_, **__: 10_000.0)
    rows = list_win_rows()
    # Where new deals share no factor, so many of them are won with nearly their chance.
    drawn = module.draw_forecast
    monkeypatch.setattr(module, "draw_forecast", lambda *parts: share_nothing(drawn(*parts)))
    plain = list_win_rows()
    assert len(rows) == len(plain) > 3
    for row in rows:
        assert row["safe_gap"] == pytest.approx(10_000 - row["total_p10"], abs=1.01)
        assert row["safe_wins"] == np.ceil(row["safe_gap"] - 1e-6)
    for row, alone in zip(rows, plain, strict=True):
        if row["needed_new_deals"] is not None:
            assert alone["safe_new_deals"] == pytest.approx(row["needed_new_deals"], rel=0.05)
            assert row["safe_new_deals"] > alone["safe_new_deals"] > row["safe_wins"]
    assert any(row["safe_new_deals"] is not None for row in rows)


def list_win_rows():
    return [row for row in forecast().forecast.to_pylist() if row["unit"] == WINS]


def share_nothing(draws):
    return replace(draws, new_factors=np.ones_like(draws.new_factors))


@pytest.mark.usefixtures("people_and_log")
def test_deals_are_the_open_leads_and_add_up():
    result = forecast()
    deals = result.deals
    chance = deals["probability"].to_pylist()
    assert all(0 <= value <= 1 for value in chance)
    contribution = deals["contribution"].to_pylist()
    assert contribution == sorted(contribution, reverse=True)
    (own,) = [row for row in result.forecast.to_pylist() if row["unit"] == WINS][:1]
    assert own["from_open_mean"] == pytest.approx(sum(chance), rel=0.25, abs=2)
    assert set(deals["segment"].to_pylist()) <= {"DE", "FR", "missing"}


@pytest.mark.usefixtures("people_and_log")
def test_change_of_a_week_adds_up():
    result = forecast()
    rows = result.changes.to_pylist()
    for unit in (WINS, AMOUNT):
        own = {row["step"]: row["value"] for row in rows if row["unit"] == unit}
        steps = sum(value for step, value in own.items() if step != "after")
        assert own["after"] == pytest.approx(steps)
        total = next(
            row["total_mean"] for row in result.forecast.to_pylist() if row["unit"] == unit
        )
        assert own["after"] == pytest.approx(total)
        assert own["before"] > 0


def test_leads_that_must_not_be_scored_are_no_deals(folder):
    company.write(folder, privacy={"suppress": {"path": "stop.csv", "entity_id": "id"}})
    everyone = forecast_without(folder, [])
    hidden = everyone.deals["entity_id"].to_pylist()[:3]
    left = forecast_without(folder, hidden).deals["entity_id"].to_pylist()
    assert not set(hidden) & set(left)


def forecast_without(folder, ids):
    (folder / "stop.csv").write_text("\n".join(["id", *ids]) + "\n", encoding="utf-8")
    return forecast()
