"""The command `forecast`: what it asks for, prints and writes."""

import csv
import json
import sys

import pytest

from pipelines import cli
from pipelines.forecast import backtest, forecast
from tests.pipelines import forecasts, tiny

GOALS = {"period": "quarter", "goal": 30, "by": "country"}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `forecast` in tmp_path; return its exit code, its output, and how it was computed."""
    tiny.write(tmp_path, 5, goals=GOALS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    asked = []

    def compute(project, as_of, period, by, log):
        asked.append((as_of, period, by))
        return forecasts.build_result(by=by, period=period)

    def look_back(project, as_of, days, count, log):
        asked.append((as_of, days, count))
        return forecasts.build_backtest()

    monkeypatch.setattr(forecast, "compute_forecast", compute)
    monkeypatch.setattr(backtest, "backtest_forecast", look_back)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", "forecast", "company.yaml", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, capsys.readouterr().out, asked[-1] if asked else None

    return call


def test_period_and_column_are_those_of_the_goals_unless_given(run):
    assert run()[2] == (None, "quarter", "country")
    arguments = ("--period", "month", "--by", "channel", "--as-of", "2024-09-01")
    assert run(*arguments)[2] == ("2024-09-01", "month", "channel")
    assert run("--period", "week")[0] == 2


def test_output_begins_with_the_sentence(run):
    code, out, _ = run()
    text = " ".join(out.split())
    assert code == 0
    assert text.startswith("Q3 2025: 81 won so far, 112 to come from open deals")
    for part in ("change in a week", "L0015", "the last 8 forecasts"):
        assert part in text
    assert "L0016" not in text


def test_json_is_that_of_the_result(run):
    _, out, _ = run("--json")
    result = forecasts.build_result(by="country", period="quarter")
    assert json.loads(out) == result.to_json()


def test_tables_are_written(run, tmp_path):
    assert run("--out", "out")[0] == 0
    names = ("deals", "forecast", "forecast_changes", "forecast_track")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [f"{name}{ending}" for name in names for ending in (".csv", ".parquet")]
    with (tmp_path / "out" / "deals.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["entity_id"] for row in rows] == [f"L{number:04}" for number in range(1, 21)]
    (tmp_path / "file").touch()
    assert run("--out", "file")[0] == 2


def test_backtest_prints_past_forecasts(run):
    code, out, asked = run("--backtest", "--days", "14", "--count", "3", "--as-of", "2024-12-01")
    assert (code, asked) == (0, ("2024-12-01", 14, 3))
    assert out.startswith("3 past forecasts of the wins of the next 30 days: 10.2 % off on average")
    assert "stage-weighted, open deals" in out
    value = json.loads(run("--backtest", "--json")[1])
    assert [row["actual"] for row in value["as_ofs"]] == [100, 80, 125]
    assert value["stage_weighted"]["open"]["bias_share"] == pytest.approx(2)
    assert run("--backtest", "--count", "0")[0] == 2
