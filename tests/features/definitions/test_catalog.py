"""The catalogue: feature names, selection, and JSON."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.feature_options import Family
from features.definitions.catalog import MAX_TYPES, Catalog, build_catalog
from features.definitions.feature import AGGREGATES
from features.sources import read_sources
from tests.features import logs
from tests.features.company import project
from tests.features.logs import START, examples, of

CATALOG = Catalog(
    types=("call", "mail"),
    channels=("web",),
    valued=("call",),
    stages=("call",),
    windows=(timedelta(hours=1), timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=1), timedelta(days=3)),
    outbound=("mail",),
    ends=("call",),
    accounts=True,
)
NASTY = [
    "any",
    "stage",
    "stages",
    "last",
    "first",
    "outbound",
    "offline",
    "others",
    "account",
    "created",
    "touches",
]
NASTY += [
    "spells",
    "spell",
    "origin",
    "last type 1",
    "first_type",
    "stage_now",
    "stage now",
    "any_count",
    "call count",
]
NASTY += [
    "",
    " ",
    "A b",
    "a_b",
    "a-b",
    "письмо",
    "web_channel",
    "web channel",
    "others_any",
    "account any",
    "x" * 300,
]
NASTY += [
    "{",
    "%",
    "any_",
    "stage_call",
    "others any_age",
    "outbound share",
    "age",
    "call",
    "call_first",
    "call_",
]
NASTY += [
    "last_hour_of_week",
    "created_age",
    "gap",
    "mail_sum",
    "stage_call_visits",
    "first channel",
    "entity_id",
]
words = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), max_size=5, unique=True).map(tuple)


@examples(50)
@given(words, words, words)
def test_feature_names_are_unique(types, channels, attributes):
    twins = replace(
        logs.CATALOG,
        types=types,
        channels=channels,
        valued=types,
        stages=types[:3],
        windows=(timedelta(days=1),),
        outbound=types[:1],
        offline=channels[:1],
        attributes=tuple((name, "number") for name in attributes[::2]),
        dated=tuple((name, "category") for name in attributes[1::2]),
    )
    names = [feature.name for feature in twins.features]
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_feature_names_differ_from_spine_columns():
    names = {feature.name for feature in Catalog(attributes=(("cutoff", "number"),)).features}
    assert "cutoff" not in names


def test_feature_names_contain_type_names_if_unique():
    odd = Catalog(types=("A b", "any", "письмо", "stage"), channels=("b",), windows=CATALOG.windows)
    names = {feature.name for feature in odd.features}
    assert {"a_b_age", "any_age", "any__age", "письмо_age", "stage__age", "b_channel_age"} <= names


def test_catalog_round_trips_through_json():
    whole = replace(logs.CATALOG, dated=(("plan", "category"),))
    for each in (Catalog(), CATALOG, whole, whole.select(["any_age", "size"])):
        again = Catalog.from_json(json.loads(json.dumps(each.to_json())))
        assert again == each
        assert again.features == each.features


def test_select_keeps_order_of_matrix():
    kept = logs.CATALOG.select(["size", "any_age", "stage_now"])
    assert [feature.name for feature in kept.features] == ["any_age", "stage_now", "size"]
    named = {feature.name: feature for feature in logs.CATALOG.features}
    assert all(feature == named[feature.name] for feature in kept.features)


@examples(60)
@given(st.sets(st.sampled_from([feature.name for feature in logs.CATALOG.features]), min_size=1))
def test_select_is_idempotent(names):
    kept = logs.CATALOG.select(names)
    assert {feature.name for feature in kept.features} == names
    assert kept.select(names).features == kept.features


def company(**features):
    """Return a small company's catalogue with these keys of ``features`` in its config."""
    config = project(
        {"path": "l.csv", "entity_id": "id", "created_at": "born"}, zone="Europe/Berlin"
    )
    lead = {
        "account_id": "x",
        "created_at": START,
        "available_at": START,
        "size": 1.0,
        "role": "it",
    }
    log = [
        ("call", "web", 2.0),
        ("mail", "web", None),
        ("won", None, None),
        ("mail", "phone", None),
    ]
    events = [
        {
            "entity_id": "a",
            "event_time": START,
            "available_at": START,
            "event_type": t,
            "channel": c,
            "value": v,
        }
        for t, c, v in log
    ]
    data = of([{"entity_id": name} | lead for name in "ab"], events)
    asked = config.features.model_copy(update=features)
    return build_catalog(config.model_copy(update={"features": asked}), data)


def test_catalog_follows_config_and_data():
    found = company(
        outbound=("mail", "never"),
        offline=("phone", "fax"),
        ends=("won",),
        role="role",
        stages=("won",),
    )
    assert (found.types, found.channels, found.valued) == (
        ("call", "mail", "won"),
        ("phone", "web"),
        ("call",),
    )
    assert (found.outbound, found.offline, found.ends, found.role) == (
        ("mail",),
        ("phone",),
        ("won",),
        "role",
    )
    assert found.attributes == (("size", "number"), ("role", "category"))
    assert (found.roles, company(role=None).roles) == (("it",), ())
    assert (found.timezone, found.accounts, found.timed, found.stages) == (
        "Europe/Berlin",
        True,
        True,
        ("won",),
    )


def test_role_must_be_attribute():
    with pytest.raises(ConfigError, match="'rank'"):
        company(role="rank")


def test_excluded_names_have_no_features():
    found = company(exclude=("mail", "size"), outbound=("mail",), stages=("mail", "won"))
    assert (found.types, found.outbound, found.stages) == (("call", "won"), (), ("won",))
    assert found.attributes == (("role", "category"),)
    # Names of attributes and of types that the data lacks are no event types.
    assert found.unused == ("mail",)
    assert Catalog.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert not [
        feature.name
        for feature in found.features
        if "mail" in feature.name or "outbound" in feature.name
    ]


@pytest.mark.parametrize("family", get_args(Family))
def test_families_partition_features(family):
    everything = {
        "outbound": ("mail",),
        "offline": ("phone",),
        "ends": ("won",),
        "role": "role",
        "stages": ("won",),
    }
    whole, part = company(**everything), company(**everything, families=(family,))
    assert [f for f in whole.features if f.family == family] == list(part.features)
    assert part.features


def test_aggregates_are_all_declared():
    assert set(AGGREGATES) <= {feature.aggregate for feature in logs.CATALOG.features}
    assert len(logs.CATALOG.features) >= 200


def test_rare_types_have_no_features():
    names = [f"t{number:03}" for number in range(MAX_TYPES + 5)]
    times = [name for name in names for _ in range(1 + (name != "t007"))]
    events = [
        {
            "entity_id": "a",
            "event_time": START + timedelta(seconds=n),
            "available_at": START + timedelta(days=1),
        }
        | {"event_type": name, "channel": None, "value": None}
        for n, name in enumerate(times)
    ]
    lead = {"entity_id": "a", "account_id": None, "created_at": START, "available_at": START}
    found = build_catalog(
        project({"path": "l.csv", "entity_id": "id", "created_at": "born"}), of([lead], events)
    )
    assert len(found.types) == MAX_TYPES
    assert "t007" not in found.types


def test_availability_of_static_attribute_is_today():
    availability = {
        f.name: f.availability
        for f in replace(logs.CATALOG, dated=(("plan", "category"),)).features
    }
    assert availability["size"] == "today's value"
    assert availability["plan"] == availability["any_age"] == "before the cutoff"


@pytest.mark.parametrize(
    ("times", "has"),
    [
        ([f"2018-11-{day:02}" for day in range(1, 31)], False),
        (["2018-10-01T08:00", "2018-10-02T09:30"], True),
    ],
)
def test_creation_hours_need_more_than_dates(tmp_path, times, has):
    rows = "\n".join(f"{number},{at}" for number, at in enumerate(times))
    (tmp_path / "leads.csv").write_text("id,born\n" + rows + "\n", encoding="utf-8")
    found = project({"path": str(tmp_path / "leads.csv"), "entity_id": "id", "created_at": "born"})
    # On 2018-11-04 midnight does not exist in this zone: the date is the hour after.
    found = found.model_copy(update={"timezone": "America/Sao_Paulo"})
    assert build_catalog(found, read_sources(found)).hours == has
