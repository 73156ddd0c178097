"""Groups of features: each belongs where a sales lead would look for it."""

from datetime import timedelta
from typing import get_args

import pytest

from features.definitions.catalog import Catalog
from features.definitions.feature_groups import FeatureGroup, find_feature_group

CATALOG = Catalog(
    types=("visit", "email", "met", "paid"),
    channels=("web", "phone"),
    valued=("paid",),
    stages=("met", "paid"),
    attributes=(("country", "category"), ("size", "number")),
    dated=(("rating", "category"),),
    windows=(timedelta(days=7),),
    half_lives=(timedelta(days=14),),
    outbound=("email",),
    offline=("phone",),
    ends=("paid",),
    role="country",
    roles=("DE",),
    accounts=True,
)
EXPECTED = {
    "country": "attribute",
    "rating": "attribute",
    "account_any_count_7d": "account",
    "others_any_age": "account",
    "stage_now": "stage",
    "stage_age": "stage",
    "stage_met_visits": "stage",
    "spells": "stage",
    "paid_sum_value_all": "amount",
    "touches_unanswered": "outreach",
    "origin": "outreach",
    "visit_count_7d": "activity",
    "any_decay_14d": "activity",
    "any_days_active_7d": "activity",
    "any_distinct_type_7d": "activity",
    "visit_age": "time_since",
    "any_gap_mean": "time_since",
    "any_silence": "time_since",
    "last_gap_1": "time_since",
    "created_age": "time_since",
    "last_type_1": "order",
    "first_channel": "order",
    "created_hour_of_week": "calendar",
    "any_weekend_share": "calendar",
    "last_hour_of_week": "calendar",
}


@pytest.mark.parametrize(("name", "group"), EXPECTED.items())
def test_feature_is_in_the_group_of_its_question(name, group):
    (feature,) = (feature for feature in CATALOG.features if feature.name == name)
    assert find_feature_group(feature) == group


def test_groups_are_those_that_are_declared_and_none_is_empty():
    groups = {find_feature_group(feature) for feature in CATALOG.features}
    assert groups == set(get_args(FeatureGroup))


def test_features_of_our_own_events_are_outreach():
    names = {f.name: find_feature_group(f) for f in CATALOG.features if "outbound" in f.name}
    assert len(names) > 10 and set(names.values()) == {"outreach"}
