"""Errors of past forecasts and of simpler ones."""

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from models.forecast.accuracy import backtest_to_json, summarize_backtest
from pipelines.json_output.forecast import ForecastBacktestOutput
from tests.pipelines.forecasts import build_backtest


def test_errors_equal_a_plain_loop():
    backtest = build_backtest((100.0, 80.0, 125.0))
    accuracy = summarize_backtest(backtest)
    shares = [10 / 100, 10 / 80, 10 / 125]
    assert accuracy.total.forecasts == 3
    assert accuracy.total.mean_absolute_error_share == pytest.approx(sum(shares) / 3)
    assert accuracy.total.bias_share == pytest.approx(sum(shares) / 3)
    assert accuracy.total.crps == 3.0
    # The first of the three intervals begins above what came.
    assert accuracy.coverage_90 == pytest.approx(2 / 3)
    assert accuracy.rate_only.bias_share == pytest.approx(-0.1)
    assert accuracy.rate_only.mean_absolute_error_share == pytest.approx(0.1)
    assert accuracy.rate_only.crps == pytest.approx((10 + 8 + 12.5) / 3)
    assert accuracy.stage_weighted.bias_share == pytest.approx(0.5)
    assert accuracy.stage_weighted_open.bias_share == pytest.approx(2.0)
    assert accuracy.open.crps == pytest.approx(4.0)
    # Nothing is known of the year before at the first as-of.
    assert accuracy.last_year.forecasts == 2
    assert accuracy.last_year.bias_share == pytest.approx(-0.5)


def test_errors_of_both_signs_cancel_in_the_bias_alone():
    backtest = build_backtest((100.0, 100.0))
    low, high = (
        replace(row, predicted=value) for row, value in zip(backtest.as_ofs, (90, 110), strict=True)
    )
    accuracy = summarize_backtest(replace(backtest, as_ofs=(low, high)))
    assert accuracy.total.bias_share == pytest.approx(0, abs=1e-12)
    assert accuracy.total.mean_absolute_error_share == pytest.approx(0.1)


def test_interval_holds_its_ends():
    row = build_backtest((100.0,)).as_ofs[0]
    for low, high, held in ((100, 120, 1), (80, 100, 1), (100.1, 120, 0), (80, 99.9, 0)):
        backtest = replace(build_backtest(), as_ofs=(replace(row, low=low, high=high),))
        assert summarize_backtest(backtest).coverage_90 == held


@pytest.mark.parametrize("actuals", [(), (0.0,), (0.0, 50.0), (100.0, 80.0)])
def test_json_is_plain_and_fits_its_schema(actuals):
    value = backtest_to_json(build_backtest(actuals))
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    schema = ForecastBacktestOutput.model_json_schema()
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)
    assert len(value["as_ofs"]) == len(actuals)


def test_nothing_that_came_has_no_share():
    accuracy = summarize_backtest(build_backtest((0.0,)))
    assert math.isnan(accuracy.total.mean_absolute_error_share)
    assert accuracy.total.crps == 3.0
    assert summarize_backtest(build_backtest((0.0, 50.0))).total.bias_share == pytest.approx(0.2)
