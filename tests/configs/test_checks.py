"""Limits of the checks: defaults, overrides, and the order of warn and stop."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from configs.checks import Checks, Limits


def test_limits_keep_defaults_and_null_disables():
    checks = Checks.model_validate(
        {"rows": {"stop": 0.6}, "freshness": {"stop": "9d"}, "missing": {"warn": None}}
    )
    default = Checks()
    assert checks.rows == Limits(warn=default.rows.warn, stop=0.6)
    assert (
        checks.freshness.stop == timedelta(days=9)
        and checks.freshness.warn == default.freshness.warn
    )
    assert checks.missing.warn is None and checks.missing.stop == default.missing.stop
    assert checks.drift == default.drift


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": {"warn": 0.9, "stop": 0.5}},
        {"rows": {"warn": 0.9}},
        {"rows": {"warn": -1}},
        {"rows": {"alarm": 1}},
        {"freshness": {"stop": 3}},
        {"nights": 0},
        {"typo": {"warn": 1}},
    ],
)
def test_invalid_limits_are_rejected(wrong):
    with pytest.raises(ValidationError):
        Checks.model_validate(wrong)
