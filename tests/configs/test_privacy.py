"""Suppression and personal columns in the config."""

import pytest
import yaml

from configs.errors import ConfigError
from configs.privacy import SuppressWhere
from configs.schema import load_project
from tests.pipelines import tiny


def project(folder, privacy, **changes):
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(tiny.CONFIG | {"privacy": privacy} | changes), encoding="utf-8")
    return load_project(path)


@pytest.mark.parametrize(
    ("equals", "texts", "missing"),
    [
        (True, {"true", "yes", "on", "y", "t", "1"}, False),
        ([False, None], {"false", "no", "off", "n", "f", "0"}, True),
        ([" Out ", 2, 3.0, 0.5], {"out", "2", "3", "0.5"}, False),
    ],
)
def test_suppressing_values_cover_all_spellings(equals, texts, missing):
    where = SuppressWhere(column="x", equals=equals)
    assert (where.normalized_values, where.includes_missing) == (texts, missing)


def test_privacy_defaults_to_no_suppression(tmp_path):
    privacy = project(tmp_path, {}).privacy
    assert (
        privacy.suppress is None
        and privacy.hidden_columns == frozenset()
        and privacy.learn is False
    )


def test_opt_out_and_personal_columns_are_hidden(tmp_path):
    privacy = project(
        tmp_path, {"suppress_where": {"column": "out", "equals": True}, "personal": ["email"]}
    ).privacy
    assert privacy.hidden_columns == {"out", "email"}


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
        ("country", {"learning": {"segment_by": "country"}}, "learning.segment_by"),
        ("country", {"features": {"role": "country"}}, "features.role"),
        ("country", {"audit": {"allow": ["country"]}}, "audit.allow"),
        ("country", {"publish": {"funnel_by": ["country"]}}, "publish.funnel_by"),
        ("country", {"capacity": {"per_week": 3, "owner": "country"}}, "capacity.owner"),
    ],
)
def test_personal_column_required_by_key_is_rejected(tmp_path, personal, changes, key):
    with pytest.raises(ConfigError) as refused:
        project(tmp_path, {"personal": [personal]}, **changes)
    assert key in str(refused.value) and repr(personal) in str(refused.value)
    assert "remove it from privacy.personal" in str(refused.value)
    assert refused.value.where.endswith(f".yaml: {key}, privacy.personal")


def test_personal_outcome_column_is_rejected(tmp_path):
    sources = {"leads": {"path": "leads.csv", "attributes": ["x"]}}
    targets = {"buy": {"outcome": {"column": "won", "equals": 1}}}
    with pytest.raises(ConfigError, match=r"targets\.buy\.outcome"):
        project(tmp_path, {"personal": ["won"]}, sources=sources, targets=targets)


def test_id_column_may_be_personal(tmp_path):
    assert project(tmp_path, {"personal": ["id", "lead", "firm"]}).privacy.personal == (
        "id",
        "lead",
        "firm",
    )


def test_opt_out_column_requires_leads_source(tmp_path):
    sources = {"events": tiny.CONFIG["sources"]["events"]}
    with pytest.raises(ConfigError, match=r"requires sources\.leads"):
        project(tmp_path, {"suppress_where": {"column": "out", "equals": True}}, sources=sources)


@pytest.mark.parametrize(
    "wrong", [{"suppress": {"path": "x.csv"}}, {"suppress_where": {"column": "x", "equals": []}}]
)
def test_incomplete_suppression_is_rejected(tmp_path, wrong):
    with pytest.raises(ConfigError):
        project(tmp_path, wrong)
