"""Hand-overs in the config: their forms and their errors."""

from datetime import timedelta

import pytest
import yaml

from configs.errors import ConfigError
from configs.schema import load_project
from tests.pipelines import tiny

TARGETS = {
    "accept": {
        "population": {"after": "created", "until": ["lost"], "max_age": "90d"},
        "outcome": "met",
        "horizon": "21d",
        "cutoffs": {"every": "7d"},
    },
    "buy": {
        "population": {"after": "met", "until": ["lost"]},
        "outcome": "bought",
        "horizon": "21d",
        "cutoffs": {"every": "7d"},
        "amount": 900,
    },
    "once": {"outcome": "bought", "horizon": "21d", "cutoffs": {"delay": "1h"}},
    "filled": {"outcome": {"column": "country", "equals": "DE"}},
}
MQL = {"target": "accept", "cost": 20, "value": 400, "per_week": 10}
SQL = {"target": "buy", "cost": "90", "per_week": 4}


def load(folder, qualification, **changes):
    features = tiny.CONFIG["features"] | {"outbound": ["call"]}
    config = tiny.CONFIG | {"targets": TARGETS, "features": features}
    config |= {"qualification": qualification} | changes
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return load_project(path)


def test_qualification_has_its_steps_and_defaults(tmp_path):
    project = load(tmp_path, {"mql": MQL, "sql": SQL, "sla": "12h"})
    qualification = project.qualification
    assert list(qualification.steps) == ["mql", "sql"]
    assert (qualification.sql.cost, qualification.sql.value) == (90.0, None)
    assert (qualification.sla, qualification.recycle.wait) == (
        timedelta(hours=12),
        timedelta(days=30),
    )
    alone = load(tmp_path, {"mql": MQL})
    assert list(alone.qualification.steps) == ["mql"]
    # Models and probabilities do not depend on it, so a champion stays valid.
    assert alone.config_hash == project.config_hash
    assert load(tmp_path, None).qualification is None


@pytest.mark.parametrize(
    ("qualification", "key", "text"),
    [
        ({"mql": MQL | {"target": "acept"}}, "qualification.mql.target", "mean accept"),
        ({"mql": MQL, "sql": SQL | {"target": "x"}}, "qualification.sql.target", "no target"),
        ({"mql": MQL | {"target": "once"}}, "qualification.mql.target", "cutoffs.every"),
        ({"mql": MQL | {"target": "filled"}}, "qualification.mql.target", "outcome event"),
        (
            {"mql": MQL, "sql": SQL | {"target": "accept", "value": 5}},
            "qualification.sql.target",
            "acceptance",
        ),
        ({"mql": {k: v for k, v in MQL.items() if k != "per_week"}}, "mql", "per_week is missing"),
        ({"mql": {k: v for k, v in MQL.items() if k != "cost"}}, "mql", "cost is missing"),
        ({"mql": {k: v for k, v in MQL.items() if k != "value"}}, "mql.value", "is missing"),
        ({"mql": MQL | {"cost": 0}}, "qualification.mql.cost", "above zero, not 0"),
        ({"mql": MQL | {"cost": -3.5}}, "qualification.mql.cost", "above zero, not -3.5"),
        ({"mql": MQL | {"cost": ".nan"}}, "qualification.mql.cost", "above zero"),
        ({"mql": MQL | {"value": 0}}, "qualification.mql.value", "above zero"),
        ({"mql": MQL | {"per_week": 0}}, "qualification.mql.per_week", "greater than or equal"),
        ({"mql": MQL | {"per_month": 1}}, "qualification.mql.per_month", "unknown key"),
        ({"sql": SQL}, "qualification.mql", "required"),
        ({"mql": MQL, "sla": "0h"}, "qualification.sla", "longer than zero"),
        ({"mql": MQL, "sla": "soon"}, "qualification.sla", "not a duration"),
        ({"mql": MQL, "recycle": {"wait": "2d"}}, "qualification.recycle.wait", "at least 7d"),
        ({"mql": MQL, "recycle": {"silent": "0d"}}, "qualification.recycle", "longer than zero"),
    ],
)
def test_mistake_is_a_config_error_with_its_key_and_a_fix(tmp_path, qualification, key, text):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, qualification)
    assert key in str(caught.value) and text in str(caught.value)
    assert "company.yaml" in str(caught.value)


def test_time_to_touch_requires_the_touches_of_the_config(tmp_path):
    with pytest.raises(ConfigError, match=r"requires features\.outbound: give the event types"):
        load(tmp_path, {"mql": MQL}, features=tiny.CONFIG["features"])
