"""Forecasts of past as-ofs beside what happened."""

from itertools import pairwise

import numpy as np
import pytest

from configs.errors import DataError
from configs.schema import load_project
from pipelines.forecast import backtest
from pipelines.forecast.backtest import backtest_forecast
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


@pytest.mark.usefixtures("log")
def test_short_data_is_refused():
    with pytest.raises(DataError, match="too short to test a forecast"):
        backtest_forecast(load_project("steps.yaml"), "2024-02-10")
