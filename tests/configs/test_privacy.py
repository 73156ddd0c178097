"""Consent and personal data in the YAML: what suppresses, and what a personal column must not be needed for."""

import pytest
import yaml

from configs.errors import ConfigError
from configs.privacy import SuppressWhere
from configs.schema import load
from tests.pipelines import tiny


def project(folder, privacy, **changes):
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(tiny.CONFIG | {"privacy": privacy} | changes), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("equals", "texts", "missing"),
    [
        (True, {"true", "yes", "on", "y", "t", "1"}, False),
        ([False, None], {"false", "no", "off", "n", "f", "0"}, True),
        ([" Out ", 2, 3.0, 0.5], {"out", "2", "3", "0.5"}, False),
    ],
)
def test_a_value_suppresses_however_a_source_writes_it(equals, texts, missing):
    where = SuppressWhere(column="x", equals=equals)
    assert (where.texts, where.missing) == (texts, missing)


def test_nobody_is_suppressed_and_nothing_hidden_unless_the_config_says_so(tmp_path):
    privacy = project(tmp_path, {}).privacy
    assert privacy.suppress is None and privacy.hidden == frozenset() and privacy.learn is False


def test_the_column_of_an_opt_out_and_personal_columns_are_hidden_from_features(tmp_path):
    privacy = project(
        tmp_path, {"suppress_where": {"column": "out", "equals": True}, "personal": ["email"]}
    ).privacy
    assert privacy.hidden == {"out", "email"}


@pytest.mark.parametrize(
    ("personal", "changes", "key"),
    [
        ("created", {}, "sources.leads.created_at"),
        ("at", {}, "sources.events[0].event_time"),
        ("what", {}, "sources.events[0].event_type"),
        ("via", {}, "sources.events[0].channel"),
        (
            "size",
            {"targets": {"buy": tiny.CONFIG["targets"]["buy"] | {"amount": "size"}}},
            "targets.buy.amount",
        ),
        ("country", {"evaluation": {"segments": ["country"]}}, "evaluation.segments"),
        ("country", {"features": {"role": "country"}}, "features.role"),
        ("country", {"audit": {"allow": ["country"]}}, "audit.allow"),
        ("country", {"capacity": {"per_week": 3, "owner": "country"}}, "capacity.owner"),
    ],
)
def test_a_key_that_needs_a_personal_column_is_refused_with_a_mend(
    tmp_path, personal, changes, key
):
    with pytest.raises(ConfigError) as refused:
        project(tmp_path, {"personal": [personal]}, **changes)
    assert key in str(refused.value) and repr(personal) in str(refused.value)
    assert "take it off privacy.personal" in str(refused.value)
    assert refused.value.where.endswith(f".yaml: {key}, privacy.personal")


def test_a_personal_outcome_column_is_refused(tmp_path):
    sources = {"leads": {"path": "leads.csv", "attributes": ["x"]}}
    targets = {"buy": {"outcome": {"column": "won", "equals": 1}}}
    with pytest.raises(ConfigError, match=r"targets\.buy\.outcome"):
        project(tmp_path, {"personal": ["won"]}, sources=sources, targets=targets)


def test_an_id_may_be_personal(tmp_path):
    assert project(tmp_path, {"personal": ["id", "lead", "firm"]}).privacy.personal == (
        "id",
        "lead",
        "firm",
    )


def test_an_opt_out_column_needs_a_leads_source(tmp_path):
    sources = {"events": tiny.CONFIG["sources"]["events"]}
    with pytest.raises(ConfigError, match="leads source"):
        project(tmp_path, {"suppress_where": {"column": "out", "equals": True}}, sources=sources)


@pytest.mark.parametrize(
    "wrong", [{"suppress": {"path": "x.csv"}}, {"suppress_where": {"column": "x", "equals": []}}]
)
def test_half_a_suppression_is_refused(tmp_path, wrong):
    with pytest.raises(ConfigError):
        project(tmp_path, wrong)
