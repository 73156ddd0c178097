"""Forecasts of past as-ofs beside what happened."""

from datetime import time, timedelta
from itertools import pairwise

import numpy as np
import pytest

from configs.errors import DataError
from configs.schema import load_project
from features.paths.states import list_funnel_states
from pipelines.forecast import backtest
from pipelines.forecast.backtest import backtest_forecast
from pipelines.funnel.funnel import build_history
from pipelines.runner import read_clock
from pipelines.training_data import load_snapshot
from tests.pipelines.funnel import company

# As an instant it sorts before those of its own day.
END = "2024-11-20"


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return company.write(tmp_path, leads=250)[1]


def test_past_forecasts_are_compared_with_plain_counts(log):
    result = backtest_forecast(load_project("steps.yaml"), END, days=20, count=3)
    standing = {}
    for lead, at, known, kind, _ in sorted(log, key=lambda row: row[1]):
        if max(at, known) < END and kind in ("won", "undone"):
            standing[lead] = at if kind == "won" else None
    wins = sorted(at for at in standing.values() if at is not None)
    assert len(result.as_ofs) == 3
    for past, following in pairwise(result.as_ofs):
        assert past.as_of < following.as_of
    for past in result.as_ofs:
        begin = past.as_of.isoformat()
        end = (past.as_of + backtest.timedelta(days=20)).isoformat()
        assert past.actual == sum(begin <= at < end for at in wins)
        assert past.open_actual <= past.actual
        assert past.low <= past.predicted <= past.high
        assert past.last_year is None
        assert past.stage_weighted > 0


def test_score_of_draws_by_brute_force():
    draws = np.random.default_rng(1).normal(5, 2, 200)
    distance = np.abs(draws - 4.0).mean()
    between = np.abs(draws[:, None] - draws[None]).mean()
    assert backtest._score_draws(draws, 4.0) == pytest.approx(distance - between / 2)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_as_ofs_are_different_midnights_of_the_zone(zone, tmp_path, monkeypatch):
    """Also where a day has 25 hours, and the asked number does not fit."""
    monkeypatch.chdir(tmp_path)
    company.write(tmp_path, leads=50, timezone=zone)
    project = load_project("steps.yaml")
    snapshot = load_snapshot(project, f"{END}T23:30:00", read_clock())
    history = build_history(snapshot, list_funnel_states(project))
    for count in (1, 2, 7, 200, 1000):
        as_ofs = backtest.choose_as_ofs(snapshot, history, timedelta(days=20), count)
        local = [at.astimezone(project.zone) for at in as_ofs]
        assert all(at.time() == time(0) for at in local)
        assert len({at.date() for at in local}) == len(as_ofs) <= count
    # All days in between.
    assert len(as_ofs) == (local[-1].date() - local[0].date()).days + 1 < 1000


@pytest.mark.usefixtures("log")
def test_backtest_remembers_how_many_as_ofs_were_asked_for(monkeypatch):
    monkeypatch.setattr(backtest, "_forecast_past", lambda *arguments: arguments)
    lines = []
    result = backtest_forecast(load_project("steps.yaml"), END, 20, 500, lines.append)
    assert result.asked == 500 > len(result.as_ofs) > 50
    assert lines[0].startswith(f"forecast 1 of {len(result.as_ofs)}: as of 2024-")
    assert "T00" not in lines[0]


@pytest.mark.usefixtures("log")
def test_short_data_is_refused():
    with pytest.raises(DataError, match="too short to test a forecast"):
        backtest_forecast(load_project("steps.yaml"), "2024-02-10")
